"""What crosses Ray when a revision is tried: test prompts one way, figures and hashes the other. No picture does."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

MOST_PROMPTS = 8


class TrialKind(StrEnum):
    """What is asked of the revision."""

    SHAPES = "shapes"
    GOLDEN = "golden"
    PICTURE = "picture"


@dataclass(frozen=True, slots=True)
class TrialPrompt:
    """One picture to make; `None` is the model's own default."""

    prompt: str = field(repr=False)
    seed: int = 0
    width: int | None = None
    height: int | None = None
    steps: int | None = None
    expected: str | None = None


@dataclass(frozen=True, slots=True)
class Trial:
    """Everything that is asked of a revision at once."""

    kind: TrialKind
    prompts: tuple[TrialPrompt, ...] = ()
    max_distance: int = 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of it. `hashes` are those of the pictures, in the order of the prompts; shapes have none."""

    pictures: int
    right: int
    width: int
    height: int
    hashes: tuple[str, ...] = ()
