"""The answers of the Gateways' privacy API and of the prober, parsed at the edge. Ids, counts and digests only."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

_CODE = re.compile(r"[a-z][a-z0-9_]{0,63}")


def code(given: object) -> str:
    """A code of the data plane's, or nothing: what is not shaped like one may be anything, and is not repeated."""
    return given if isinstance(given, str) and _CODE.fullmatch(given) else ""


Code = Annotated[str, BeforeValidator(code)]


class Answer(BaseModel):
    """Base: frozen, tolerant of fields that a newer data plane adds."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Held(Answer):
    """What is held about a subject."""

    paths: int = 0
    records: dict[str, int] = {}
    objects: int = 0

    @property
    def nothing(self) -> bool:
        """Whether there is nothing to erase."""
        return not (self.paths or self.objects or any(self.records.values()))


class GatewayStatus(Answer):
    """How a Gateway is."""

    tenant: str
    ready: bool
    reason: Code = ""
    key_version: int | None = None


class ModelProbe(Answer):
    """A tiny picture was made."""

    ok: bool
    seconds: float = 0.0


class ModelTrial(Answer):
    """A revision was tried: how many of its pictures were right, and their hashes."""

    ok: bool
    seconds: float = 0.0
    pictures: int = 0
    right: int = 0
    hashes: tuple[Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")], ...] = Field(default=(), max_length=8)


class Fence(Answer):
    """The subject is fenced."""

    request: str
    state: str
    held: Held
    generation: int
    key_version: int
    incarnation: int


class Progress(Answer):
    """How far a request is in the data plane."""

    state: str


class Commit(Answer):
    """The subject's keys are forgotten in the new tree."""

    generation: int
    key_version: int
    forgotten_paths: int


class TreeCopy(Answer):
    """One copy of the new tree."""

    store: str
    generation: int
    root_digest: str
    read_back: bool


class Copies(Answer):
    """Every configured copy holds the new tree."""

    copies: tuple[TreeCopy, ...]


class ReplicaSeen(Answer):
    """One replica of the Gateway."""

    id: str


class Caches(Answer):
    """Every replica has forgotten the old tree."""

    replicas: tuple[ReplicaSeen, ...] = ()
    bound_seconds: float


class Waiting(Answer):
    """Not yet: ask again."""

    retry_after: float


class Purged(Answer):
    """What was physically deleted from one store."""

    store: str
    deleted: int
    remaining: int


class Purge(Answer):
    """What was physically deleted."""

    stores: tuple[Purged, ...]


class Restriction(Answer):
    """How a restriction or an objection stands: `Restricted`, `Objected` or `Lifted`."""

    request: str
    kind: str
    state: str
    subject: str
    categories: tuple[str, ...] = ()
    purposes: tuple[str, ...] = ()
    received_at: datetime
    since: datetime
    lifted_at: datetime | None = None


class PathCounts(Answer):
    """What a run of retention found in the tree: key paths, by category."""

    due: dict[str, int] = {}
    withheld: dict[str, int] = {}
    unknown: dict[str, int] = {}


class Retention(Answer):
    """How a run of retention stands."""

    request: str
    state: str
    rules_digest: str
    counts: PathCounts
    slices: int = 0
    forgotten: dict[str, int] = {}
    forgotten_paths: int = 0
    generation: int | None = None
    key_version: int | None = None


class ProbeCheck(Answer):
    """One thing that the prober looked at."""

    name: str
    passed: bool
    detail: str = ""


class ProbeReport(Answer):
    """What the prober saw."""

    passed: bool
    checks: tuple[ProbeCheck, ...]
    observed_at: datetime
