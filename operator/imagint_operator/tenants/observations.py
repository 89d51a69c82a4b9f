"""What a tenant consists of at one moment, as plain data for the plan and the status."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from imagint_operator.api.deletion import DeletionStatus
from imagint_operator.api.requests import DataSubjectRequest, Step, StepName, StepState
from imagint_operator.dataplane.answers import GatewayStatus
from imagint_operator.errors import OperatorError
from imagint_operator.kube.resources import ObjectKey
from imagint_operator.serve.places import Refusal
from imagint_operator.serve.views import AppState
from imagint_privacy.keys.ports import KeyState

Object = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class KeyView:
    """The tenant's key, or why it cannot be seen; below which version its erasures destroyed everything."""

    state: KeyState | None = None
    problem: OperatorError | None = None
    destroyed_below: int = 0
    replayed: bool = False
    upsert_disabled: bool = False


@dataclass(frozen=True, slots=True)
class GatewayView:
    """The tenant's Gateway: what Serve says and what the Gateway itself says; `seen` once Serve was looked at."""

    app: AppState | None = None
    status: GatewayStatus | None = None
    problem: OperatorError | None = None
    drained: bool = False
    arrived: bool = False
    refusal: Refusal | None = None
    seen: bool = True


@dataclass(frozen=True, slots=True)
class Observed:
    """Everything that the plan is made from.

    `holds` names the legal holds on the whole tenant, `storage_of` an older Tenant that keeps its data in the same
    place. What was refused, and how far a deletion has come since, is added when a plan was carried out.
    """

    namespace: Object | None = None
    contents: Mapping[ObjectKey, Object | None] = field(default_factory=dict)
    key: KeyView = KeyView()
    gateway: GatewayView = GatewayView()
    holds: tuple[str, ...] = ()
    storage_of: str | None = None
    refused: Mapping[ObjectKey, OperatorError] = field(default_factory=dict)
    deletion: DeletionStatus | None = None
    deletion_problem: OperatorError | None = None


def destroyed_by(requests: Iterable[DataSubjectRequest]) -> int:
    """Below which version of the key these erasures destroyed everything; 0 when none came that far."""
    trimmed = (request for request in requests if any(_trimmed(step) for step in request.status.steps))
    return max((request.status.key_versions.to for request in trimmed if request.status.key_versions), default=0)


def _trimmed(step: Step) -> bool:
    return step.name is StepName.TRIM and step.state is StepState.DONE
