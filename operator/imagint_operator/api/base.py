"""What every kind of the API shares: the model base, CEL rules, conditions.

The types describe and parse; they hold no behaviour beyond that and do no I/O.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

GROUP = "imagint.ai"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"


class ApiModel(BaseModel):
    """A part of a custom resource: frozen, camelCase on the wire, tolerant of fields that a newer CRD adds."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        alias_generator=to_camel,
        populate_by_name=True,
        use_attribute_docstrings=True,
    )

    def to_wire(self) -> dict[str, Any]:
        """The JSON object as the apiserver stores it: camelCase, no nulls, no empty lists."""
        wire: dict[str, Any] = _without_empty(self.model_dump(mode="json", by_alias=True, exclude_none=True))
        return wire


def _without_empty(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_empty(child) for key, child in value.items() if child != []}
    return [_without_empty(child) for child in value] if isinstance(value, list) else value


class Rule(NamedTuple):
    """A CEL rule and the message a person sees when it is broken."""

    expression: str
    message: str


def rules(*items: Rule) -> dict[str, Any]:
    """CEL rules, for `json_schema_extra`."""
    return {"x-kubernetes-validations": [{"rule": item.expression, "message": item.message} for item in items]}


def name_rule(pattern: str, message: str) -> dict[str, Any]:
    """The one CEL rule about an object's own name, for the envelope of a kind."""
    rule = {"rule": f"self.metadata.name.matches('{pattern}')", "message": message, "fieldPath": ".metadata.name"}
    return {"x-kubernetes-validations": [rule]}


def matching(pattern: str, message: str) -> dict[str, Any]:
    """A form that a text must have, with words of our own: the apiserver only repeats a pattern at people."""
    return rules(Rule(f"self.matches('{pattern}')", message))


def list_map(*keys: str) -> dict[str, Any]:
    """Mark a list as a map keyed by these fields, so that server-side apply merges its items."""
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(keys)}


class ConditionStatus(StrEnum):
    """Whether a condition holds."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Condition(ApiModel):
    """One observation of the object's state, as metav1.Condition."""

    type: Annotated[str, Field(max_length=64, pattern=r"^[A-Z][A-Za-z]*$")]
    """What is observed, in CamelCase."""
    status: ConditionStatus
    """Whether it holds: True, False or Unknown."""
    reason: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Z][A-Za-z]*$")]
    """Why, in one word for programs."""
    message: Annotated[str, Field(max_length=1024)]
    """Why, in a sentence for people. Carries ids only."""
    last_transition_time: datetime
    """When the status last changed."""
    observed_generation: Annotated[int, Field(ge=0)] = 0
    """The generation of the spec that this was observed for."""


Conditions = Annotated[tuple[Condition, ...], Field(max_length=16, json_schema_extra=list_map("type"))]

ObjectName = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")]
ShortText = Annotated[str, Field(max_length=256)]
Url = Annotated[
    str,
    Field(
        min_length=1,
        max_length=512,
        json_schema_extra=rules(
            Rule(
                "!self.contains('@')",
                "a storage address carries no user and no password: it is shown to whoever may look",
            ),
        ),
    ),
]


class ObjectMeta(BaseModel):
    """The metadata the operator reads. The apiserver owns its schema."""

    model_config = ConfigDict(frozen=True, extra="ignore", alias_generator=to_camel, populate_by_name=True)

    name: str
    namespace: str | None = None
    uid: str = ""
    generation: int = 0
    resource_version: str = ""
    creation_timestamp: datetime | None = None
    deletion_timestamp: datetime | None = None
    finalizers: tuple[str, ...] = ()
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


class Kind(ApiModel):
    """The envelope of every kind: its spec and status are declared by the subclass."""

    metadata: ObjectMeta

    @property
    def name(self) -> str:
        """The object's name."""
        return self.metadata.name
