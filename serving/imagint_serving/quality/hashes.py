"""Perceptual hashes: near for pictures that look alike, far for pictures that do not.

The 64-bit DCT hash of Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions" (2010), section 3.2:
grey, 32 x 32, two-dimensional DCT-II, the 8 x 8 lowest frequencies without the first row and column, one bit a
coefficient above the median. It tells a broken model from a sound one; it is no measure of beauty.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL.Image import Image, Resampling

SIDE, LOWEST = 32, 8
BLANK_DEVIATION = 2.0
"""Below this standard deviation (of 255) in every channel a picture is of one colour."""


def perceptual_hash(picture: Image) -> str:
    """Return the hash as 16 hexadecimal digits."""
    grey = np.asarray(picture.convert("L").resize((SIDE, SIDE), Resampling.LANCZOS), dtype=np.float64)
    basis = _basis()
    low = (basis @ grey @ basis.T)[1 : LOWEST + 1, 1 : LOWEST + 1].flatten()
    # Rounded, so that a coefficient which is zero but for rounding falls on the same side on every machine.
    bits = np.round(low, 6) > round(float(np.median(low)), 6)
    return f"{int(''.join('1' if bit else '0' for bit in bits), 2):016x}"


def distance(one: str, other: str) -> int:
    """Return how many of the 64 bits differ."""
    return (int(one, 16) ^ int(other, 16)).bit_count()


def is_blank(picture: Image) -> bool:
    """Whether a picture is of one colour, as one made of NaN is."""
    pixels = np.asarray(picture.convert("RGB"), dtype=np.float64)
    return bool(pixels.std(axis=(0, 1)).max() < BLANK_DEVIATION)


def _basis() -> Any:
    """Return the rows of the DCT-II, as far as they are needed."""
    k, n = np.arange(LOWEST + 1)[:, None], np.arange(SIDE)[None, :]
    return np.cos(np.pi * k * (2 * n + 1) / (2 * SIDE))
