"""How a new revision of a model comes into service: fields and their limits only.

Test prompts are the tenant's own texts, and whoever may read the object reads them: they must name nobody.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field

from imagint_operator.api.base import ApiModel, Rule, rules

MOST_PROMPTS = 8


class RolloutStrategy(StrEnum):
    """What the revision in service does while the next one is tried."""

    SURGE = "Surge"
    RECREATE = "Recreate"


class ProbeType(StrEnum):
    """What a revision must do before it serves."""

    AUTO = "Auto"
    SHAPES = "Shapes"
    GOLDEN = "Golden"
    PICTURE = "Picture"
    SKIP = "Skip"


class ProbePrompt(ApiModel):
    """One picture that a revision is asked for. Whoever may read this object reads its text: name nobody."""

    prompt: Annotated[str, Field(min_length=1, max_length=512)]
    """A test prompt of yours, never a person's. It is not logged."""
    seed: Annotated[int, Field(ge=0, le=9_007_199_254_740_991)] = 0
    """Where its noise begins."""
    size: Annotated[str, Field(min_length=3, max_length=9, pattern=r"^[1-9][0-9]{0,3}x[1-9][0-9]{0,3}$")] | None = None
    """Width and height; without it, the model's default."""
    steps: Annotated[int, Field(ge=1, le=1000)] | None = None
    """Denoising steps; without it, the model's default."""
    hash: Annotated[str, Field(min_length=16, max_length=16, pattern=r"^[0-9a-f]{16}$")] | None = None
    """The perceptual hash of the picture as it should be: copy it from `status.rollout.serving.hashes`."""


class QualityProbe(ApiModel):
    """What a revision must do before it serves."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                "self.type != 'Golden' || (has(self.prompts) && size(self.prompts) > 0 && "
                "self.prompts.all(p, has(p.hash)))",
                "a Golden probe needs prompts that each have a hash: let type Picture serve them first and copy the "
                "hashes from status.rollout.serving.hashes",
            ),
            Rule(
                "(self.type == 'Skip') == has(self.reason)",
                "a probe of type Skip gives a reason, and no other type does",
            ),
        )
    )

    type: ProbeType = ProbeType.AUTO
    """`Shapes` measures what the bundled model draws; `Golden` compares with hashes; `Picture` asks for pictures that
    are not blank, and no more; `Skip` asks nothing. `Auto` takes the strictest that it can."""
    prompts: Annotated[tuple[ProbePrompt, ...], Field(max_length=MOST_PROMPTS)] = ()
    """What `Golden` and `Picture` ask for."""
    max_distance: Annotated[int, Field(ge=0, le=32)] = 8
    """How many of a hash's 64 bits may differ."""
    min_score: Annotated[int, Field(ge=1, le=100)] = 95
    """How many of a hundred pictures must be right."""
    attempts: Annotated[int, Field(ge=1, le=10)] = 3
    """How often a revision is tried before it is kept aside."""
    reason: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    """Why nothing is asked."""


class Rollout(ApiModel):
    """How a new revision comes into service."""

    strategy: RolloutStrategy = RolloutStrategy.SURGE
    """`Surge` runs both until the new one has passed; `Recreate` stops the old one first, where there is no room for
    two, and brings it back if the new one fails."""
    probe: QualityProbe = QualityProbe()
    """What it must do first."""
    progress_deadline_seconds: Annotated[int, Field(ge=10, le=86_400)] = 600
    """How long a revision may take until it has passed."""
    retry: Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[-._a-zA-Z0-9]+$")] | None = None
    """Any word. Another one has a revision that failed tried again."""
