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
from imagint_operator.requests import deadlines
from imagint_operator.requests.steps import ERASURE, LIMITING, step, steps_of, unfinished
from imagint_operator.turns import COMPLETE

KEY_DESTROYED = "KeyDestroyed"
IN_FORCE = "InForce"
LIFTED = "Lifted"
IN_PROGRESS = "InProgress"
OPEN = frozenset({ProcessorState.PENDING, ProcessorState.TOLD, ProcessorState.ACKNOWLEDGED})
SKIPPED_WHEN_NOTHING_HELD = (
    StepName.PROBE_BEFORE, StepName.ROTATE, StepName.COMMIT, StepName.COPY, StepName.DROP_CACHES, StepName.TRIM,
    StepName.PURGE, StepName.PROBE_AFTER,
)  # fmt: skip
"""Not Processors: what has expired here, or was erased here before, a recipient may hold all the same."""


_ORDER = {name: at for at, name in enumerate((*ERASURE, *(name for name in StepName if name not in ERASURE)))}


@dataclass(frozen=True, slots=True)
class Finding:
    """What an operation found. `finished` says whether its step is done; `waiting` asks to come back later.

    `holds` are the legal holds seen when they were asked for again: None when it was too late to ask.
    """

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
    holds: tuple[str, ...] | None = None
    given_back: bool = False


def begun(request: DataSubjectRequest, now: datetime) -> DataSubjectRequestStatus:
    """The status at first sight: the clock, and every step as Pending."""
    steps = request.status.steps or tuple(Step(name=name) for name in steps_of(request))
    update = {"observed_generation": request.metadata.generation, "steps": steps}
    return deadlines.clocked(request, now).model_copy(update=update)


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
    if finding.holds is not None:
        after = _asked_again(after, finding.holds, now)
    if finding.given_back:
        return _given_back(after)
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
    """The status with its conditions: Complete as given, the others as recorded and as the clock says."""
    verdicts = [verdict]
    if request.spec.type is RequestType.ERASE:
        verdicts.append(_key_destroyed(status))
    elif request.spec.type in LIMITING and request.spec.lift is None:
        verdicts.append(_in_force(request, status))
    verdicts.append(deadlines.verdict(status, now, complete=verdict.holds))
    conditions = merged(request.status.conditions, verdicts, generation=request.metadata.generation, now=now)
    return status.model_copy(update={"conditions": conditions})


def finished(request: DataSubjectRequest) -> bool:
    """Whether every step of the request is recorded as finished."""
    return unfinished(request) is None


def complete(request: DataSubjectRequest) -> Verdict:
    """The verdict once every step is done."""
    if request.spec.lift is not None:
        return yes(COMPLETE, LIFTED, f"what request {request.spec.lift.request} began has ended")
    if request.spec.type is RequestType.RESTRICT:
        return yes(COMPLETE, "Restricted", "the data is stored and not used, until a request lifts this one")
    if request.spec.type is RequestType.OBJECT:
        return yes(COMPLETE, "Objected", "the purposes objected to have stopped, until a request lifts this one")
    if nothing_held(request.status):
        return yes(COMPLETE, "NothingHeld", "nothing was held about this subject; the certificate says so")
    return yes(COMPLETE, "Erased", "the keys are destroyed, the data is deleted, and the certificate is issued")


def in_progress(status: DataSubjectRequestStatus) -> Verdict:
    """The verdict while steps are left."""
    at = next((found.name for found in status.steps if found.state is StepState.RUNNING), status.steps[0].name)
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


def _in_force(request: DataSubjectRequest, status: DataSubjectRequestStatus) -> Verdict:
    if status.lifted_at is not None:
        return no(IN_FORCE, LIFTED, "it was lifted, by a later request or by the erasure of what it was about")
    if step(status, StepName.CONFIRM).state is not StepState.DONE:
        return no(IN_FORCE, "NotYet", "the data plane has not confirmed it yet")
    return yes(IN_FORCE, complete(request).reason, "the data plane enforces it; deleting this request does not lift it")


def _asked_again(status: DataSubjectRequestStatus, holds: tuple[str, ...], now: datetime) -> DataSubjectRequestStatus:
    """The hold check as last made: the certificate tells this one."""
    check = step(status, StepName.HOLD_CHECK)
    result = (check.result or StepResult()).model_copy(update={"active_holds": len(holds), "observed_at": now})
    return _with(status, check.model_copy(update={"result": result}))


def _given_back(status: DataSubjectRequestStatus) -> DataSubjectRequestStatus:
    """As before the rotation: the key is rotated anew once the erasure goes on. Nothing was committed under it."""
    after = _with(_with(status, Step(name=StepName.ROTATE)), Step(name=StepName.COMMIT))
    return after.model_copy(update={"key_versions": None})


def _with(status: DataSubjectRequestStatus, changed: Step) -> DataSubjectRequestStatus:
    known = {found.name: found for found in status.steps} | {changed.name: changed}
    ordered = tuple(sorted(known.values(), key=lambda found: _ORDER[found.name]))
    return status.model_copy(update={"steps": ordered})
