"""Pure: the one operation that an erasure needs next, or why it waits.

Rule 1: steps run in their order; none begins before the one ahead is Done in the recorded status.
Rule 2: the versions of the key are recorded before the first rotation, so a crash never rotates twice.
Rule 3: nothing is destroyed before the new tree is in every copy and out of every cache (rule 1 gives it; the plan
        asks again, so that a change of the order cannot take it away).
Rule 4: one erasure of a tenant at a time; one that has rotated and not trimmed goes first, then the oldest.
        One that only waits for processors lets all others by, and waits for none.
        Retention that has rotated and not trimmed goes before all of them; before and after that it waits for them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from imagint_operator.api.requests import (
    DataSubjectRequest,
    DataSubjectRequestStatus,
    KeyVersions,
    RequestType,
    Step,
    StepName,
    StepState,
)
from imagint_operator.api.tenants import Tenant
from imagint_operator.conditions import holds
from imagint_operator.requests.observations import Observed, received_at, turn
from imagint_operator.rotations import BEHIND_MESSAGE, KEY_BEHIND, KEY_MISSING, MISSING_MESSAGE, rotation, trimming
from imagint_operator.turns import (
    COMPLETE,
    NOT_YET_RECEIVED,
    QUEUED,
    awaiting_processors,
    between_rotate_and_trim,
    retention_has_key,
)
from imagint_privacy.keys.ports import KeyState

CLOCK_SKEW = timedelta(seconds=60)
FINISHED = frozenset({StepState.DONE, StepState.SKIPPED})
DESTRUCTION_NEEDS = (StepName.FENCE, StepName.PROBE_BEFORE, StepName.COMMIT, StepName.COPY, StepName.DROP_CACHES)


class Operation(StrEnum):
    """One thing to do, recorded when done."""

    CHECK_HOLDS = "CheckHolds"
    FENCE = "Fence"
    PROBE_BEFORE = "ProbeBefore"
    RECORD_VERSIONS = "RecordVersions"
    ROTATE = "Rotate"
    CONFIRM_ROTATION = "ConfirmRotation"
    COMMIT = "Commit"
    COPY = "Copy"
    DROP_CACHES = "DropCaches"
    RAISE_MINIMUM = "RaiseMinimum"
    TRIM = "Trim"
    CONFIRM_TRIM = "ConfirmTrim"
    PURGE = "Purge"
    PROBE_AFTER = "ProbeAfter"
    TELL_PROCESSORS = "TellProcessors"
    PREPARE_CERTIFICATE = "PrepareCertificate"
    CERTIFY = "Certify"


@dataclass(frozen=True, slots=True)
class Run:
    """Do this, as part of this step."""

    step: StepName
    operation: Operation


@dataclass(frozen=True, slots=True)
class Wait:
    """Do nothing now, for this reason."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Rest:
    """Everything is done."""


Decision = Run | Wait | Rest

_PLAIN = {
    StepName.HOLD_CHECK: Operation.CHECK_HOLDS,
    StepName.FENCE: Operation.FENCE,
    StepName.PROBE_BEFORE: Operation.PROBE_BEFORE,
    StepName.COMMIT: Operation.COMMIT,
    StepName.COPY: Operation.COPY,
    StepName.DROP_CACHES: Operation.DROP_CACHES,
    StepName.PURGE: Operation.PURGE,
    StepName.PROBE_AFTER: Operation.PROBE_AFTER,
    StepName.PROCESSORS: Operation.TELL_PROCESSORS,
}


def plan(request: DataSubjectRequest, observed: Observed, now: datetime) -> Decision:
    """What comes next."""
    if decided := without_looking(request, now):
        return decided
    if observed.tenant is None:
        return Wait("TenantMissing", "this namespace belongs to no Tenant")
    waiting = _not_its_turn(request, observed)
    if waiting is not None and not (waiting.reason == QUEUED and awaiting_processors(request)):
        return waiting
    for name in StepName:
        if step(request.status, name).state not in FINISHED:
            return _next(request, name, observed)
    return Run(StepName.CERTIFICATE, Operation.CERTIFY)


def without_looking(request: DataSubjectRequest, now: datetime) -> Decision | None:
    """What can be said from the request alone, whatever the state of Vault and the data plane."""
    if holds(request.status.conditions, COMPLETE):
        return Rest()
    if request.spec.type is not RequestType.ERASE:
        return Wait("NotYetExecutable", f"{request.spec.type}: recorded, and its clock runs; not carried out yet")
    if received_at(request) > now + CLOCK_SKEW:
        return Wait(NOT_YET_RECEIVED, "receivedAt lies in the future: a certificate could not say so truthfully")
    return None


def step(status: DataSubjectRequestStatus, name: StepName) -> Step:
    """One step as recorded; Pending when it is not."""
    return next((found for found in status.steps if found.name is name), Step(name=name))


def _not_its_turn(request: DataSubjectRequest, observed: Observed) -> Wait | None:
    if observed.busy and observed.busy != request.metadata.uid:
        return Wait(QUEUED, "another erasure of this tenant, or its retention, is under way")
    retention = observed.tenant.status.retention if observed.tenant is not None else None
    if retention is not None and retention_has_key(retention.current):
        return Wait(QUEUED, "a run of retention of this tenant is between Rotate and Trim, and goes first")
    first = min(observed.others, default=None)
    if first is not None and first < turn(request):
        return Wait(QUEUED, f"erasure {first.name} of this tenant goes first")
    leaving = observed.tenant is not None and observed.tenant.metadata.deletion_timestamp is not None
    if leaving and not between_rotate_and_trim(request):
        return Wait("TenantDeleting", "the Tenant is being deleted; with its key everything of it becomes unreadable")
    return None


def _next(request: DataSubjectRequest, name: StepName, observed: Observed) -> Decision:
    if name in _PLAIN:
        return Run(name, _PLAIN[name])
    if name is StepName.CERTIFICATE:
        ready = request.status.evidence is not None and request.status.completed_at is not None
        return Run(name, Operation.CERTIFY if ready else Operation.PREPARE_CERTIFICATE)
    if observed.key is None:
        return Wait(KEY_MISSING, MISSING_MESSAGE)
    if name is StepName.ROTATE:
        return _rotation(name, request.status.key_versions, observed.key, observed.tenant)
    return _trimming(request, name, observed.key)


def _rotation(name: StepName, versions: KeyVersions | None, key: KeyState, tenant: Tenant | None) -> Decision:
    """Rule 2."""
    recorded = tenant.status.key.destroyed_below if tenant and tenant.status.key else 0
    move = rotation(key, versions, recorded)
    return Wait(KEY_BEHIND, BEHIND_MESSAGE) if move is None else Run(name, Operation(move.value))


def _trimming(request: DataSubjectRequest, name: StepName, key: KeyState) -> Decision:
    """Rule 3."""
    versions = request.status.key_versions
    missing = [needed for needed in DESTRUCTION_NEEDS if step(request.status, needed).state is not StepState.DONE]
    if versions is None or missing:
        return Wait("OutOfOrder", f"not destroying: not recorded as done: {', '.join(missing) or 'the key versions'}")
    move = trimming(key, versions)
    return Wait(KEY_BEHIND, BEHIND_MESSAGE) if move is None else Run(name, Operation(move.value))
