"""Pure: what a model needs next. Serve's writer runs what the record says; what is left is to try it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from imagint_operator import names
from imagint_operator.api.models import Candidate, CandidateState, ModelDeployment, ProbeStatus, SourceType
from imagint_operator.api.rollouts import ProbeType
from imagint_operator.conditions import holds
from imagint_operator.errors import OperatorError
from imagint_operator.models.observations import Observed, Tried
from imagint_operator.models.rollouts import begun, is_ready
from imagint_operator.serve.revisions import route, running

ANSWERING = "Answering"
SHAPES = "shapes"
PAUSE = timedelta(seconds=3)


@dataclass(frozen=True, slots=True)
class AskWriter:
    """Serve's writer has not seen this generation, or this record, yet."""


@dataclass(frozen=True, slots=True)
class Probe:
    """Have the model make a tiny picture through the Gateway, as callers would."""

    tenant: str
    model: str
    digest: str


@dataclass(frozen=True, slots=True)
class Try:
    """Have the candidate do what it must do before it serves."""

    tenant: str
    model: str
    digest: str
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Probed:
    """What the probe and the trial came to."""

    passed: ProbeStatus | None = None
    problem: OperatorError | None = None
    tried: Tried | None = None


Action = AskWriter | Probe | Try


def plan(model: ModelDeployment, observed: Observed, now: datetime) -> tuple[Action, ...]:
    """What has to be done next: nothing, as long as the record is behind the spec."""
    if observed.tenant is None or observed.problem is not None or begun(model, now) != model.status.rollout:
        return ()
    tenant, rollout = observed.tenant.name, model.status.rollout
    wanted = running(rollout)
    known = [observed.app(revision) for revision in wanted]
    if any(app is None or app.generation != model.metadata.generation for app in known):
        return (AskWriter(),)
    candidate = rollout.candidate
    if candidate is not None and _is_due(candidate, now) and is_ready(model, observed):
        app = observed.apps[candidate.revision]
        name = names.generator_app(tenant, model.name, candidate.revision)
        return (Try(tenant, model.name, app.digest, trial(model, name)),)
    return _probe(model, observed, tenant)


def _is_due(candidate: Candidate, now: datetime) -> bool:
    """Whether it is to be tried now: at once, and again only after a pause."""
    return candidate.state is CandidateState.PROBING and (candidate.attempts == 0 or now - candidate.at >= PAUSE)


def _probe(model: ModelDeployment, observed: Observed, tenant: str) -> tuple[Action, ...]:
    """A tiny picture, when what serves was not yet seen to make one as it is now."""
    serving = model.status.rollout.serving
    if serving is None or not observed.runs(serving.revision):
        return ()
    wanted = route(tenant, model).serving
    if wanted is None or observed.told(model.name).serving != wanted:
        return ()
    app = observed.apps[serving.revision]
    answered = model.status.probe is not None and model.status.probe.config_digest == app.digest
    if answered and holds(model.status.conditions, ANSWERING):
        return ()
    return (Probe(tenant, model.name, app.digest),)


def kind_of(model: ModelDeployment) -> ProbeType:
    """What is asked: `Auto` made definite."""
    source, probe = model.spec.source, model.spec.rollout.probe
    if probe.type is not ProbeType.AUTO:
        return probe.type
    if source.type is SourceType.BUNDLED and source.name == SHAPES:
        return ProbeType.SHAPES
    golden = bool(probe.prompts) and all(each.hash for each in probe.prompts)
    return ProbeType.GOLDEN if golden else ProbeType.PICTURE


def trial(model: ModelDeployment, app: str) -> dict[str, Any]:
    """What the Gateway is asked to try."""
    probe, kind = model.spec.rollout.probe, kind_of(model)
    prompts = () if kind is ProbeType.SHAPES else probe.prompts
    return {
        "app": app,
        "kind": kind.value.lower(),
        "prompts": [each.to_wire() for each in prompts],
        "max_distance": probe.max_distance,
    }
