"""`ModelDeployment`: one image model that a tenant has served.

Declares fields and their limits only. What the operator makes of them is in `imagint_operator.models`.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field

from imagint_operator.api.base import ApiModel, Conditions, Kind, Rule, name_rule, rules
from imagint_operator.api.rollouts import MOST_PROMPTS, Rollout, RolloutStrategy

NAME_PATTERN = r"^[a-z]([-a-z0-9]{0,38}[a-z0-9])?$"


class SourceType(StrEnum):
    """Where a model's files come from."""

    BUNDLED = "Bundled"
    PATH = "Path"
    HUB = "Hub"


class Pipeline(StrEnum):
    """What the model does."""

    TEXT_TO_IMAGE = "TextToImage"


class Dtype(StrEnum):
    """The numbers that the model computes with."""

    AUTO = "Auto"
    FLOAT32 = "Float32"
    BFLOAT16 = "BFloat16"
    FLOAT16 = "Float16"


class AcceleratorType(StrEnum):
    """What the model runs on."""

    AUTO = "Auto"
    CPU = "CPU"
    GPU = "GPU"


class Source(ApiModel):
    """Where the model's files come from. Only safetensors are loaded, and never code from a repository."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                "self.type != 'Bundled' || (has(self.name) && !has(self.path) && !has(self.repository))",
                "a Bundled source has a name (such as shapes) and neither path nor repository",
            ),
            Rule(
                "self.type != 'Path' || (has(self.path) && !has(self.name) && !has(self.repository))",
                "a Path source has a path and neither name nor repository",
            ),
            Rule(
                "self.type != 'Hub' || (has(self.repository) && !has(self.name) && !has(self.path))",
                "a Hub source has a repository and neither name nor path",
            ),
            Rule("self.type == 'Hub' || !has(self.revision)", "only a Hub source has a revision"),
        )
    )

    type: SourceType
    """`Bundled` with the product, a `Path` on the Ray nodes, or a `Hub` repository."""
    name: Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")] | None = None
    """The bundled model's name."""
    path: Annotated[str, Field(min_length=2, max_length=1024, pattern=r"^/[^\x00]+$")] | None = None
    """An absolute folder in diffusers' format on the Ray nodes, below the platform's models folder: in this namespace's
    part of it, or in `shared`."""
    repository: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[-\w.]+/[-\w.]+$")] | None = None
    """A repository in diffusers' format, as `owner/name`."""
    revision: Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[-\w./]+$")] | None = None
    """The repository's commit or tag."""


class Accelerator(ApiModel):
    """What one replica runs on."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule("self.type != 'CPU' || self.count == 1", "a replica on CPU has a count of 1"),
            Rule("self.type == 'GPU' || !has(self.product)", "only an accelerator of type GPU has a product"),
        )
    )

    type: AcceleratorType = AcceleratorType.AUTO
    """`CPU`, `GPU`, or whichever the node has."""
    count: Annotated[int, Field(ge=1, le=16)] = 1
    """How many of them for each replica."""
    product: Annotated[
        str, Field(min_length=1, max_length=63, pattern=r"^[A-Za-z0-9]([-_.A-Za-z0-9]*[A-Za-z0-9])?$")
    ] | (None) = None
    """Which GPU: the value of the node label nvidia.com/gpu.product, such as `NVIDIA-H100-80GB-HBM3`."""


class Replicas(ApiModel):
    """How many copies of the model run."""

    model_config = ConfigDict(
        json_schema_extra=rules(Rule("self.min <= self.max", "replicas.min must not be greater than replicas.max"))
    )

    min: Annotated[int, Field(ge=0, le=1000)] = 1
    """The fewest; 0 lets an idle model go away and start again with the next request."""
    max: Annotated[int, Field(ge=1, le=1000)] = 1
    """The most."""


class Batching(ApiModel):
    """How requests of equal shape are put together."""

    max_size: Annotated[int, Field(ge=1, le=64)] = 8
    """The most images computed together."""
    wait_milliseconds: Annotated[int, Field(ge=0, le=1000)] = 10
    """How long the first request waits for company."""


class Limits(ApiModel):
    """What one request may ask for; beyond it the Gateway answers 400."""

    pixels: Annotated[int, Field(ge=64, le=67_108_864)] = 1_048_576
    """Width times height."""
    steps: Annotated[int, Field(ge=1, le=1000)] = 50
    """Denoising steps."""
    images_per_request: Annotated[int, Field(ge=1, le=10)] = 4
    """Images in one request."""


class Defaults(ApiModel):
    """What a request gets that does not say."""

    size: Annotated[str, Field(min_length=3, max_length=11, pattern=r"^[1-9][0-9]{0,4}x[1-9][0-9]{0,4}$")] | None = None
    """Width and height, such as `512x512`; without it, the size the model was made for."""
    steps: Annotated[int, Field(ge=1, le=1000)] | None = None
    """Denoising steps; without it, 12 or the limit, whichever is less."""


class ModelDeploymentSpec(ApiModel):
    """What the tenant wants served."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                "!has(self.defaults.steps) || self.defaults.steps <= self.limits.steps",
                "defaults.steps must not be greater than limits.steps",
            ),
            Rule(
                "!has(self.defaults.size) || int(self.defaults.size.split('x')[0]) * "
                "int(self.defaults.size.split('x')[1]) <= self.limits.pixels",
                "defaults.size has more pixels than limits.pixels allows",
            ),
            Rule(
                "!has(self.rollout.probe.prompts) || self.rollout.probe.prompts.all(p, "
                "!has(p.steps) || p.steps <= self.limits.steps)",
                "a probe's steps must not be greater than limits.steps",
            ),
            Rule(
                "!has(self.rollout.probe.prompts) || self.rollout.probe.prompts.all(p, !has(p.size) || "
                "int(p.size.split('x')[0]) * int(p.size.split('x')[1]) <= self.limits.pixels)",
                "a probe's size has more pixels than limits.pixels allows",
            ),
        )
    )

    source: Source
    """Where the model's files come from."""
    pipeline: Pipeline = Pipeline.TEXT_TO_IMAGE
    """What the model does."""
    dtype: Dtype = Dtype.AUTO
    """The numbers it computes with."""
    accelerator: Accelerator = Accelerator()
    """What one replica runs on."""
    replicas: Replicas = Replicas()
    """How many copies run."""
    batching: Batching = Batching()
    """How requests are put together."""
    limits: Limits = Limits()
    """What one request may ask for."""
    defaults: Defaults = Defaults()
    """What a request gets that does not say."""
    rollout: Rollout = Rollout()
    """How a new revision comes into service."""


