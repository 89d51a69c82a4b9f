"""What a run found: flat figures, raw numbers beside them, and how times are taken."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

Say = Callable[[str], None]
"""Tells the one who waits what is measured now."""


class Took(NamedTuple):
    """How long something took: seconds on the wall, and of this process's processor time."""

    wall: float
    cpu: float


@dataclass
class Findings:
    """Collects figures; a name is set once."""

    figures: dict[str, float] = field(default_factory=dict)
    raw: dict[str, Any] = field(default_factory=dict)

    def set(self, name: str, value: float) -> None:
        """Note a figure.

        Raises:
            KeyError: it was noted before.
        """
        if name in self.figures:
            raise KeyError(name)
        self.figures[name] = value


def timed(work: Callable[[], object]) -> Took:
    """Run once and time it."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return Took(time.perf_counter() - wall, time.process_time() - cpu)


def median(times: Sequence[Took]) -> Took:
    """Return the medians."""
    return Took(statistics.median(t.wall for t in times), statistics.median(t.cpu for t in times))


def percentile(values: Sequence[float], part: float) -> float:
    """Return the value that this part of all lies at or below."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


def settle() -> None:
    """Collect garbage between measurements, so that none is billed for what another left behind."""
    gc.collect()


def label(size: int) -> str:
    """Write a size as figures name it: 1e3, 3e3, 1e6; anything else as it is."""
    digits = str(size)
    tail = digits[1:]
    return f"{digits[0]}e{len(tail)}" if len(tail) > 1 and not tail.strip("0") else digits
