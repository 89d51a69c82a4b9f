"""The words that the shapes model knows, and the sixteen tokens they come down to.

Pure data: no torch here, and nothing that reads a prompt (see `prompts`). The order of the tokens is baked into
the trained weights; changing it means training anew.
"""

from __future__ import annotations

COLOURS = ("red", "green", "blue", "yellow", "white", "black")
SHAPES = ("circle", "square", "triangle")

NULL = "<null>"
"""Stands where a prompt says nothing; three of them are the empty prompt of classifier-free guidance."""

TOKENS = (*COLOURS, *SHAPES, *(f"on-{colour}" for colour in COLOURS), NULL)
TOKEN_IDS = {token: index for index, token in enumerate(TOKENS)}
NULL_ID = TOKEN_IDS[NULL]
SLOTS = 3
"""Every prompt comes down to three tokens: the colour of the shape, the shape, the colour behind it."""

COLOUR_WORDS = {
    "red": ("red", "reddish", "crimson", "scarlet", "ruby", "cherry", "vermilion"),
    "green": ("green", "greenish", "emerald", "lime", "jade"),
    "blue": ("blue", "bluish", "azure", "navy", "cobalt", "sapphire"),
    "yellow": ("yellow", "yellowish", "gold", "golden", "amber", "lemon"),
    "white": ("white", "whitish", "ivory", "snowy"),
    "black": ("black", "blackish", "ebony", "onyx", "jet"),
}
SHAPE_WORDS = {
    "circle": ("circle", "disc", "disk", "ball", "dot", "sphere", "round", "circular", "coin"),
    "square": ("square", "box", "block", "cube", "tile", "quadratic"),
    "triangle": ("triangle", "triangular", "pyramid", "wedge", "cone"),
}
BACKGROUND_WORDS = frozenset({"background", "backdrop", "ground", "canvas", "wall", "sky", "surface", "paper"})
ON_WORDS = frozenset({"on", "onto", "upon", "over", "atop", "against", "before"})
MODIFIERS = frozenset(
    {"a", "an", "the", "of", "in", "is", "plain", "solid", "flat", "bright", "dark", "light", "pale", "deep", "colour"}
) | {"color", "coloured", "colored", "all", "very", "pure", "big", "small", "large", "little", "shiny", "nice"}
"""Words that may stand between a marker and the colour it belongs to."""


def _by_word(groups: dict[str, tuple[str, ...]]) -> dict[str, str]:
    """Turn each group of synonyms around, plurals included."""
    singular = {word: name for name, words in groups.items() for word in words}
    return (
        {f"{word}s": name for word, name in singular.items()}
        | {f"{word}es": name for word, name in singular.items() if word.endswith("x")}
        | singular
    )


COLOUR_OF = _by_word(COLOUR_WORDS)
SHAPE_OF = _by_word(SHAPE_WORDS)
