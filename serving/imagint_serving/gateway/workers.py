"""A bounded pool of threads for the privacy core, which blocks.

The event loop must never wait for a database or for Vault, and no flood of requests may queue without end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from imagint_serving.gateway.errors import UnavailableError

P = ParamSpec("P")
T = TypeVar("T")


class Workers:
    """Threads for one kind of work, and a bound on what may wait for them."""

    def __init__(self, name: str, *, threads: int, backlog: int) -> None:
        self._executor = ThreadPoolExecutor(max_workers=threads, thread_name_prefix=name)
        self._capacity = threads + backlog
        self._pending = 0

    async def run(self, call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a blocking call in a thread.

        Raises:
            UnavailableError: too much waits already.
        """
        if self._pending >= self._capacity:
            raise UnavailableError("overloaded", "Too many requests are waiting.", retry_after=1)
        self._pending += 1
        # The call outlives a cancelled waiter, so it is the call's end that frees its place.
        future = asyncio.get_running_loop().run_in_executor(self._executor, lambda: call(*args, **kwargs))
        future.add_done_callback(self._ended)
        return await asyncio.shield(future)

    def _ended(self, future: asyncio.Future[T]) -> None:
        self._pending -= 1
        if not future.cancelled():
            future.exception()  # seen, even when nobody waits any more

    def close(self) -> None:
        """Stop once everything that runs has ended."""
        self._executor.shutdown(wait=True, cancel_futures=True)
