"""What a request's next step depends on, as plain data, and the pure rules of a tenant's line of erasures."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from imagint_operator.api.requests import DataSubjectRequest
from imagint_operator.api.tenants import Tenant
from imagint_operator.turns import between_rotate_and_trim
from imagint_privacy.keys.ports import KeyState


@dataclass(frozen=True, slots=True, order=True)
class Turn:
    """Where an erasure stands in its tenant's line: the smallest goes first."""

    behind: bool
    received_at: datetime
    name: str


@dataclass(frozen=True, slots=True)
class Observed:
    """Everything that the plan is made from, beside the request itself."""

    tenant: Tenant | None = None
    key: KeyState | None = None
    upsert_disabled: bool = False
    others: tuple[Turn, ...] = ()
    busy: str = ""
    holds: tuple[str, ...] = ()
    """The legal holds that stand against it, as last seen."""
    rechecked: bool = False
    """Whether they were seen, in this look, after everything else was ready: only then may it commit."""
    lifted: DataSubjectRequest | None = None
    """The request that this one lifts."""


def received_at(request: DataSubjectRequest) -> datetime:
    """When the clock began to run."""
    return request.spec.received_at or request.metadata.creation_timestamp or datetime.now(UTC)


def turn(request: DataSubjectRequest) -> Turn:
    """An erasure whose key was rotated and not yet trimmed goes before all others; then the oldest."""
    return Turn(not between_rotate_and_trim(request), received_at(request), request.name)