class Template(ApiModel):
    """What a revision is made of. Whatever else the spec says changes while it runs."""

    source: Source
    """Where its files come from."""
    pipeline: Pipeline = Pipeline.TEXT_TO_IMAGE
    """What it does."""
    dtype: Dtype = Dtype.AUTO
    """The numbers it computes with."""
    accelerator: Accelerator = Accelerator()
    """What one replica runs on."""


Revision = Annotated[str, Field(min_length=8, max_length=8, pattern=r"^[0-9a-f]{8}$")]
Score = Annotated[int, Field(ge=0, le=100)]
Reason = Annotated[str, Field(max_length=64)]


class CandidateState(StrEnum):
    """How far a revision is that does not serve yet."""

    STARTING = "Starting"
    PROBING = "Probing"
    FAILED = "Failed"


class Outcome(StrEnum):
    """What became of a revision."""

    PROMOTED = "Promoted"
    FAILED = "Failed"
    REPLACED = "Replaced"


class ServingRevision(ApiModel):
    """The revision that answers the tenant's callers."""

    revision: Revision
    """Its digest."""
    template: Template
    """What it is made of: it is started from this again when the spec says something else already."""
    since: datetime
    """When it was promoted."""
    score: Score | None = None
    """How many of a hundred pictures were right."""
    hashes: Annotated[
        tuple[Annotated[str, Field(max_length=16, pattern=r"^[0-9a-f]{16}$")], ...], Field(max_length=MOST_PROMPTS)
    ] = ()
    """The hashes of its pictures, in the order of the probe's prompts."""


class Candidate(ApiModel):
    """The revision that has to pass its probe before it serves."""

    revision: Revision
    """Its digest."""
    template: Template
    """What it is made of."""
    gate: Annotated[str, Field(max_length=16)]
    """A digest of what is asked of it: when that changes, it is tried anew."""
    strategy: RolloutStrategy = RolloutStrategy.SURGE
    """What the revision in service does meanwhile."""
    state: CandidateState = CandidateState.STARTING
    """How far it is. One that failed does not run."""
    reason: Reason | None = None
    """Why it failed, in one word."""
    score: Score | None = None
    """How many of a hundred pictures were right at the last try."""
    attempts: Annotated[int, Field(ge=0, le=10)] = 0
    """How often it was tried."""
    began: datetime
    """When it was asked for."""
    at: datetime
    """When its state last changed."""


class RetiringRevision(ApiModel):
    """The revision before: it runs until the Gateway has let it go and what it was doing is done."""

    revision: Revision
    """Its digest."""
    template: Template
    """What it is made of."""
    since: datetime
    """When the next one was promoted."""


class PastRevision(ApiModel):
    """One line of the history."""

    revision: Revision
    """Its digest."""
    outcome: Outcome
    """What became of it."""
    reason: Reason | None = None
    """Why, in one word."""
    score: Score | None = None
    """How many of a hundred pictures were right."""
    at: datetime
    """When."""


class RolloutStatus(ApiModel):
    """Which revisions there are. Serve is told what stands here, so it is written before anything is switched."""

    serving: ServingRevision | None = None
    """The one that answers."""
    candidate: Candidate | None = None
    """The one that is tried, or that failed."""
    retiring: RetiringRevision | None = None
    """The one that is on its way out."""
    history: Annotated[tuple[PastRevision, ...], Field(max_length=10)] = ()
    """What became of the last ones, the newest first."""


class ProbeStatus(ApiModel):
    """The last picture that the operator had the model make."""

    config_digest: Annotated[str, Field(max_length=80)]
    """The configuration that was probed."""
    at: datetime
    """When it answered."""
    milliseconds: Annotated[int, Field(ge=0)]
    """How long it took."""


class ModelDeploymentStatus(ApiModel):
    """What the operator observed."""

    observed_generation: Annotated[int, Field(ge=0)] = 0
    """The generation of the spec that this status is about."""
    application: Annotated[str, Field(max_length=128)] | None = None
    """The Serve application that runs the model."""
    probe: ProbeStatus | None = None
    """The last picture that the operator had the model make."""
    rollout: RolloutStatus = RolloutStatus()
    """Which revisions there are."""
    conditions: Conditions = ()
    """Ready on top: the revision in service answers. Deployed says what Ray Serve says, Answering what the Gateway's
    probe says, RolledOut whether what the spec asks for is what serves."""


class ModelDeployment(Kind):
    """One image model that a tenant has served."""

    model_config = ConfigDict(
        json_schema_extra=name_rule(
            NAME_PATTERN,
            "a ModelDeployment's name has 1 to 40 lower-case letters, digits and dashes, begins with a letter and "
            "does not end in a dash (callers write it as `model`)",
        )
    )

    spec: ModelDeploymentSpec
    status: ModelDeploymentStatus = ModelDeploymentStatus()
