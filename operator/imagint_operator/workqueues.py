"""The operator's own work queue: each key at most once in work, changes merged, failures backed off.

Level-triggered: a key says *what to look at*, never what happened. Holds no object and does no I/O.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

K = TypeVar("K")

FIRST_BACKOFF = 0.1
LAST_BACKOFF = 30.0


class WorkQueue(Generic[K]):
    """Keys to look at, in one event loop, some before all others. `done` must follow every `get`."""

    def __init__(
        self, *, jitter: Callable[[], float] = random.random, first: Callable[[K], bool] = lambda _key: False
    ) -> None:
        self._first = first
        self._ready: deque[K] = deque()
        self._waiting: dict[K, asyncio.TimerHandle] = {}
        self._queued: set[K] = set()
        self._working: set[K] = set()
        self._again: set[K] = set()
        self._failures: dict[K, int] = {}
        self._wake = asyncio.Event()
        self._jitter = jitter

    def __len__(self) -> int:
        return len(self._ready)

    def add(self, key: K) -> None:
        """Look at this key soon; a key in work is looked at once more afterwards."""
        self._cancel(key)
        if key in self._working:
            self._again.add(key)
        elif key not in self._queued:
            self._queued.add(key)
            (self._ready.appendleft if self._first(key) else self._ready.append)(key)
            self._wake.set()

    def add_after(self, key: K, seconds: float) -> None:
        """Look at this key later, unless an earlier look is already planned."""
        if seconds <= 0:
            self.add(key)
            return
        loop = asyncio.get_running_loop()
        planned = self._waiting.get(key)
        if planned is not None and planned.when() <= loop.time() + seconds:
            return
        self._cancel(key)
        self._waiting[key] = loop.call_later(seconds, self._due, key)

    def retry(self, key: K, *, at_least: float = 0.0) -> float:
        """Look again after a pause that doubles with each failure; answers the pause."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        doubled = FIRST_BACKOFF * float(2 ** min(failures, 16))
        pause = min(LAST_BACKOFF, doubled) * (0.75 + self._jitter() / 2)
        pause = max(pause, at_least)
        self.add_after(key, pause)
        return pause

    def succeed(self, key: K) -> None:
        """Forget the failures of this key."""
        self._failures.pop(key, None)

    async def get(self) -> K:
        """The next key. It counts as in work until `done`."""
        while not self._ready:
            self._wake.clear()
            await self._wake.wait()
        key = self._ready.popleft()
        self._queued.discard(key)
        self._working.add(key)
        return key

    def done(self, key: K) -> None:
        """The work on this key has ended."""
        self._working.discard(key)
        if key in self._again:
            self._again.discard(key)
            self.add(key)

    def _due(self, key: K) -> None:
        self._waiting.pop(key, None)
        self.add(key)

    def _cancel(self, key: K) -> None:
        handle = self._waiting.pop(key, None)
        if handle is not None:
            handle.cancel()
