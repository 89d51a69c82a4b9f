"""What an erasure's next step depends on, as plain data, and the pure rules of a tenant's line of erasures."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from imagint_operator.api.requests import DataSubjectRequest, RequestType, StepName, StepState
from imagint_operator.api.tenants import Tenant
from imagint_operator.conditions import find, holds
from imagint_privacy.keys.ports import KeyState

COMPLETE = "Complete"


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


def received_at(request: DataSubjectRequest) -> datetime:
    """When the clock began to run."""
    return request.spec.received_at or request.metadata.creation_timestamp or datetime.now(UTC)


def turn(request: DataSubjectRequest) -> Turn:
    """An erasure whose key was rotated and not yet trimmed goes before all others; then the oldest."""
    return Turn(not between_rotate_and_trim(request), received_at(request), request.name)


def between_rotate_and_trim(request: DataSubjectRequest) -> bool:
    """Whether the tenant's key is, or may be, rotated for this erasure and not yet trimmed."""
    return request.status.key_versions is not None and not _done(request, StepName.TRIM)


def in_line(request: DataSubjectRequest) -> bool:
    """Whether this erasure still wants the tenant to itself. One whose probe failed after the trim lets others by."""
    if request.spec.type is not RequestType.ERASE or request.metadata.deletion_timestamp is not None:
        return False
    if holds(request.status.conditions, COMPLETE):
        return False
    found = find(request.status.conditions, COMPLETE)
    stuck = found is not None and found.reason in {"ProbeFailed", "EvidenceRefused", "DataPlaneRefused"}
    return between_rotate_and_trim(request) or not stuck


def _done(request: DataSubjectRequest, name: StepName) -> bool:
    return any(step.name is name and step.state is StepState.DONE for step in request.status.steps)
