"""Read a plain sentence down to what the shapes model can draw.

Pure and small: it looks for colours, one shape and the words that tie a colour to the background. Whatever else the
sentence says is skipped and counted, never kept. The result is structured, so a caller can show what was understood.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from imagint_serving.shapes.vocabulary import (
    BACKGROUND_WORDS,
    COLOUR_OF,
    MODIFIERS,
    NULL,
    ON_WORDS,
    SHAPE_OF,
)

_WORD = re.compile(r"[^\W\d_]+")


@dataclass(frozen=True, slots=True)
class Understood:
    """What a sentence asks for; `None` where it does not say."""

    foreground: str | None = None
    shape: str | None = None
    background: str | None = None
    skipped: int = 0

    def tokens(self) -> tuple[str, str, str]:
        """Return the three tokens the model is conditioned on."""
        behind = f"on-{self.background}" if self.background else NULL
        return self.foreground or NULL, self.shape or NULL, behind


def understand(sentence: str) -> Understood:
    """Return what `sentence` asks for, however it is written."""
    words = _WORD.findall(unicodedata.normalize("NFKC", sentence).casefold())
    shape_at = _first_shape(words)
    colours = [index for index, word in enumerate(words) if word in COLOUR_OF]
    owned = _colour_before(words, shape_at) if shape_at is not None else None
    behind = _background(words, colours, owned)
    rest = [index for index in colours if index != behind]
    front = owned if owned in rest else next(iter(rest), None)
    if behind is None:
        behind = next((index for index in rest if index != front), None)
    used = {index for index in (front, shape_at, behind) if index is not None}
    markers = ON_WORDS | BACKGROUND_WORDS | MODIFIERS
    return Understood(
        foreground=None if front is None else COLOUR_OF[words[front]],
        shape=None if shape_at is None else SHAPE_OF[words[shape_at]],
        background=None if behind is None else COLOUR_OF[words[behind]],
        skipped=sum(index not in used and word not in markers for index, word in enumerate(words)),
    )


def _first_shape(words: list[str]) -> int | None:
    """Return where the drawn shape stands: the first noun, else an adjective such as "round"."""
    found = [index for index, word in enumerate(words) if word in SHAPE_OF]
    nouns = [index for index in found if words[index] not in {"round", "circular", "triangular", "quadratic"}]
    return next(iter(nouns or found), None)


def _colour_before(words: list[str], place: int) -> int | None:
    """Return the colour that describes the noun at `place`: the nearest before it, no marker in between."""
    for index in range(place - 1, -1, -1):
        if words[index] in COLOUR_OF:
            return index
        if words[index] in ON_WORDS or words[index] in BACKGROUND_WORDS:
            return None
    return None


def _background(words: list[str], colours: list[int], owned: int | None) -> int | None:
    """Return the colour tied to the background, the plainest tie first."""
    for place, word in enumerate(words):
        if word in BACKGROUND_WORDS:
            tied = _tied(words, range(place - 1, -1, -1)) if place else None
            tied = _tied(words, range(place + 1, len(words))) if tied is None else tied
            if tied is not None:
                return tied
    for place, word in enumerate(words):
        if word in ON_WORDS and (tied := _tied(words, range(place + 1, len(words)))) is not None:
            return tied
    marker = next((place for place, word in enumerate(words) if word in ON_WORDS), len(words))
    return next((index for index in colours if index > marker and index != owned), None)


def _tied(words: list[str], places: range) -> int | None:
    """Return the first colour along `places`, with nothing but modifiers before it."""
    for index in places:
        if words[index] in COLOUR_OF:
            return index
        if words[index] not in MODIFIERS:
            return None
    return None
