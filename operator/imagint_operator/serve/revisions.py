"""Pure: which revision a spec asks for, and which revisions of a model run according to what its status has recorded.

Serve's writer renders from the record and never from a wish: what is not written down is not started, and what is
written down as serving is not taken away.
"""

from __future__ import annotations

from dataclasses import dataclass

from imagint_operator import names
from imagint_operator.api.models import (
    Candidate,
    CandidateState,
    ModelDeployment,
    ModelDeploymentSpec,
    RolloutStatus,
    Template,
)
from imagint_operator.api.rollouts import RolloutStrategy
from imagint_operator.kube.differences import digest

REVISION_LENGTH = 8


@dataclass(frozen=True, slots=True)
class Route:
    """Where a Gateway finds a model: the application that answers callers, and the one that only probes reach."""

    serving: str | None = None
    candidate: str | None = None


def template_of(spec: ModelDeploymentSpec) -> Template:
    """What a revision of this spec is made of."""
    return Template(source=spec.source, pipeline=spec.pipeline, dtype=spec.dtype, accelerator=spec.accelerator)


def revision_of(template: Template) -> str:
    """The digest of a template.

    Fields at their defaults do not count: a field that a later version of the operator adds makes no revision new.
    """
    wire = template.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_defaults=True)
    return digest(wire)[:REVISION_LENGTH]


def gate_of(spec: ModelDeploymentSpec) -> str:
    """A digest of what is asked of a revision, and of the word that has it tried again."""
    asked = {"probe": spec.rollout.probe.to_wire(), "retry": spec.rollout.retry}
    return digest(asked)


def is_tried(candidate: Candidate | None) -> bool:
    """Whether a candidate runs: one that failed costs nothing."""
    return candidate is not None and candidate.state is not CandidateState.FAILED


def makes_way(rollout: RolloutStatus) -> bool:
    """Whether the revision in service is stopped for the sake of the candidate."""
    candidate = rollout.candidate
    return candidate is not None and is_tried(candidate) and candidate.strategy is RolloutStrategy.RECREATE


def running(rollout: RolloutStatus) -> dict[str, Template]:
    """The revisions that run, each with what it is made of."""
    found: dict[str, Template] = {}
    if rollout.retiring is not None:
        found[rollout.retiring.revision] = rollout.retiring.template
    if rollout.candidate is not None and is_tried(rollout.candidate):
        found[rollout.candidate.revision] = rollout.candidate.template
    if rollout.serving is not None and not makes_way(rollout):
        found[rollout.serving.revision] = rollout.serving.template
    return found


def route(tenant: str, model: ModelDeployment) -> Route:
    """Where the tenant's Gateway finds the model."""
    rollout = model.status.rollout
    serving, candidate = rollout.serving, rollout.candidate
    return Route(
        serving=names.generator_app(tenant, model.name, serving.revision)
        if serving is not None and not makes_way(rollout)
        else None,
        candidate=names.generator_app(tenant, model.name, candidate.revision)
        if candidate is not None and is_tried(candidate)
        else None,
    )
