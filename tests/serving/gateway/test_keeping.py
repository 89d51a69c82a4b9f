"""The keeper opens a library, keeps its beat, and has a copy of its tree made before the first erasure needs one."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import Any, cast

import pytest

from imagint_privacy.errors import CopyFailedError
from imagint_privacy.records.library import Library
from imagint_serving.gateway import keeping
from imagint_serving.gateway.keeping import LibraryKeeper
from imagint_serving.gateway.workers import Workers


class CountingLibrary:
    """Counts what the keeper asks of a library."""

    def __init__(self, *, copies_fail: bool = False) -> None:
        self.beats, self.copies, self.sweeps, self.copies_fail = 0, 0, 0, copies_fail
        self.fifth = threading.Event()

    def beat(self) -> int:
        self.beats += 1
        if self.beats == 5:
            self.fifth.set()
        return self.beats

    def copy_tree(self) -> tuple[Any, ...]:
        self.copies += 1
        if self.copies_fail:
            raise CopyFailedError("the store is away")
        return ()

    def sweep_uploads(self) -> int:
        self.sweeps += 1
        return 0


@pytest.mark.parametrize("fails", [pytest.param(False, id="the copy works"), pytest.param(True, id="the copy fails")])
async def test_the_tree_is_copied_soon_and_rarely_and_the_beat_goes_on(
    fails: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "BEAT_SECONDS", 0.005)
    library, workers = CountingLibrary(copies_fail=fails), Workers("test", threads=1, backlog=4)
    keeper = LibraryKeeper(lambda: cast(Library, library))
    task = asyncio.create_task(keeper.run(workers))
    assert await asyncio.to_thread(library.fifth.wait, 10)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    workers.close()
    assert (library.copies, library.sweeps) == (1, 1)
    assert keeper.library is cast(Library, library)
