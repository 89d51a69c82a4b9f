"""Pure: the one operation that an erasure needs next, or why it waits.

Rule 1: steps run in their order; none begins before the one ahead is Done in the recorded status.
Rule 2: the versions of the key are recorded before the first rotation, so a crash never rotates twice.
Rule 3: nothing is destroyed before the new tree is in every copy and out of every cache (rule 1 gives it; the plan
        asks again, so that a change of the order cannot take it away).
Rule 4: one erasure of a tenant at a time; one that has rotated and not trimmed goes first, then the oldest.
        One that only waits for processors lets all others by, and waits for none.
        Retention that has rotated and not trimmed goes before all of them; before and after that it waits for them.
Rule 5: a legal hold wins until the data plane has committed, and is asked for again in every look that may commit.
        A held erasure gives its turn back: what others rotate meanwhile is not the version it recorded.
"""

from __future__ import annotations

from imagint_operator.api.requests import DataSubjectRequest, KeyVersions, StepName, StepState
from imagint_operator.api.tenants import Tenant
from imagint_operator.decisions import Wait
from imagint_operator.legalholds import HELD, named
from imagint_operator.requests.observations import Observed, turn
from imagint_operator.requests.steps import ERASURE, Decision, Operation, Run, step, unfinished
from imagint_operator.rotations import BEHIND_MESSAGE, KEY_BEHIND, KEY_MISSING, MISSING_MESSAGE, rotation, trimming
from imagint_operator.turns import QUEUED, awaiting_processors, between_rotate_and_trim, retention_has_key
from imagint_privacy.keys.ports import KeyState

DESTRUCTION_NEEDS = (StepName.FENCE, StepName.PROBE_BEFORE, StepName.COMMIT, StepName.COPY, StepName.DROP_CACHES)
UP_TO_COMMIT = ERASURE[: ERASURE.index(StepName.COMMIT) + 1]

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


def plan_erasure(request: DataSubjectRequest, observed: Observed) -> Decision:
    """What comes next."""
    name = unfinished(request)
    if held := _held(request, name, observed):
        return held
    waiting = _not_its_turn(request, observed)
    if waiting is not None and not (waiting.reason == QUEUED and awaiting_processors(request)):
        return waiting
    if name is None:
        return Run(StepName.CERTIFICATE, Operation.CERTIFY)
    if name is StepName.COMMIT and not observed.rechecked:
        return Run(name, Operation.CHECK_HOLDS_AGAIN)
    return _next(request, name, observed)


def _held(request: DataSubjectRequest, name: StepName | None, observed: Observed) -> Decision | None:
    """Rule 5. A commit that was begun may be done: then only the data plane knows, and is asked first."""
    begun = step(request.status, StepName.COMMIT).state is not StepState.PENDING
    if not observed.holds or name not in UP_TO_COMMIT or (begun and not observed.rechecked):
        return None
    if request.status.key_versions is not None:
        return Run(StepName.ROTATE, Operation.GIVE_BACK)
    return Wait(HELD, f"legal hold {named(observed.holds)} stands against it; it goes on by itself once that ends")


def _not_its_turn(request: DataSubjectRequest, observed: Observed) -> Wait | None:
    if observed.busy and observed.busy != request.metadata.uid:
        return Wait(QUEUED, "another erasure of this tenant, or its retention, is under way")
    retention = observed.tenant.status.retention if observed.tenant is not None else None
    if retention is not None and retention_has_key(retention.current):
        return Wait(QUEUED, "a run of retention of this tenant is between Rotate and Trim, and goes first")
    first = min(observed.others, default=None)
    if first is not None and first < turn(request):
        return Wait(QUEUED, f"erasure {first.name} of this tenant goes first")
    leaving = observed.tenant is not None and observed.tenant.status.deletion is not None
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
