"""Keeps one process running, as a kubelet would: starts it when its needs are ready, probes, starts it again with
growing delays. It must leave nothing of the part behind when the part ends.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import time
from contextlib import suppress

from imagint_dev import launch, processes
from imagint_dev.board import DELAYED, READY, STARTING, STOPPED, UNREADY, WAITING, Board
from imagint_dev.parts import Part
from imagint_dev.site import Site

FIRST_DELAY, LONGEST_DELAY, SOUND_AFTER = 0.5, 8.0, 30.0
_EAGER, _CALM = 0.1, 1.0
_LOG_LIMIT = 32 * 2**20


def next_delay(delay: float, lived: float) -> float:
    """How long to wait before the next start of a part that lived so long."""
    return FIRST_DELAY if lived > SOUND_AFTER else min(max(delay * 2, FIRST_DELAY), LONGEST_DELAY)


class Keeper:
    """One part and its process."""

    def __init__(self, part: Part, site: Site, board: Board) -> None:
        self.part, self._site, self._board = part, site, board
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Runs until `stop`."""
        delay, name = 0.0, self.part.name
        while True:
            await self._board.until_ready(self.part.needs)
            started = time.monotonic()
            process = await self._start()
            await self._watch(process, time.time())
            code = await process.wait()
            if self._stopping.is_set():
                return
            self._process = None
            await asyncio.to_thread(processes.end_marked, self._site.identity, name)
            delay = next_delay(delay, time.monotonic() - started)
            restarts = self._board.get(name).restarts + 1
            self._board.set(name, DELAYED, pid=None, restarts=restarts, detail=f"ended: {describe(code)}")
            await asyncio.sleep(delay)
            self._board.set(name, WAITING)

    async def stop(self) -> None:
        """Ends the process, kindly at first, and whatever it left behind."""
        self._stopping.set()
        if (process := self._process) is not None:
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)
                process.terminate()
            try:
                await asyncio.wait_for(process.wait(), self.part.grace)
            except TimeoutError:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        await asyncio.to_thread(processes.end_marked, self._site.identity, self.part.name)
        self._board.set(self.part.name, STOPPED, pid=None)

    async def _start(self) -> asyncio.subprocess.Process:
        if self.part.fresh:
            await asyncio.to_thread(shutil.rmtree, self.part.fresh, ignore_errors=True)
            self.part.fresh.mkdir(mode=0o700)
        wrapper = (sys.executable, "-I", "-S", launch.__file__, str(os.getpid()))
        log = self._open_log()
        try:
            self._process = process = await asyncio.create_subprocess_exec(
                *wrapper,
                *self.part.argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._site.folder.root,
                env=dict(self.part.environment),
            )
        finally:
            os.close(log)
        self._board.set(self.part.name, STARTING, pid=process.pid, detail="")
        return process

    def _open_log(self) -> int:
        path = self._site.folder.log(self.part.name)
        if path.exists() and path.stat().st_size > _LOG_LIMIT:
            path.replace(path.with_suffix(".log.1"))
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    async def _watch(self, process: asyncio.subprocess.Process, started: float) -> None:
        """Probes until the process ends: often while it starts, then now and then."""
        exited = asyncio.ensure_future(process.wait())
        ever, pause = False, _EAGER
        while not exited.done():
            ready = await asyncio.to_thread(self.part.probe, started)
            if exited.done() or self._stopping.is_set():
                break
            ever = ever or ready
            self._board.set(self.part.name, READY if ready else UNREADY if ever else STARTING)
            pause = _CALM if ready else _EAGER
            await asyncio.wait({exited}, timeout=pause)
        await exited


def describe(code: int) -> str:
    """An exit code in words."""
    return f"status {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"
