"""Judge pictures against what was asked for, by measuring pixels.

No learned judge: the colour in the middle, the colour in the corners, and which exact outline fits best. It gates the
training of the bundled model and its quality in use. It sees pictures and scenes only, never a pipeline.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from imagint_serving.shapes.drawings import SIDE, Scenes, coverage, palette
from imagint_serving.shapes.vocabulary import SHAPES

_CORNER, _MIDDLE = 3, slice(13, 19)
_OVERLAP = 0.75
"""The least overlap (intersection over union) with an exact outline that still counts as that shape."""


@dataclass(frozen=True, slots=True)
class Score:
    """The share of pictures that got each thing right."""

    foreground: float
    shape: float
    background: float
    everything: float
    pictures: int


def score(pictures: Tensor, scenes: Scenes) -> Score:
    """Return how many of `pictures` (in [-1, 1], 32x32) show what `scenes` say."""
    front = _nearest(pictures[:, :, _MIDDLE, _MIDDLE].mean((2, 3))) == scenes.foreground
    back = _nearest(_corners(pictures)) == scenes.background
    shape, overlap = _best_outline(pictures, scenes)
    outline = (shape == scenes.shape) & (overlap >= _OVERLAP)
    return Score(_share(front), _share(outline), _share(back), _share(front & outline & back), len(scenes))


def _share(right: Tensor) -> float:
    return right.float().mean().item()


def _nearest(colours: Tensor) -> Tensor:
    return torch.cdist(colours, palette()).argmin(1)


def _corners(pictures: Tensor) -> Tensor:
    """Return the mean colour of the four corners."""
    rows = torch.cat([pictures[:, :, :_CORNER], pictures[:, :, -_CORNER:]], 2)
    return torch.cat([rows[:, :, :, :_CORNER], rows[:, :, :, -_CORNER:]], 3).mean((2, 3))


def _best_outline(pictures: Tensor, scenes: Scenes) -> tuple[Tensor, Tensor]:
    """Return the shape whose outline fits each picture best, and how well it does."""
    colours = palette()
    to_front = (pictures - colours[scenes.foreground][:, :, None, None]).square().sum(1)
    to_back = (pictures - colours[scenes.background][:, :, None, None]).square().sum(1)
    drawn = (to_front < to_back).flatten(1).float()
    outlines, shape_of = _outlines()
    both = drawn @ outlines.T
    either = drawn.sum(1, keepdim=True) + outlines.sum(1) - both
    overlap, best = (both / either.clamp(min=1)).max(1)
    return shape_of[best], overlap


@cache
def _outlines() -> tuple[Tensor, Tensor]:
    """Return every exact outline, flattened, and the shape of each."""
    places = torch.arange(SIDE // 2 - 5, SIDE // 2 + 6).float()
    radii = torch.arange(8.0, 12.5, 0.5)
    grid = torch.cartesian_prod(torch.arange(len(SHAPES)).float(), places, places, radii)
    shape, x, y, radius = grid.unbind(1)
    outlines = coverage(shape.long(), x, y, radius) > 0.5
    return outlines.flatten(1).float(), shape.long()
