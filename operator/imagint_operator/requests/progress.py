"""Pure: how a request's status moves. Each move is written down before the next operation begins."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from imagint_operator.api.requests import (
    DataSubjectRequest,
    DataSubjectRequestStatus,
    Evidence,
    KeyVersions,
    ProcessorProgress,
    ProcessorState,
    RequestType,
    Step,
    StepName,
    StepResult,
    StepState,
)
from imagint_operator.conditions import Verdict, merged, no, yes
from imagint_operator.requests.observations import received_at
from imagint_operator.requests.plan import step
from imagint_operator.turns import COMPLETE
from imagint_privacy import clocks

KEY_DESTROYED = "KeyDestroyed"
IN_PROGRESS = "InProgress"
OPEN = frozenset({ProcessorState.PENDING, ProcessorState.TOLD, ProcessorState.ACKNOWLEDGED})
SKIPPED_WHEN_NOTHING_HELD = (
    StepName.PROBE_BEFORE, StepName.ROTATE, StepName.COMMIT, StepName.COPY, StepName.DROP_CACHES, StepName.TRIM,
    StepName.PURGE, StepName.PROBE_AFTER, StepName.PROCESSORS,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Finding:
    """What an operation found. `finished` says whether its step is done; `waiting` asks to come back later."""

    finished: bool = True
    failed: bool = False
    nothing_held: bool = False
    waiting: float | None = None
    result: StepResult | None = None
    key_versions: KeyVersions | None = None
    evidence: Evidence | None = None
    processors: tuple[ProcessorProgress, ...] | None = None
    completed_at: datetime | None = None
    snapshot_retention: timedelta | None = None


def begun(request: DataSubjectRequest) -> DataSubjectRequestStatus:
    """The status at first sight: the clock, and for an erasure every step as Pending."""
    received = received_at(request)
    deadlines = clocks.deadlines(request.spec.regulation.value, received)
    steps = request.status.steps
    if not steps and request.spec.type is RequestType.ERASE:
        steps = tuple(Step(name=name) for name in StepName)
    return request.status.model_copy(
        update={
            "observed_generation": request.metadata.generation,
            "acknowledge_by": _seconds(deadlines.acknowledge_by),
            "due_by": _seconds(deadlines.due_by),
            "steps": steps,
        }
    )


def running(status: DataSubjectRequestStatus, name: StepName, now: datetime) -> DataSubjectRequestStatus:
    """One step as Running, since now or since it was first begun."""
    found = step(status, name)
    started = found.started_at or now
    return _with(status, found.model_copy(update={"state": StepState.RUNNING, "started_at": started}))


def advanced(
    status: DataSubjectRequestStatus, name: StepName, finding: Finding, now: datetime
) -> DataSubjectRequestStatus:
    """The status with what an operation of a step found."""
    found = step(status, name)
    change: dict[str, object] = {"result": finding.result or found.result}
    if finding.failed:
        change["state"] = StepState.FAILED
    elif finding.finished:
        change |= {"state": StepState.DONE, "finished_at": now}
    after = _with(status, found.model_copy(update=change))
    if finding.nothing_held:
        for skipped in SKIPPED_WHEN_NOTHING_HELD:
            after = _with(after, Step(name=skipped, state=StepState.SKIPPED))
    news = {
        "key_versions": finding.key_versions,
        "evidence": finding.evidence,
        "processors": finding.processors,
        "completed_at": finding.completed_at,
        "irrecoverable_after": now + kept if (kept := finding.snapshot_retention) is not None else None,
    }
    return after.model_copy(update={field: value for field, value in news.items() if value is not None})


def judged(
    request: DataSubjectRequest, status: DataSubjectRequestStatus, verdict: Verdict, now: datetime
) -> DataSubjectRequestStatus:
    """The status with its conditions: Complete as given, KeyDestroyed as recorded."""
    verdicts = [verdict]
    if request.spec.type is RequestType.ERASE:
        verdicts.append(_key_destroyed(status))
    conditions = merged(request.status.conditions, verdicts, generation=request.metadata.generation, now=now)
    return status.model_copy(update={"conditions": conditions})


def complete(status: DataSubjectRequestStatus) -> Verdict:
    """The verdict once every step is done."""
    if nothing_held(status):
        return yes(COMPLETE, "NothingHeld", "nothing was held about this subject; the certificate says so")
    return yes(COMPLETE, "Erased", "the keys are destroyed, the data is deleted, and the certificate is issued")


def in_progress(status: DataSubjectRequestStatus) -> Verdict:
    """The verdict while steps are left."""
    at = next((found.name for found in status.steps if found.state is StepState.RUNNING), StepName.HOLD_CHECK)
    waited = [entry.name for entry in status.processors if entry.state in OPEN]
    if at is StepName.PROCESSORS and waited:
        named = ", ".join(waited[:5]) + (f" and {len(waited) - 5} more" if len(waited) > 5 else "")
        by = max(entry.by for entry in status.processors if entry.state in OPEN)
        return no(COMPLETE, IN_PROGRESS, f"at step {at}: waiting for {named}, until {by:%Y-%m-%d} at the latest")
    return no(COMPLETE, IN_PROGRESS, f"at step {at}")


def nothing_held(status: DataSubjectRequestStatus) -> bool:
    """Whether the fence found nothing."""
    return step(status, StepName.ROTATE).state is StepState.SKIPPED


def _key_destroyed(status: DataSubjectRequestStatus) -> Verdict:
    if nothing_held(status):
        return no(KEY_DESTROYED, "NothingHeld", "there was no key to destroy")
    if step(status, StepName.TRIM).state is not StepState.DONE or status.key_versions is None:
        return no(KEY_DESTROYED, "NotYet", "the subject's keys still exist")
    return yes(KEY_DESTROYED, "Trimmed", f"version {status.key_versions.from_} of the tenant's key is destroyed")


def _with(status: DataSubjectRequestStatus, changed: Step) -> DataSubjectRequestStatus:
    known = {found.name: found for found in status.steps} | {changed.name: changed}
    ordered = tuple(known[name] for name in StepName if name in known)
    return status.model_copy(update={"steps": ordered})


def _seconds(moment: datetime) -> datetime:
    return moment.replace(microsecond=0)
