"""Lives of an operator: real processes that can be killed at any moment, forked from one that has loaded everything.

Their clock is the machine's, put ahead or back by what a test says; bounds that are minutes can be made seconds.
"""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from imagint_operator import composition, health, informers, watchers
from imagint_operator.__main__ import WATCH_DEAD, configure_logging
from imagint_operator.errors import WatchDeadError
from imagint_operator.kube import client
from imagint_operator.settings import Settings
from imagint_operator.times import utc_now

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload([__name__])


@dataclass(frozen=True, slots=True)
class Bounds:
    """How long an operator waits for a silent watch and between two sweeps; None leaves what it has."""

    silent: float | None = None
    answering: float | None = None
    sweep: float | None = None


class Hands:
    """The clock of all lives: so many seconds ahead of the machine's."""

    def __init__(self) -> None:
        self._seconds: Any = _CONTEXT.Value("d", 0.0)

    @property
    def ahead(self) -> timedelta:
        """How far it is ahead."""
        return timedelta(seconds=self._seconds.value)

    @ahead.setter
    def ahead(self, value: timedelta) -> None:
        self._seconds.value = value.total_seconds()

    def now(self) -> datetime:
        """What it shows."""
        return utc_now() + self.ahead


class Life:
    """One process."""

    def __init__(self, settings: Settings, hands: Hands, log: Path, bounds: Bounds = Bounds()) -> None:
        self._process = _CONTEXT.Process(target=_live, args=(settings, hands, log, bounds), daemon=True)
        self._process.start()

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._process.is_alive()

    @property
    def ended(self) -> int | None:
        """How it ended."""
        return self._process.exitcode

    @property
    def pid(self) -> int:
        """Its id."""
        return self._process.pid or 0

    def kill(self) -> None:
        """SIGKILL, and wait for the end."""
        self._process.kill()
        self._process.join(10)

    def suspend(self) -> None:
        """SIGSTOP."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        os.kill(self.pid, signal.SIGCONT)


def _live(settings: Settings, hands: Hands, log: Path, bounds: Bounds) -> None:
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    _bound(bounds)
    configure_logging()
    code = 0
    try:
        asyncio.run(_work(settings, hands))
    except WatchDeadError as error:
        logging.getLogger(__name__).error("%s", error)
        code = WATCH_DEAD
    sys.stdout.flush()
    os._exit(code)


async def _work(settings: Settings, hands: Hands) -> None:
    pool = ThreadPoolExecutor(composition.VAULT_THREADS, thread_name_prefix="vault")
    asyncio.get_running_loop().set_default_executor(pool)
    async with composition.Standby(settings, clock=hands.now) as standby:
        await standby.run()


def _bound(bounds: Bounds) -> None:
    if bounds.silent is not None:
        health.SILENT_SECONDS = client.SILENT_SECONDS = bounds.silent
        health.LOOK_SECONDS = bounds.silent / 4
        client.WATCH_SECONDS = round(bounds.silent / 3)
        _begin_watches_again(bounds.silent / 3)
    if bounds.answering is not None:
        health.ANSWERING_SECONDS = bounds.answering
    if bounds.sweep is not None:
        informers.FIRST_SWEEP_SECONDS = informers.SWEEP_SECONDS = bounds.sweep


def _begin_watches_again(seconds: float) -> None:
    """Kopf's watches are heard of when they begin: with a short bound they must begin often."""
    usual = watchers._settings

    def shortened() -> Any:
        settings = usual()
        settings.watching.server_timeout = round(seconds)
        return settings

    watchers._settings = shortened
