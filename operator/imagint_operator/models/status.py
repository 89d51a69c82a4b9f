"""Pure: what a model's status says. The record of its revisions comes from `rollouts`."""

from __future__ import annotations

from datetime import datetime

from imagint_operator import names
from imagint_operator.api.models import (
    Candidate,
    CandidateState,
    ModelDeployment,
    ModelDeploymentStatus,
    ProbeStatus,
    RolloutStatus,
)
from imagint_operator.api.rollouts import ProbeType
from imagint_operator.conditions import Verdict, find, holds, merged, no, unknown, yes
from imagint_operator.models.observations import Observed
from imagint_operator.models.plan import ANSWERING, Probed, kind_of
from imagint_operator.models.rollouts import advanced
from imagint_operator.serve.ports import AppStatus
from imagint_operator.serve.revisions import makes_way

READY = "Ready"
DEPLOYED = "Deployed"
ROLLED_OUT = "RolledOut"
_WHY = {
    "QualityTooLow": "too few of its pictures were right",
    "ProbeFailed": "it made no pictures",
    "DeployFailed": "Ray Serve could not start it: its log says why",
    "DeadlineExceeded": "it did not pass within progressDeadlineSeconds",
}


def status(model: ModelDeployment, observed: Observed, probed: Probed, now: datetime) -> ModelDeploymentStatus:
    """The status to write."""
    rollout = advanced(model, observed, probed.tried, now)
    live = _live(model, rollout, observed)
    deployed = _deployed(rollout, observed, live)
    answering = _answering(model, rollout, observed, probed, live)
    first = answering if deployed.holds else deployed
    ready = (
        yes(READY, "Ready", "the model answers")
        if answering.holds and deployed.holds
        else no(READY, first.reason, first.message)
    )
    verdicts = (ready, deployed, answering, _rolled_out(model, rollout, observed))
    name = observed.tenant.name if observed.tenant else None
    return ModelDeploymentStatus(
        observed_generation=model.metadata.generation,
        application=names.generator_app(name, model.name, live) if name and live else None,
        probe=_seen(model, rollout, probed),
        rollout=rollout,
        conditions=merged(model.status.conditions, verdicts, generation=model.metadata.generation, now=now),
    )


def _seen(model: ModelDeployment, rollout: RolloutStatus, probed: Probed) -> ProbeStatus | None:
    """The last picture of what serves: a candidate's counts once it is promoted."""
    before = model.status.rollout.serving
    promoted = rollout.serving is not None and rollout.serving != before
    counts = probed.passed is not None and (probed.tried is None or promoted)
    return probed.passed if counts else model.status.probe


def _live(model: ModelDeployment, rollout: RolloutStatus, observed: Observed) -> str | None:
    """The revision that callers reach: the one before, until the Gateway is known to have turned to the next."""
    serving, retiring = rollout.serving, rollout.retiring
    if serving is None:
        return rollout.candidate.revision if rollout.candidate else None
    if observed.tenant is not None and retiring is not None:
        turned = names.generator_app(observed.tenant.name, model.name, serving.revision)
        if observed.told(model.name).serving != turned and observed.app(retiring.revision) is not None:
            return retiring.revision
    return serving.revision


