"""Choose what a prompt leaves open: "a triangle" still needs two colours.

Each image's own random generator chooses, so that a seed makes the same picture alone or in any batch, and several
seeds of an open prompt show its variety. What the prompt does say is never changed.
"""

from __future__ import annotations

import torch
from torch import Tensor

from imagint_serving.shapes.vocabulary import COLOURS, NULL_ID, SHAPES, TOKEN_IDS

Generators = torch.Generator | list[torch.Generator] | None

_SHAPE_IDS = [TOKEN_IDS[shape] for shape in SHAPES]
_FRONT_IDS = [TOKEN_IDS[colour] for colour in COLOURS]
_BACK_IDS = [TOKEN_IDS[f"on-{colour}"] for colour in COLOURS]


def complete(ids: Tensor, generator: Generators) -> Tensor:
    """Return `ids` (three a prompt) with every gap filled."""
    own = generator if isinstance(generator, list) else [generator] * len(ids)
    rows = [_complete(row, each) for row, each in zip(ids.tolist(), own, strict=True)]
    return torch.tensor(rows, dtype=ids.dtype, device=ids.device)


def _complete(row: list[int], generator: torch.Generator | None) -> tuple[int, int, int]:
    """Fill one prompt's gaps; a colour that is chosen differs from the one that was said."""
    front, shape, back = row
    if shape == NULL_ID:
        shape = _pick(_SHAPE_IDS, generator)
    if front == NULL_ID:
        front = _pick([each for each in _FRONT_IDS if each != back - _BACK_IDS[0]], generator)
    if back == NULL_ID:
        back = _pick([each for each in _BACK_IDS if each - _BACK_IDS[0] != front], generator)
    return front, shape, back


def _pick(ids: list[int], generator: torch.Generator | None) -> int:
    device = "cpu" if generator is None else generator.device
    return ids[int(torch.randint(len(ids), (), generator=generator, device=device))]
