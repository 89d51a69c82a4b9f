"""Pure: the record of a model's revisions, and its next state. Every change of it is written before it is acted on.

What serves has passed its probe (or the spec said to ask nothing). It is replaced only by another that has, and it goes
only when the Gateway is known to have let it go.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from imagint_operator.api.models import (
    Candidate,
    CandidateState,
    ModelDeployment,
    Outcome,
    PastRevision,
    RetiringRevision,
    RolloutStatus,
    ServingRevision,
)
from imagint_operator.api.rollouts import ProbeType
from imagint_operator.models.observations import Observed, Tried
from imagint_operator.serve.ports import AppStatus
from imagint_operator.serve.revisions import gate_of, is_tried, makes_way, revision_of, route, template_of

DRAIN = timedelta(seconds=30)
HISTORY = 10
DEPLOY_FAILED = "DeployFailed"
DEADLINE_EXCEEDED = "DeadlineExceeded"
QUALITY_TOO_LOW = "QualityTooLow"
PROBE_FAILED = "ProbeFailed"


def begun(model: ModelDeployment, now: datetime) -> RolloutStatus:
    """The record as the spec has it now: a new revision is a candidate, a spec back at what serves ends the rollout."""
    rollout, template, gate = model.status.rollout, template_of(model.spec), gate_of(model.spec)
    revision, candidate = revision_of(template), rollout.candidate
    if rollout.serving is not None and rollout.serving.revision == revision:
        return rollout if candidate is None else _abandoned(rollout, now)
    if candidate is not None and (candidate.revision, candidate.gate) == (revision, gate):
        return rollout
    fresh = Candidate(
        revision=revision,
        template=template,
        gate=gate,
        strategy=model.spec.rollout.strategy,
        began=now,
        at=now,
    )
    retiring = rollout.retiring
    kept = None if retiring is not None and retiring.revision == revision else retiring
    return _abandoned(rollout, now).model_copy(update={"candidate": fresh, "retiring": kept})


def advanced(model: ModelDeployment, observed: Observed, tried: Tried | None, now: datetime) -> RolloutStatus:
    """The record after one look: at most one step of the candidate, and the end of what is retiring."""
    before = model.status.rollout
    rollout = begun(model, now)
    if rollout != before or observed.tenant is None or observed.problem is not None:
        return rollout if observed.tenant is not None else before
    if rollout.candidate is not None and is_tried(rollout.candidate):
        rollout = _stepped(model, rollout.candidate, observed, tried, now)
    return rollout if rollout != before else _retired(model, observed, now)


def is_ready(model: ModelDeployment, observed: Observed) -> bool:
    """Whether the candidate can be tried: it runs, and the Gateway was told of it."""
    candidate, tenant = model.status.rollout.candidate, observed.tenant
    if candidate is None or tenant is None or not observed.gateway_runs or not observed.runs(candidate.revision):
        return False
    wanted = route(tenant.name, model).candidate
    return wanted is not None and observed.told(model.name).candidate == wanted


def _stepped(
    model: ModelDeployment, candidate: Candidate, observed: Observed, tried: Tried | None, now: datetime
) -> RolloutStatus:
    rollout, ready = model.status.rollout, is_ready(model, observed)
    if ready and model.spec.rollout.probe.type is ProbeType.SKIP:
        return _promoted(rollout, candidate, None, now)
    if ready and candidate.state is CandidateState.STARTING:
        return _with(rollout, candidate.model_copy(update={"state": CandidateState.PROBING, "at": now}))
    if tried is not None and candidate.state is CandidateState.PROBING:
        return _judged(model, candidate, tried, now)
    late = now - candidate.began > timedelta(seconds=model.spec.rollout.progress_deadline_seconds)
    # A Gateway that does not run is not the revision's fault.
    if late and observed.gateway_runs:
        app = observed.app(candidate.revision)
        failed = app is not None and app.status is AppStatus.DEPLOY_FAILED
        return _failed(rollout, candidate, DEPLOY_FAILED if failed else DEADLINE_EXCEEDED, now)
    return rollout


def _judged(model: ModelDeployment, candidate: Candidate, tried: Tried, now: datetime) -> RolloutStatus:
    probe, rollout = model.spec.rollout.probe, model.status.rollout
    score = tried.score if tried.ok else None
    counted = candidate.model_copy(update={"attempts": candidate.attempts + 1, "score": score, "at": now})
    if tried.ok and tried.score >= probe.min_score:
        return _promoted(rollout, counted, tried, now)
    if counted.attempts >= probe.attempts:
        return _failed(rollout, counted, QUALITY_TOO_LOW if tried.ok else PROBE_FAILED, now)
    return _with(rollout, counted)


def _promoted(rollout: RolloutStatus, candidate: Candidate, tried: Tried | None, now: datetime) -> RolloutStatus:
    old, stopped = rollout.serving, makes_way(rollout)
    serving = ServingRevision(
        revision=candidate.revision,
        template=candidate.template,
        since=now,
        score=candidate.score,
        hashes=tried.hashes if tried else (),
    )
    leaving = RetiringRevision(revision=old.revision, template=old.template, since=now) if old and not stopped else None
    return RolloutStatus(
        serving=serving, retiring=leaving, history=_told(rollout, candidate, Outcome.PROMOTED, None, now)
    )


def _failed(rollout: RolloutStatus, candidate: Candidate, reason: str, now: datetime) -> RolloutStatus:
    aside = candidate.model_copy(update={"state": CandidateState.FAILED, "reason": reason, "at": now})
    history = _told(rollout, candidate, Outcome.FAILED, reason, now)
    return rollout.model_copy(update={"candidate": aside, "history": history})


def _abandoned(rollout: RolloutStatus, now: datetime) -> RolloutStatus:
    candidate = rollout.candidate
    if candidate is None or not is_tried(candidate):
        return rollout.model_copy(update={"candidate": None})
    history = _told(rollout, candidate, Outcome.REPLACED, None, now)
    return rollout.model_copy(update={"candidate": None, "history": history})


def _retired(model: ModelDeployment, observed: Observed, now: datetime) -> RolloutStatus:
    rollout, tenant = model.status.rollout, observed.tenant
    if rollout.retiring is None or tenant is None:
        return rollout
    switched = observed.told(model.name) == route(tenant.name, model) and observed.gateway_runs
    if switched and now - rollout.retiring.since >= DRAIN:
        return rollout.model_copy(update={"retiring": None})
    return rollout


def _with(rollout: RolloutStatus, candidate: Candidate) -> RolloutStatus:
    return rollout.model_copy(update={"candidate": candidate})


def _told(
    rollout: RolloutStatus, candidate: Candidate, outcome: Outcome, reason: str | None, now: datetime
) -> tuple[PastRevision, ...]:
    line = PastRevision(revision=candidate.revision, outcome=outcome, reason=reason, score=candidate.score, at=now)
    return (line, *rollout.history)[:HISTORY]
