"""The fence in front of every write: none leaves this process once another operator may hold the Lease.

Measured with a clock that nobody sets and that goes on while the process or the machine is suspended: a process that
wakes up finds its fence closed. Safe to ask from any thread. Does no I/O.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import threading
import time
from collections.abc import Callable, Iterator

from imagint_operator.errors import FencedError

STEP_SECONDS = 0.02
Monotonic = Callable[[], float]


def boot_seconds() -> float:
    """Seconds since the machine started, those of its sleep included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class Fence:
    """Open until a moment; whoever writes asks at the last instant before."""

    def __init__(self, clock: Monotonic = boot_seconds) -> None:
        self.clock = clock
        self._until = -math.inf
        self._under_way = 0
        self._lock = threading.Lock()

    def open_until(self, moment: float) -> None:
        """Writes are allowed before this moment."""
        self._until = moment

    def close(self) -> None:
        """No write from now on."""
        self._until = -math.inf

    @property
    def left(self) -> float:
        """Seconds for which writes are still allowed; not positive when they are not."""
        return self._until - self.clock()

    def check(self) -> None:
        """Let a write pass.

        Raises:
            FencedError: this process does not hold the Lease, or not surely.
        """
        if self.left <= 0:
            raise FencedError("this operator does not hold the Lease: nothing is written")

    async def idle(self) -> None:
        """Wait until no call in a thread is under way any more: those cannot be cut off."""
        while self._under_way:  # noqa: ASYNC110 - the end of a thread sets no event of this loop
            await asyncio.sleep(STEP_SECONDS)

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Around a call in a thread: checked at its beginning, and counted until its end."""
        with self._lock:
            self._under_way += 1
        try:
            self.check()
            yield
        finally:
            with self._lock:
                self._under_way -= 1


def unfenced() -> Fence:
    """A fence that is always open, for an operator that is certainly alone: the tests of single parts."""
    fence = Fence()
    fence.open_until(math.inf)
    return fence
