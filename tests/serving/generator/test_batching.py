from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from imagint_serving.generator.batching import Batcher, Policy, choose

POLICY = Policy(max_size=3, wait=1.0)


@pytest.mark.parametrize(
    ("since", "now", "expected"),
    [
        pytest.param({"a": [0.0]}, 0.25, ("a", 0.75), id="a lone item waits for company"),
        pytest.param({"a": [0.0]}, 1.0, ("a", 0.0), id="a lone item goes when its wait is over"),
        pytest.param({"a": [0.0, 0.0, 0.0]}, 0.0, ("a", 0.0), id="a full batch goes at once"),
        pytest.param({"a": [0.5], "b": [0.0]}, 2.0, ("b", 0.0), id="the oldest goes first"),
        pytest.param(
            {"a": [0.5] * 3, "b": [0.0]}, 0.6, ("a", 0.0), id="a full batch passes an older one still waiting"
        ),
        pytest.param({"a": [0.5] * 3, "b": [0.0]}, 1.0, ("b", 0.0), id="but not one whose wait is over"),
        pytest.param({"a": [0.5], "b": [0.25]}, 0.5, ("b", 0.75), id="the first one due sets the wait"),
    ],
)
def test_the_choice(since: dict[str, list[float]], now: float, expected: tuple[str, float]) -> None:
    assert choose(since, now, POLICY) == expected


class Press:
    """A machine that doubles numbers and remembers its batches; it can be held, and it jams on a zero."""

    def __init__(self) -> None:
        self.batches: list[tuple[str, list[int]]] = []
        self.free = threading.Event()
        self.free.set()

    def __call__(self, shape: str, items: Sequence[int]) -> list[int]:
        assert self.free.wait(10)
        self.batches.append((shape, list(items)))
        if 0 in items:
            raise ZeroDivisionError
        return [2 * item for item in items]


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


async def test_equal_shapes_meet_and_others_do_not(executor: ThreadPoolExecutor) -> None:
    press = Press()
    batcher = Batcher(press, Policy(8, 0.02), executor)
    calls = [batcher.submit("wide", [1, 2]), batcher.submit("tall", [3]), batcher.submit("wide", [4])]
    assert await asyncio.gather(*calls) == [[2, 4], [6], [8]]
    assert press.batches == [("wide", [1, 2, 4]), ("tall", [3])]


async def test_a_large_call_is_split_and_comes_back_in_order(executor: ThreadPoolExecutor) -> None:
    press = Press()
    batcher = Batcher(press, Policy(3, 0.01), executor)
    assert await batcher.submit("a", range(7)[1:]) == [2, 4, 6, 8, 10, 12]
    assert press.batches == [("a", [1, 2, 3]), ("a", [4, 5, 6])]
    assert await batcher.submit("a", []) == []


async def test_the_next_batch_gathers_while_one_runs(executor: ThreadPoolExecutor) -> None:
    press = Press()
    press.free.clear()
    batcher = Batcher(press, Policy(8, 0.0), executor)
    calls = [asyncio.create_task(batcher.submit("a", [1]))]
    await asyncio.sleep(0.02)
    calls += [asyncio.create_task(batcher.submit("a", [number])) for number in (2, 3)]
    await asyncio.sleep(0.02)
    press.free.set()
    assert await asyncio.gather(*calls) == [[2], [4], [6]]
    assert press.batches == [("a", [1]), ("a", [2, 3])]


async def test_an_abandoned_call_is_not_made(executor: ThreadPoolExecutor) -> None:
    press = Press()
    press.free.clear()
    batcher = Batcher(press, Policy(8, 0.0), executor)
    first = asyncio.create_task(batcher.submit("a", [1]))
    await asyncio.sleep(0.02)
    abandoned = asyncio.create_task(batcher.submit("a", [2, 3]))
    kept = asyncio.create_task(batcher.submit("a", [4]))
    await asyncio.sleep(0)
    abandoned.cancel()
    press.free.set()
    assert (await first, await kept) == ([2], [8])
    assert press.batches == [("a", [1]), ("a", [4])]
    assert abandoned.cancelled()


async def test_a_failed_batch_fails_its_callers_and_nobody_else(executor: ThreadPoolExecutor) -> None:
    batcher = Batcher(Press(), Policy(8, 0.01), executor)
    jammed, other = batcher.submit("a", [0, 1]), batcher.submit("b", [2])
    results = await asyncio.gather(jammed, other, return_exceptions=True)
    assert isinstance(results[0], ZeroDivisionError)
    assert results[1] == [4]
    assert await batcher.submit("a", [5]) == [10]


async def test_a_short_answer_fails_instead_of_hanging(executor: ThreadPoolExecutor) -> None:
    def forgetful(_: str, items: Sequence[int]) -> list[int]:
        return list(items)[1:]

    with pytest.raises(ValueError, match="shorter"):
        await Batcher(forgetful, Policy(8, 0.0), executor).submit("a", [1, 2])
