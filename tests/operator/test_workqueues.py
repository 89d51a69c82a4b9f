"""The queue looks at a key once at a time, merges what comes meanwhile, and backs off."""

from __future__ import annotations

import asyncio

import pytest

from imagint_operator.workqueues import FIRST_BACKOFF, LAST_BACKOFF, WorkQueue


@pytest.fixture
def queue() -> WorkQueue[str]:
    return WorkQueue(jitter=lambda: 0.5)


async def test_a_key_that_is_added_twice_is_looked_at_once(queue: WorkQueue[str]) -> None:
    queue.add("a")
    queue.add("a")
    assert await queue.get() == "a"
    assert len(queue) == 0


async def test_a_key_in_work_is_not_given_to_a_second_worker(queue: WorkQueue[str]) -> None:
    queue.add("a")
    await queue.get()
    queue.add("a")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(queue.get(), 0.02)


async def test_what_happened_during_the_work_is_looked_at_afterwards(queue: WorkQueue[str]) -> None:
    queue.add("a")
    await queue.get()
    queue.add("a")
    queue.done("a")
    assert await asyncio.wait_for(queue.get(), 0.1) == "a"


async def test_nothing_comes_again_by_itself(queue: WorkQueue[str]) -> None:
    queue.add("a")
    await queue.get()
    queue.done("a")
    assert len(queue) == 0


async def test_the_earlier_of_two_planned_looks_wins(queue: WorkQueue[str]) -> None:
    queue.add_after("a", 60)
    queue.add_after("a", 0.01)
    queue.add_after("a", 60)
    assert await asyncio.wait_for(queue.get(), 0.5) == "a"


async def test_adding_now_replaces_a_planned_look(queue: WorkQueue[str]) -> None:
    queue.add_after("a", 0.02)
    queue.add("a")
    assert await queue.get() == "a"
    queue.done("a")
    await asyncio.sleep(0.05)
    assert len(queue) == 0


async def test_pauses_double_up_to_a_bound_and_success_forgets_them(queue: WorkQueue[str]) -> None:
    pauses = [queue.retry("a") for _ in range(20)]
    assert pauses[:3] == pytest.approx([FIRST_BACKOFF, 2 * FIRST_BACKOFF, 4 * FIRST_BACKOFF])
    assert max(pauses) == pytest.approx(LAST_BACKOFF)
    queue.succeed("a")
    assert queue.retry("a") == pytest.approx(FIRST_BACKOFF)


async def test_a_server_that_names_a_pause_gets_it(queue: WorkQueue[str]) -> None:
    assert queue.retry("a", at_least=7) == 7
