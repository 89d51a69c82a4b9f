"""Leader election against an apiserver of one Lease, on a clock that the tests set."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from imagint_operator.errors import FencedError, KubeConflictError, KubeUnavailableError
from imagint_operator.fences import Fence
from imagint_operator.leases import Elector, Place, Timing

TIMING = Timing(duration=0.6, renew_deadline=0.3, retry=0.02)


class OneLease:
    """Keeps one Lease with its versions, as the apiserver does."""

    def __init__(self) -> None:
        self.lease: dict[str, Any] | None = None
        self.away = False
        self.writes = 0

    async def get(self, _resource: object, _name: str, _namespace: str) -> dict[str, Any] | None:
        self._answer()
        return self.lease

    async def create(self, _resource: object, body: dict[str, Any], *, fenced: bool) -> dict[str, Any]:
        self._answer()
        if self.lease is not None:
            raise KubeConflictError("exists")
        return self._store(body)

    async def replace(self, _resource: object, body: dict[str, Any], *, fenced: bool) -> dict[str, Any]:
        self._answer()
        found = self.lease
        if found is None or body["metadata"]["resourceVersion"] != found["metadata"]["resourceVersion"]:
            raise KubeConflictError("changed")
        return self._store(body)

    @property
    def spec(self) -> dict[str, Any]:
        assert self.lease is not None
        spec: dict[str, Any] = self.lease["spec"]
        return spec

    def _answer(self) -> None:
        if self.away:
            raise KubeUnavailableError("away")

    def _store(self, body: dict[str, Any]) -> dict[str, Any]:
        self.writes += 1
        self.lease = {**body, "metadata": {**body["metadata"], "resourceVersion": str(self.writes)}}
        return self.lease


class Candidate:
    """An elector and what its work saw."""

    def __init__(self, apiserver: Any, name: str, timing: Timing = TIMING) -> None:
        self.fence = Fence()
        place = Place("imagint-system", "imagint-operator", name)
        self.elector = Elector(apiserver, place, timing, self.fence, lambda: datetime(2026, 1, 1, tzinfo=UTC))
        self.works = asyncio.Event()
        self.ended = asyncio.Event()
        self.task = asyncio.create_task(self.elector.run(self._work))

    async def _work(self) -> None:
        self.works.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.ended.set()

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


@pytest.fixture
def apiserver() -> OneLease:
    return OneLease()


async def soon(event: asyncio.Event) -> None:
    await asyncio.wait_for(event.wait(), 10)


async def test_one_works_and_the_other_waits(apiserver: OneLease) -> None:
    first, second = Candidate(apiserver, "first"), Candidate(apiserver, "second")
    await soon(first.works)
    await asyncio.sleep(TIMING.duration * 2)
    assert not second.works.is_set()
    with pytest.raises(FencedError):
        second.fence.check()
    first.fence.check()
    await first.stop()
    await second.stop()


async def test_a_lease_given_back_is_taken_at_once(apiserver: OneLease) -> None:
    slow = Timing(duration=60, renew_deadline=40, retry=0.02)
    first = Candidate(apiserver, "first", slow)
    await soon(first.works)
    second = Candidate(apiserver, "second", slow)
    await first.stop()
    assert first.ended.is_set()
    with pytest.raises(FencedError):
        first.fence.check()
    await soon(second.works)
    assert apiserver.spec["holderIdentity"] == "second"
    await second.stop()


async def test_a_holder_that_vanished_is_followed_after_the_duration(apiserver: OneLease) -> None:
    first = Candidate(apiserver, "first")
    await soon(first.works)
    first.elector._give_back = nothing  # type: ignore[method-assign]
    await first.stop()
    second = Candidate(apiserver, "second")
    await soon(second.works)
    assert apiserver.spec["leaseTransitions"] == 1
    await second.stop()


async def nothing() -> None:
    """As kill -9: nothing is given back."""


async def test_a_holder_that_cannot_renew_stops_and_begins_again_later(apiserver: OneLease) -> None:
    first = Candidate(apiserver, "first")
    await soon(first.works)
    apiserver.away = True
    await soon(first.ended)
    with pytest.raises(FencedError):
        first.fence.check()
    first.works.clear()
    apiserver.away = False
    await soon(first.works)  # the Lease still names it: nobody was in between
    first.fence.check()
    await first.stop()


async def test_a_holder_that_finds_another_stops_at_once(apiserver: OneLease) -> None:
    first = Candidate(apiserver, "first", Timing(duration=60, renew_deadline=40, retry=0.02))
    await soon(first.works)
    assert apiserver.lease is not None
    apiserver._store({**apiserver.lease, "spec": {**apiserver.spec, "holderIdentity": "thief"}})
    await soon(first.ended)
    with pytest.raises(FencedError):
        first.fence.check()
    await first.stop()
    assert apiserver.spec["holderIdentity"] == "thief"


async def test_a_lease_that_was_deleted_is_made_again(apiserver: OneLease) -> None:
    first = Candidate(apiserver, "first")
    await soon(first.works)
    apiserver.lease, written = None, apiserver.writes
    while apiserver.writes == written:  # noqa: ASYNC110 - a fake sets no event
        await asyncio.sleep(0.01)
    assert apiserver.spec["holderIdentity"] == "first"
    await first.stop()


async def test_what_the_work_raises_ends_the_process_and_gives_the_lease_back(apiserver: OneLease) -> None:
    async def broken() -> None:
        raise ZeroDivisionError

    elector = Elector(apiserver, Place("n", "l", "me"), TIMING, Fence(), lambda: datetime.now(UTC))  # type: ignore[arg-type]
    with pytest.raises(ZeroDivisionError):
        await elector.run(broken)
    assert apiserver.spec["holderIdentity"] == ""
