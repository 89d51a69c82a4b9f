"""Put requests of equal shape together, so that the model makes many images in one pass.

`choose` decides, purely; `Batcher` waits and runs. Items of different shapes never meet, the oldest goes first, and an
item waits at most `wait` seconds for company once the model is free. While a batch runs, the next one gathers. Which
tenant comes first is decided in front of the Generator, not here.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Shape = TypeVar("Shape", bound=Hashable)
Item = TypeVar("Item")
Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class Policy:
    """How large a batch may grow, and how many seconds its first item may wait for that."""

    max_size: int
    wait: float


@dataclass(frozen=True, slots=True)
class Waiting(Generic[Item, Made]):
    """An item, since when it waits, and where its result goes."""

    item: Item = field(repr=False)
    since: float
    result: asyncio.Future[Made] = field(repr=False)


def choose(since: Mapping[Shape, Sequence[float]], now: float, policy: Policy) -> tuple[Shape, float]:
    """Return the shape to run next, and how many seconds to wait for more of it before that.

    `since` holds the arrival times of what waits, oldest first, for each shape; none may be empty.
    """
    due = {
        shape: times[0] if len(times) >= policy.max_size else times[0] + policy.wait for shape, times in since.items()
    }
    ready = [shape for shape in since if due[shape] <= now]
    if ready:
        return min(ready, key=lambda shape: since[shape][0]), 0.0
    first = min(due, key=lambda shape: due[shape])
    return first, due[first] - now


class Batcher(Generic[Shape, Item, Made]):
    """Gathers items from many tasks of one event loop and runs them in batches, one batch at a time.

    `run` makes a whole batch on the executor's thread: one result an item, in order.
    """

    def __init__(self, run: Callable[[Shape, list[Item]], Sequence[Made]], policy: Policy, executor: Executor) -> None:
        self._run = run
        self._policy = policy
        self._executor = executor
        self._queues: dict[Shape, deque[Waiting[Item, Made]]] = {}
        self._arrival: asyncio.Future[None] | None = None
        self._runner: asyncio.Task[None] | None = None

    async def submit(self, shape: Shape, items: Sequence[Item]) -> list[Made]:
        """Return one result an item; whatever the batch raises is raised to each of its callers."""
        loop = asyncio.get_running_loop()
        waiting: list[Waiting[Item, Made]] = [Waiting(item, loop.time(), loop.create_future()) for item in items]
        if not waiting:
            return []
        self._queues.setdefault(shape, deque()).extend(waiting)
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)
        if self._runner is None or self._runner.done():
            self._runner = loop.create_task(self._work())
        # Cancelling the caller cancels these futures, and `_take` leaves them out.
        return list(await asyncio.gather(*(each.result for each in waiting)))

    async def _work(self) -> None:
        """Run batches until nothing waits; if that fails, nobody is left waiting."""
        try:
            while self._queues:
                await self._round()
        finally:
            for each in [each for queue in self._queues.values() for each in queue]:
                each.result.cancel()
            self._queues.clear()

    async def _round(self) -> None:
        loop = asyncio.get_running_loop()
        times = {shape: [each.since for each in queue] for shape, queue in self._queues.items()}
        shape, delay = choose(times, loop.time(), self._policy)
        if delay > 0:
            self._arrival = loop.create_future()
            await asyncio.wait([self._arrival], timeout=delay)
        else:
            await self._batch(shape, self._take(shape))

    def _take(self, shape: Shape) -> list[Waiting[Item, Made]]:
        """Take the oldest items of that shape whose callers still want them."""
        queue = self._queues[shape]
        batch: list[Waiting[Item, Made]] = []
        while queue and len(batch) < self._policy.max_size:
            if not (each := queue.popleft()).result.done():
                batch.append(each)
        if not queue:
            del self._queues[shape]
        return batch

    async def _batch(self, shape: Shape, batch: list[Waiting[Item, Made]]) -> None:
        if not batch:
            return
        loop = asyncio.get_running_loop()
        try:
            made = await loop.run_in_executor(self._executor, self._run, shape, [each.item for each in batch])
            pairs = list(zip(batch, made, strict=True))
        except Exception as error:
            for each in batch:
                if not each.result.done():
                    each.result.set_exception(error)
            return
        for each, result in pairs:
            if not each.result.done():
                each.result.set_result(result)
