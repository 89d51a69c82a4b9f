"""Pure: the one operation that a tenant's retention needs next, or why it waits.

Rule 1: steps run in their order; none begins before the one ahead is recorded as done.
Rule 2: the versions of the key are recorded before the first rotation, so a crash never rotates twice.
Rule 3: nothing is destroyed before the new tree is in every copy and out of every cache (rule 1 gives it; the plan
        asks again, so that a change of the order cannot take it away).
Rule 4: erasures go first: a run neither begins nor goes on while one wants the tenant to itself, unless the run has
        rotated and not trimmed. Then the erasures wait for it.
Rule 5: new rules wait for the next slot. A run begun with other rules is dropped while its key is not rotated.
Rule 6: a legal hold over the tenant stops runs; the subjects of other holds are excepted. A run counted before a hold
        came or went is dropped until the data plane has committed, and holds are asked for again in every look that may
        commit. One that is dropped after it rotated gives its turn back: the next run rotates anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from imagint_operator.api.retention import RetentionRun, RetentionStatus, RetentionStep
from imagint_operator.api.tenants import Tenant, TenantState
from imagint_operator.decisions import Rest, Wait
from imagint_operator.legalholds import HELD, digest, named
from imagint_operator.retention.observations import HOLDER, Observed
from imagint_operator.retention.slots import slot_after
from imagint_operator.rotations import BEHIND_MESSAGE, KEY_BEHIND, KEY_MISSING, MISSING_MESSAGE, rotation, trimming
from imagint_operator.turns import QUEUED, retention_has_key
from imagint_privacy.keys.ports import KeyState


class Operation(StrEnum):
    """One thing to do, recorded when done."""

    SCHEDULE = "Schedule"
    DROP = "Drop"
    START = "Start"
    BEGIN = "Begin"
    RECORD_VERSIONS = "RecordVersions"
    ROTATE = "Rotate"
    CONFIRM_ROTATION = "ConfirmRotation"
    CHECK_HOLDS_AGAIN = "CheckHoldsAgain"
    COMMIT = "Commit"
    COPY = "Copy"
    DROP_CACHES = "DropCaches"
    RAISE_MINIMUM = "RaiseMinimum"
    TRIM = "Trim"
    CONFIRM_TRIM = "ConfirmTrim"
    PURGE = "Purge"
    COMPLETE = "Complete"


MOST_EXCEPTED = 10_000  # what a Gateway takes


@dataclass(frozen=True, slots=True)
class Run:
    """Do this."""

    operation: Operation


Decision = Run | Wait | Rest

_PLAIN = {
    RetentionStep.BEGIN: Operation.BEGIN,
    RetentionStep.COMMIT: Operation.COMMIT,
    RetentionStep.COPY: Operation.COPY,
    RetentionStep.DROP_CACHES: Operation.DROP_CACHES,
    RetentionStep.PURGE: Operation.PURGE,
    RetentionStep.COMPLETE: Operation.COMPLETE,
}


def plan(tenant: Tenant, observed: Observed, now: datetime) -> Decision:
    """What comes next."""
    if decided := without_looking(tenant, now):
        return decided
    run = recorded(tenant).current
    if waiting := _not_its_turn(run, observed):
        return waiting
    if decided := _held(run, observed):
        return decided
    return _next(tenant, run, observed.key) if run is not None else Run(Operation.START)


def without_looking(tenant: Tenant, now: datetime) -> Decision | None:
    """What can be said from the Tenant alone, whatever the state of Vault, the data plane and the erasures."""
    status, leaving = recorded(tenant), tenant.metadata.deletion_timestamp is not None
    if status.current is not None:
        if leaving and not retention_has_key(status.current):
            return Wait("TenantDeleting", "the Tenant is being deleted; with its key everything becomes unreadable")
        return Run(Operation.DROP) if _outdated(tenant, status.current) else None
    if not tenant.spec.retention or leaving:
        return Rest()
    if status.next_at is None or slot_after(tenant, now) < status.next_at:
        return Run(Operation.SCHEDULE)
    if now < status.next_at:
        return Rest(status.next_at)
    if tenant.spec.state is TenantState.SUSPENDED:
        return Wait("TenantSuspended", "the tenant is suspended")
    return None


def recorded(tenant: Tenant) -> RetentionStatus:
    """What is recorded of a tenant's retention."""
    return tenant.status.retention or RetentionStatus()


def _outdated(tenant: Tenant, run: RetentionRun) -> bool:
    """Rule 5."""
    early = run.step in {RetentionStep.BEGIN, RetentionStep.ROTATE} and run.key_versions is None
    return early and run.rules != tenant.spec.retention


def _not_its_turn(run: RetentionRun | None, observed: Observed) -> Wait | None:
    """Rule 4."""
    if observed.busy and observed.busy != HOLDER:
        return Wait(QUEUED, "an erasure of this tenant is under way")
    if observed.erasures and not retention_has_key(run):
        return Wait(QUEUED, f"erasure {observed.erasures[0]} of this tenant goes first")
    return None


def _held(run: RetentionRun | None, observed: Observed) -> Decision | None:
    """Rule 6."""
    if run is not None and run.key_versions is not None:
        return _held_once_rotated(run, observed)
    if observed.holds:
        return Wait(HELD, f"legal hold {named(observed.holds)} stands against forgetting anything of this tenant")
    if len(observed.excepted) > MOST_EXCEPTED:
        return Wait(HELD, f"more than {MOST_EXCEPTED} subjects are under legal hold: no run can leave out so many")
    counted = run is not None and run.step is RetentionStep.ROTATE
    stale = run is not None and counted and run.excepted_digest != digest(observed.excepted)
    return Run(Operation.DROP) if stale else None


def _held_once_rotated(run: RetentionRun, observed: Observed) -> Decision | None:
    """Rule 6. A commit that was begun may be done: then only the data plane knows, and is asked first."""
    if run.step is not RetentionStep.COMMIT:
        return None
    if not observed.rechecked:
        return Run(Operation.CHECK_HOLDS_AGAIN)
    held = observed.holds or run.excepted_digest != digest(observed.excepted)
    return Run(Operation.DROP) if held and not observed.committed else None


def _next(tenant: Tenant, run: RetentionRun, key: KeyState | None) -> Decision:
    if run.step in _PLAIN:
        return Run(_PLAIN[run.step])
    if key is None:
        return Wait(KEY_MISSING, MISSING_MESSAGE)
    if run.step is RetentionStep.TRIM:
        return _trimming(run, key)
    below = tenant.status.key.destroyed_below if tenant.status.key else 0
    move = rotation(key, run.key_versions, below)
    return Wait(KEY_BEHIND, BEHIND_MESSAGE) if move is None else Run(Operation(move.value))


def _trimming(run: RetentionRun, key: KeyState) -> Decision:
    """Rule 3."""
    versions = run.key_versions
    if versions is None or run.generation is None or run.key_version is None or run.key_version < versions.to:
        return Wait("OutOfOrder", "not destroying: no tree under the new version of the key is recorded")
    if not run.copies or run.bound_seconds is None:
        return Wait("OutOfOrder", "not destroying: the new tree's copies, or the end of the old keys, are not recorded")
    move = trimming(key, versions)
    return Wait(KEY_BEHIND, BEHIND_MESSAGE) if move is None else Run(Operation(move.value))
