"""Made-up subjects: the same number always gives the same handle, so that nothing about them need be kept."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final

from imagint_privacy import subjects
from imagint_privacy.keys.paths import KeyPath, Prefix

CATEGORIES: Final = (("account", "always"), ("images", "2026-11"), ("prompts", "2026-11"))
"""The three paths that every subject has."""


def subject(number: int) -> str:
    """Return the handle of a made-up subject."""
    return subjects.from_bytes(hashlib.sha256(b"bench/%d" % number).digest()[:16])


def paths(numbers: Iterable[int]) -> Iterator[KeyPath]:
    """Give the three paths of each subject."""
    for number in numbers:
        handle = subject(number)
        for category, period in CATEGORIES:
            yield KeyPath(handle, category, period)


def prefixes(numbers: Iterable[int]) -> list[Prefix]:
    """Return what must be named to forget these subjects whole."""
    return [Prefix(subject(number)) for number in numbers]


def some(size: int, count: int, seed: int) -> list[int]:
    """Draw different subjects below a size."""
    drawn = random.Random(seed)  # noqa: S311  # made-up people: the same every time
    return drawn.sample(range(size), min(count, size))


def groups(numbers: Iterable[int], size: int) -> Iterator[list[int]]:
    """Cut numbers into groups."""
    remaining = iter(numbers)
    while group := list(islice(remaining, size)):
        yield group
