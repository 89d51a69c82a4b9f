"""Starting and stopping a stack: locks, the watchdog, waiting, and cleaning up after whatever went wrong.

A stack started here ends with this process unless `detach` is said; nothing survives a start that did not succeed.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from typing import Any

from rich.console import Console

from imagint_dev import binaries, files, processes, watchdog
from imagint_dev.board import FAILED, READY
from imagint_dev.errors import AlreadyRunningError, SettingsError, StartFailedError
from imagint_dev.folder import StateFolder
from imagint_dev.options import StackOptions
from imagint_dev.processes import STACK_MARK, ProcessIdentity
from imagint_dev.site import scratch_of

_TOO_MANY_RESTARTS = 4


class Lifecycle:
    """One state folder, and the watchdog that runs in it."""

    def __init__(self, state: Path | str | None = None, *, console: Console | None = None) -> None:
        self.folder = StateFolder.at(state)
        self._console = console or Console(stderr=True)
        self._watchdog: subprocess.Popen[bytes] | None = None
        self._leash: int | None = None

    def start(
        self,
        options: StackOptions,
        *,
        detach: bool = False,
        timeout: float = 180.0,
        seen: Callable[[dict[str, Any]], None] | None = None,
    ) -> None:
        """Starts the stack and returns when all of it is ready; `seen` is shown the record while it starts.

        Raises:
            AlreadyRunningError: something runs in this state folder.
            StartFailedError: a part does not become ready; nothing is left running.
            SettingsError: options that do not fit together, or a folder of somebody else.
            BuildFailedError: the programs could not be built.
        """
        options.check()
        self.folder.prepare()
        if self.folder.is_running():
            raise AlreadyRunningError(f"a stack runs in {self.folder.root} already")
        binaries.ensure(self._console)
        with files.locked(self.folder.command_lock):
            lock = files.try_lock(self.folder.lock)
            if lock is None:
                raise AlreadyRunningError(f"a stack runs in {self.folder.root} already")
            try:
                self._reap()
                self._sweep_leftovers()
                options.write(self.folder.options)
                self._spawn(lock)
            finally:
                os.close(lock)
            try:
                self._wait_started(time.monotonic() + timeout, seen)
            except BaseException:
                self._drop_leash()
                self._wait_gone(60)
                raise
            if detach:
                self._say_well()

    def down(self, *, purge: bool = False, timeout: float = 60.0) -> bool:
        """Stops the stack and says whether one ran; with `purge`, removes the folder.

        Raises:
            SettingsError: `purge` of a folder that is not a stack's.
        """
        if not self.folder.root.is_dir():
            return False
        if purge and not self.folder.is_ours():
            raise SettingsError(f"{self.folder.root} is not a state folder of Imagint; it is left alone")
        if not self.folder.is_ours():
            return False
        with files.locked(self.folder.command_lock):
            running = self.folder.is_running()
            if running:
                self._signal_supervisor()
            self._wait_gone(timeout)
            self._drop_leash()
            self._sweep_leftovers()
            if purge:
                shutil.rmtree(self.folder.root)
        return running

    def record(self) -> dict[str, Any]:
        """What the supervisor wrote last; empty when nothing ever ran."""
        return files.read_json(self.folder.record)

    def is_running(self) -> bool:
        """Whether a stack runs in the folder."""
        running = self.folder.is_running()
        if not running:
            self._reap()
        return running

    def _spawn(self, lock: int) -> None:
        identity = secrets.token_hex(16)
        (self.folder.root / "run" / "failure.json").unlink(missing_ok=True)
        kept = {"ports": self.record().get("ports", {}), "id": identity, "scratch": str(scratch_of(identity))}
        files.write_json(self.folder.record, kept)
        environment = processes.scrubbed(dict(os.environ)) | {STACK_MARK: identity}
        supervisor = [sys.executable, "-m", "imagint_dev.supervisor", str(self.folder.root)]
        command = [sys.executable, "-I", "-S", watchdog.__file__, identity, str(scratch_of(identity)), str(lock)]
        reading, self._leash = os.pipe()
        log = os.open(self.folder.log("supervisor"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            self._watchdog = subprocess.Popen(
                [*command, *supervisor],
                stdin=reading,
                stdout=log,
                stderr=log,
                env=environment,
                pass_fds=(lock,),
                start_new_session=True,
                cwd=self.folder.root,
            )
        finally:
            os.close(reading)
            os.close(log)

    def _wait_started(self, deadline: float, seen: Callable[[dict[str, Any]], None] | None) -> None:
        while True:
            record = self.record()
            if seen:
                seen(record)
            if record.get("ready"):
                return
            entries = record.get("parts", {})
            hopeless = [n for n, e in entries.items() if e["state"] == FAILED or e["restarts"] >= _TOO_MANY_RESTARTS]
            if hopeless:
                raise StartFailedError(f"{', '.join(hopeless)} cannot start\n{self.explain(hopeless)}")
            if self._watchdog is not None and self._watchdog.poll() is not None:
                told = files.read_json(self.folder.root / "run" / "failure.json").get("message")
                raise StartFailedError(str(told or files.tail(self.folder.log("supervisor"))))
            if time.monotonic() > deadline:
                waiting = [name for name, entry in entries.items() if entry["state"] != READY]
                raise StartFailedError(f"not ready in time: {', '.join(waiting)}\n{self.explain(waiting)}")
            time.sleep(0.05)

    def explain(self, names: Collection[str]) -> str:
        """The board's word and the last lines of the logs of these parts."""
        entries = self.record().get("parts", {})
        lines = []
        for name in names:
            entry = entries.get(name, {})
            lines.append(f"-- {name}: {entry.get('state', 'unknown')} {entry.get('detail', '')}".rstrip())
            if entry.get("kind") == "part":
                lines.append(files.tail(self.folder.log(name)))
        return "\n".join(filter(None, lines))

    def _say_well(self) -> None:
        if self._leash is not None:
            os.write(self._leash, b"k")
            self._drop_leash()

    def _drop_leash(self) -> None:
        if self._leash is not None:
            os.close(self._leash)
            self._leash = None

    def _signal_supervisor(self) -> None:
        told = self.record().get("supervisor") or {}
        identity = ProcessIdentity(int(told.get("pid", 0)), str(told.get("started")))
        if identity.pid and identity.is_alive():
            with suppress(ProcessLookupError):
                os.kill(identity.pid, signal.SIGTERM)
                os.kill(identity.pid, signal.SIGCONT)

    def _wait_gone(self, timeout: float) -> None:
        """Waits until nothing holds the folder; then, or when time is up, kills what is left."""
        deadline = time.monotonic() + timeout
        while self.folder.is_running() and time.monotonic() < deadline:
            if self._watchdog is not None:
                self._watchdog.poll()
            time.sleep(0.02)
        if self.folder.is_running():
            self._sweep_leftovers()
        self._reap()

    def _reap(self) -> None:
        """Collects the watchdog of a stack that has ended."""
        if self._watchdog is not None:
            with suppress(subprocess.TimeoutExpired):
                self._watchdog.wait(timeout=20)
            self._watchdog = None

    def _sweep_leftovers(self) -> None:
        """Kills what still carries the last run's mark, after a crash of supervisor and watchdog both."""
        identity = self.record().get("id")
        if identity:
            processes.end_marked(str(identity))
            shutil.rmtree(scratch_of(str(identity)), ignore_errors=True)
