"""Reading many objects of a store, a few at a time: quick where each read is a journey, and bounded in memory.

It must not know what the objects are.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

from imagint_privacy.records.objects import Objects

READERS: Final = 8
"""Reads under way at once."""


def fetch(store: Objects, names: Iterable[str], *, readers: int = READERS) -> Iterator[tuple[str, bytes | None]]:
    """Give each object's name and bytes (None where it is not there), in order, reading a few ahead.

    Raises:
        StorageUnavailableError: the store does not answer.
    """
    waiting: deque[tuple[str, Future[bytes | None]]] = deque()
    with ThreadPoolExecutor(readers, thread_name_prefix="fetch") as pool:
        try:
            for name in names:
                waiting.append((name, pool.submit(store.get, name)))
                if len(waiting) > 2 * readers:
                    first, content = waiting.popleft()
                    yield first, content.result()
            while waiting:
                first, content = waiting.popleft()
                yield first, content.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
