"""What Kopf does when one of its watches dies: goes on without it, or ends and never comes to its end."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from pathlib import Path

import kopf
import pytest

from imagint_operator import watchers
from imagint_operator.kube.connections import Connection
from imagint_operator.watchers import Watcher

NOWHERE = Connection("https://127.0.0.1:1", None, Path("no-such-token"), None)


async def _never() -> None:
    while True:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(3600)


class LosesAWatch:
    """Stands in for `kopf.operator`: each life has a watch that dies at once, and does not end when it is told to."""

    def __init__(self) -> None:
        self.lives = 0
        self.third = threading.Event()

    async def __call__(self, **_: object) -> None:
        self.lives += 1
        if self.lives == 3:
            self.third.set()
        asyncio.create_task(asyncio.sleep(watchers.LOOK_SECONDS * 2), name="watcher for tenants")  # noqa: RUF006
        await _never()


async def test_a_watch_that_died_begins_a_new_life_even_if_the_old_one_never_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fake = LosesAWatch()
    monkeypatch.setattr(kopf, "operator", fake)
    monkeypatch.setattr(watchers, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(watchers, "ENDING_SECONDS", 0.05)
    monkeypatch.setattr(watchers, "FIRST_PAUSE", 0.01)
    watcher = Watcher(NOWHERE)
    watcher.start()
    try:
        assert await asyncio.to_thread(fake.third.wait, 30)
    finally:
        await watcher.stop(10)
    assert not watcher.running