def _deployed(rollout: RolloutStatus, observed: Observed, live: str | None) -> Verdict:
    if observed.tenant is None:
        return no(DEPLOYED, "TenantMissing", "this namespace belongs to no Tenant")
    if observed.refusal is not None:
        return no(DEPLOYED, observed.refusal.reason, observed.refusal.message)
    if observed.problem is not None:
        return unknown(DEPLOYED, observed.problem.reason, str(observed.problem))
    candidate = rollout.candidate
    if rollout.serving is None and candidate is not None and candidate.state is CandidateState.FAILED:
        return no(DEPLOYED, candidate.reason or "ProbeFailed", _kept_aside(candidate, rollout))
    if rollout.serving is not None and makes_way(rollout):
        return no(DEPLOYED, "Recreating", "the revision in service was stopped to make room for the next")
    app = observed.app(live)
    if app is None:
        return no(DEPLOYED, "Waiting", "the application is not asked for yet: the Tenant comes first")
    if app.status is AppStatus.DEPLOY_FAILED:
        return no(DEPLOYED, "DeployFailed", "Ray Serve could not start the model: its log says why; it is tried again")
    if app.status is AppStatus.UNHEALTHY:
        return no(DEPLOYED, "Unhealthy", "Ray Serve reports the model's replicas as unhealthy")
    if not app.running:
        return no(DEPLOYED, "Deploying", "Ray Serve is starting the model")
    return yes(DEPLOYED, "Running", "Ray Serve runs the model")


def _answering(
    model: ModelDeployment, rollout: RolloutStatus, observed: Observed, probed: Probed, live: str | None
) -> Verdict:
    if probed.problem is not None:
        return no(ANSWERING, "ProbeFailed", f"no picture came back: {probed.problem}")
    app, held = observed.app(live), find(model.status.conditions, ANSWERING)
    if rollout.serving is None:
        return unknown(ANSWERING, "NotProbed", "no revision has passed its probe yet")
    if app is None or not app.running:
        return unknown(ANSWERING, "NotProbed", "not tried yet with this configuration")
    if rollout.retiring is not None and held is not None and holds(model.status.conditions, ANSWERING):
        # Callers are being led from one revision that answers to another that has passed.
        return yes(ANSWERING, held.reason, held.message)
    probe = _seen(model, rollout, probed)
    if probe is None or probe.config_digest != app.digest:
        return unknown(ANSWERING, "NotProbed", "not tried yet with this configuration")
    fresh = probed.passed is not None and probed.tried is None
    if not fresh and not holds(model.status.conditions, ANSWERING):
        return unknown(ANSWERING, "NotProbed", "not tried yet since it was started")
    return yes(ANSWERING, "Answering", f"made a picture in {probe.milliseconds} ms")


def _rolled_out(model: ModelDeployment, rollout: RolloutStatus, observed: Observed) -> Verdict:
    candidate, serving = rollout.candidate, rollout.serving
    if observed.tenant is None or (candidate is None and serving is None):
        return unknown(ROLLED_OUT, "Waiting", "no revision was asked for yet")
    if candidate is None:
        return yes(ROLLED_OUT, "Promoted", f"revision {serving.revision if serving else ''} serves; {_asked(model)}")
    if candidate.state is CandidateState.FAILED:
        return no(ROLLED_OUT, candidate.reason or "ProbeFailed", _kept_aside(candidate, rollout))
    if candidate.state is CandidateState.PROBING:
        most = model.spec.rollout.probe.attempts
        message = f"revision {candidate.revision} is being tried: {candidate.attempts} of {most} attempts are spent"
        return no(ROLLED_OUT, "Probing", message)
    return no(ROLLED_OUT, "Starting", f"revision {candidate.revision} is starting")


def _asked(model: ModelDeployment) -> str:
    return {
        ProbeType.SHAPES: "its drawings were measured",
        ProbeType.GOLDEN: "its pictures were compared with the golden ones",
        ProbeType.PICTURE: "its pictures were seen not to be blank, and no more was asked",
        ProbeType.SKIP: "nothing was asked of it: spec.rollout.probe.reason says why",
    }[kind_of(model)]


def _kept_aside(candidate: Candidate, rollout: RolloutStatus) -> str:
    score = "" if candidate.score is None else f" ({candidate.score} of 100)"
    why = _WHY.get(candidate.reason or "", "it failed")
    other = f"revision {rollout.serving.revision} serves on" if rollout.serving else "nothing serves"
    return (
        f"revision {candidate.revision} is kept aside after {candidate.attempts} attempts: {why}{score}; {other}. "
        "Change the spec, or spec.rollout.retry to try it again"
    )
