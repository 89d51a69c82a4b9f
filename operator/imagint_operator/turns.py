"""Whose turn it is with a tenant's key: erasures and retention both rotate it, and must never do so between each other.

The rules are pure: they are told what is recorded. `Turns` remembers who is at work in this process, so that whoever
looks next finds the other's record written. Other operators wait for the Lease (`leases.py`).
"""

from __future__ import annotations

from imagint_operator.api.requests import DataSubjectRequest, RequestType, StepName, StepState
from imagint_operator.api.retention import RetentionRun, RetentionStatus, RetentionStep
from imagint_operator.conditions import find, holds
from imagint_operator.kube.resources import ObjectKey
from imagint_operator.legalholds import HELD

COMPLETE = "Complete"
RETENTION = "Retention"
QUEUED = "Queued"
QUEUED_SECONDS = 2.0
NOT_YET_RECEIVED = "NotYetReceived"
STUCK = frozenset(
    {HELD, "ProbeFailed", "ProberRefused", "PurgeIncomplete", "EvidenceRefused", "DataPlaneRefused"}
)  # of one request: what is wrong with Vault, the key or the apiserver stops all of a tenant's alike
_STEPS = list(RetentionStep)


class Turns:
    """Who is at work on each tenant now, by namespace."""

    def __init__(self) -> None:
        self._holders: dict[str, str] = {}

    def take(self, namespace: str, who: str) -> str:
        """Take the turn if it is free; answers who has it."""
        return self._holders.setdefault(namespace, who)

    def release(self, namespace: str, who: str) -> None:
        """Give the turn back, if it was one's own."""
        if self._holders.get(namespace) == who:
            del self._holders[namespace]


def retention_of(tenant: str) -> ObjectKey:
    """The key in the work queue under which a tenant's retention is looked at."""
    return ObjectKey(RETENTION, "", tenant)


def between_rotate_and_trim(request: DataSubjectRequest) -> bool:
    """Whether the tenant's key is, or may be, rotated for this erasure and not yet trimmed."""
    return request.status.key_versions is not None and not _done(request, StepName.TRIM)


def awaiting_processors(request: DataSubjectRequest) -> bool:
    """Whether nothing is left to do here but to hear from processors: that can take weeks, and needs no turn."""
    states = {step.name: step.state for step in request.status.steps}
    running = states.get(StepName.PROCESSORS) in {StepState.RUNNING, StepState.FAILED}
    return running and states.get(StepName.PROBE_AFTER) in {StepState.DONE, StepState.SKIPPED}  # nothing held: skipped


def in_line(request: DataSubjectRequest) -> bool:
    """Whether this erasure still wants the tenant to itself. One that is stuck after the trim lets others by."""
    if request.spec.type is not RequestType.ERASE or request.metadata.deletion_timestamp is not None:
        return False
    if holds(request.status.conditions, COMPLETE):
        return False
    if awaiting_processors(request):
        return False
    found = find(request.status.conditions, COMPLETE)
    return between_rotate_and_trim(request) or found is None or found.reason not in STUCK


def before_retention(request: DataSubjectRequest) -> bool:
    """Whether retention lets this erasure go first: each that is in line and was received by now."""
    found = find(request.status.conditions, COMPLETE)
    return in_line(request) and (found is None or found.reason != NOT_YET_RECEIVED)


def retention_has_key(run: RetentionRun | None) -> bool:
    """Whether the tenant's key is, or may be, rotated for this run and not yet trimmed."""
    return run is not None and run.key_versions is not None and not trimmed(run)


def trimmed(run: RetentionRun) -> bool:
    """Whether this run has destroyed the old versions of the key."""
    return run.key_versions is not None and _STEPS.index(run.step) > _STEPS.index(RetentionStep.TRIM)


def destroyed_by_retention(status: RetentionStatus | None) -> int:
    """Below which version of the key the recorded runs destroyed everything; 0 when none came that far."""
    if status is None:
        return 0
    run, last = status.current, status.last
    now = run.key_versions.to if run is not None and run.key_versions is not None and trimmed(run) else 0
    return max(now, (last.key_version or 0) if last is not None else 0)


def _done(request: DataSubjectRequest, name: StepName) -> bool:
    return any(step.name is name and step.state is StepState.DONE for step in request.status.steps)
