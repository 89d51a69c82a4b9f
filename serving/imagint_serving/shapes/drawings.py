"""Exact drawings of the shapes: what the model is trained on, and what the scorer measures it against.

Drawings are tensors in [-1, 1], channels first. Randomness comes in as a generator, never from torch's global one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from imagint_serving.shapes.vocabulary import COLOURS, SHAPES

SIDE = 32
"""Width and height in pixels; the model knows no other."""

_RGB = {
    "red": (1.0, 0.0, 0.0),
    "green": (0.0, 0.8, 0.0),
    "blue": (0.0, 0.0, 1.0),
    "yellow": (1.0, 1.0, 0.0),
    "white": (1.0, 1.0, 1.0),
    "black": (0.0, 0.0, 0.0),
}


@dataclass(frozen=True, slots=True)
class Scenes:
    """Some pictures to draw: one row of indices (colour, shape, colour behind) each."""

    foreground: Tensor
    shape: Tensor
    background: Tensor

    def __len__(self) -> int:
        return len(self.shape)


def every_scene() -> Scenes:
    """Return the ninety scenes there are: a shape and two different colours."""
    rows = [(f, s, b) for s in range(len(SHAPES)) for f in range(len(COLOURS)) for b in range(len(COLOURS)) if f != b]
    return Scenes(*torch.tensor(rows).unbind(1))


def sentences(scenes: Scenes) -> list[str]:
    """Return the plain prompt of each scene."""
    rows = zip(scenes.foreground.tolist(), scenes.shape.tolist(), scenes.background.tolist(), strict=True)
    return [f"a {COLOURS[front]} {SHAPES[shape]} on {COLOURS[back]}" for front, shape, back in rows]


def random_scenes(count: int, generator: torch.Generator) -> Scenes:
    """Return `count` scenes drawn evenly from the ninety."""
    shape = torch.randint(len(SHAPES), (count,), generator=generator)
    foreground = torch.randint(len(COLOURS), (count,), generator=generator)
    step = torch.randint(1, len(COLOURS), (count,), generator=generator)
    return Scenes(foreground, shape, (foreground + step) % len(COLOURS))


@cache
def palette() -> Tensor:
    """Return the colours as rows of [-1, 1] RGB, in the order of `COLOURS`."""
    return torch.tensor([_RGB[name] for name in COLOURS]) * 2 - 1


def coverage(shape: Tensor, centre_x: Tensor, centre_y: Tensor, radius: Tensor) -> Tensor:
    """Return how far each pixel lies inside each shape, from 0 to 1, with soft edges."""
    axis = torch.arange(SIDE) + 0.5
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    dx, dy, r = x - centre_x[:, None, None], y - centre_y[:, None, None], radius[:, None, None]
    circle = (dx**2 + dy**2).sqrt() - r
    square = torch.maximum(dx.abs(), dy.abs()) - r * 0.88
    triangle = torch.maximum(dy - r * 0.7, (dx.abs() * 1.9 - (dy + r)) * 0.48)
    distances = torch.stack([circle, square, triangle], 1)
    return torch.sigmoid(-3 * distances[torch.arange(len(shape)), shape])


def draw(scenes: Scenes, generator: torch.Generator) -> Tensor:
    """Return one picture a scene, placed and sized a little differently each time."""
    count, middle = len(scenes), SIDE / 2
    x, y = (middle + 1.5 * torch.randn(count, generator=generator) for _ in range(2))
    radius = 9 + 2 * torch.rand(count, generator=generator)
    inside = coverage(scenes.shape, x, y, radius)[:, None]
    colours = palette()
    front, back = colours[scenes.foreground][:, :, None, None], colours[scenes.background][:, :, None, None]
    return inside * front + (1 - inside) * back
