"""Blocking work is bounded, and ends even when nobody waits for it any more."""

from __future__ import annotations

import asyncio
import threading

import pytest

from imagint_serving.gateway.errors import UnavailableError
from imagint_serving.gateway.workers import Workers


async def test_more_than_fits_is_refused_at_once_and_room_returns() -> None:
    workers, release = Workers("test", threads=1, backlog=1), threading.Event()
    waiting = [asyncio.create_task(workers.run(release.wait, 5)) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(UnavailableError) as refusal:
        await workers.run(int)
    assert refusal.value.code == "overloaded"
    release.set()
    assert await asyncio.gather(*waiting) == [True, True]
    assert await workers.run(int, "7") == 7
    workers.close()


async def test_work_goes_on_when_its_waiter_is_cancelled() -> None:
    workers, done, release = Workers("test", threads=1, backlog=1), threading.Event(), threading.Event()

    def work() -> None:
        release.wait(5)
        done.set()

    task = asyncio.create_task(workers.run(work))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    release.set()
    assert await workers.run(done.wait, 5)
    workers.close()


async def test_an_error_of_work_that_nobody_waits_for_is_not_reported_twice() -> None:
    workers, release = Workers("test", threads=1, backlog=1), threading.Event()

    def fail() -> None:
        release.wait(5)
        raise ValueError

    task = asyncio.create_task(workers.run(fail))
    await asyncio.sleep(0.05)
    task.cancel()
    release.set()
    await workers.run(int)
    workers.close()
