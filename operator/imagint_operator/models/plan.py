"""Pure: what a model needs next, and what its status says. Serve's writer deploys it; what is left is to try it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from imagint_operator import names
from imagint_operator.api.models import ModelDeployment, ModelDeploymentStatus, ProbeStatus
from imagint_operator.conditions import Verdict, holds, merged, no, unknown, yes
from imagint_operator.errors import OperatorError
from imagint_operator.models.observations import Observed
from imagint_operator.serve.ports import AppStatus

READY = "Ready"
DEPLOYED = "Deployed"
ANSWERING = "Answering"


@dataclass(frozen=True, slots=True)
class AskWriter:
    """Serve's writer has not seen this generation yet."""


@dataclass(frozen=True, slots=True)
class Probe:
    """Have the model make a tiny picture through the Gateway."""

    tenant: str
    model: str
    digest: str


@dataclass(frozen=True, slots=True)
class Probed:
    """What the probe came to."""

    passed: ProbeStatus | None = None
    problem: OperatorError | None = None


Action = AskWriter | Probe


def plan(model: ModelDeployment, observed: Observed) -> tuple[Action, ...]:
    """What has to be done next."""
    if observed.tenant is None or observed.problem is not None:
        return ()
    if observed.app is None or observed.app.generation != model.metadata.generation:
        return (AskWriter(),)
    if not (observed.app.running and observed.gateway and observed.gateway.running):
        return ()
    answered = model.status.probe is not None and model.status.probe.config_digest == observed.app.digest
    if answered and holds(model.status.conditions, ANSWERING):
        return ()
    return (Probe(observed.tenant.name, model.name, observed.app.digest),)


def status(model: ModelDeployment, observed: Observed, probed: Probed, now: datetime) -> ModelDeploymentStatus:
    """The status to write."""
    deployed = _deployed(model, observed)
    answering = _answering(model, observed, probed, deployed)
    first = answering if deployed.holds else deployed
    ready = (
        yes(READY, "Ready", "the model answers")
        if answering.holds and deployed.holds
        else no(READY, first.reason, first.message)
    )
    name = observed.tenant.name if observed.tenant else None
    return ModelDeploymentStatus(
        observed_generation=model.metadata.generation,
        application=names.generator_app(name, model.name) if name else None,
        probe=probed.passed or model.status.probe,
        conditions=merged(
            model.status.conditions, (ready, deployed, answering), generation=model.metadata.generation, now=now
        ),
    )


def _deployed(model: ModelDeployment, observed: Observed) -> Verdict:
    if observed.tenant is None:
        return no(DEPLOYED, "TenantMissing", "this namespace belongs to no Tenant")
    if observed.refusal is not None:
        return no(DEPLOYED, observed.refusal.reason, observed.refusal.message)
    if observed.problem is not None:
        return unknown(DEPLOYED, observed.problem.reason, str(observed.problem))
    if observed.app is None or observed.app.generation != model.metadata.generation:
        return no(DEPLOYED, "Waiting", "the application is not asked for yet: the Tenant comes first")
    if observed.app.status is AppStatus.DEPLOY_FAILED:
        return no(DEPLOYED, "DeployFailed", "Ray Serve could not start the model: its log says why; it is tried again")
    if observed.app.status is AppStatus.UNHEALTHY:
        return no(DEPLOYED, "Unhealthy", "Ray Serve reports the model's replicas as unhealthy")
    if not observed.app.running:
        return no(DEPLOYED, "Deploying", "Ray Serve is starting the model")
    return yes(DEPLOYED, "Running", "Ray Serve runs the model")


def _answering(model: ModelDeployment, observed: Observed, probed: Probed, deployed: Verdict) -> Verdict:
    if probed.problem is not None:
        return no(ANSWERING, "ProbeFailed", f"no picture came back: {probed.problem}")
    probe = probed.passed or model.status.probe
    if not deployed.holds or probe is None or observed.app is None or probe.config_digest != observed.app.digest:
        return unknown(ANSWERING, "NotProbed", "not tried yet with this configuration")
    if probed.passed is None and not holds(model.status.conditions, ANSWERING):
        return unknown(ANSWERING, "NotProbed", "not tried yet since it was started")
    return yes(ANSWERING, "Answering", f"made a picture in {probe.milliseconds} ms")
