"""Perceptual hashes are near for pictures that look alike and far for others."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from imagint_serving.quality.hashes import distance, is_blank, perceptual_hash


def disc(x: int, y: int, noise: int = 0, side: int = 96) -> Image.Image:
    rows, columns = np.mgrid[:side, :side]
    picture = np.where((columns - x) ** 2 + (rows - y) ** 2 < 500, 220, 30).astype(float)
    picture += np.random.default_rng(1).normal(0, noise, picture.shape) if noise else 0
    return Image.fromarray(picture.clip(0, 255).astype(np.uint8)).convert("RGB")


@pytest.mark.parametrize(
    ("other", "near"),
    [
        pytest.param(disc(30, 40, noise=6), True, id="a little noise"),
        pytest.param(disc(30, 40).resize((64, 64)), True, id="another size"),
        pytest.param(disc(70, 60), False, id="elsewhere"),
    ],
)
def test_near_and_far(other: Image.Image, near: bool) -> None:
    assert (distance(perceptual_hash(disc(30, 40)), perceptual_hash(other)) <= 8) is near


def test_blank() -> None:
    assert is_blank(Image.new("RGB", (64, 64), (9, 9, 9)))
    assert not is_blank(disc(30, 40))
