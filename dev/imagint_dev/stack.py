"""Starting, stopping and using a stack from Python: what the command line and the tests' fixtures stand on.

    stack = Stack(folder)
    stack.up(parts=CONTROL_PLANE)
    ...
    stack.down(purge=True)

A stack started here ends with this process, unless `detach` says otherwise.
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

from imagint_dev import apiserver, binaries, files, kubeconfigs, processes, watchdog
from imagint_dev.apiserver import ApiServer
from imagint_dev.board import FAILED, READY
from imagint_dev.duties import KEEP_SEALED
from imagint_dev.errors import AlreadyRunningError, NotRunningError, SettingsError, StartFailedError
from imagint_dev.folder import StateFolder
from imagint_dev.options import CONTROL_PLANE, EVERYTHING, StackOptions
from imagint_dev.processes import STACK_MARK, ProcessIdentity
from imagint_dev.site import scratch_of
from imagint_dev.vaults import VaultServer

__all__ = ["CONTROL_PLANE", "EVERYTHING", "Stack", "StackOptions"]

_TOO_MANY_RESTARTS = 5


class Stack:
    """One state folder and what runs in it."""

    def __init__(self, state: Path | str | None = None, *, console: Console | None = None) -> None:
        self.folder = StateFolder.at(state)
        self._console = console or Console(stderr=True)
        self._watchdog: subprocess.Popen[bytes] | None = None
        self._leash: int | None = None

    # -- starting and stopping ----------------------------------------------------------------------------------

    def up(
        self,
        *,
        parts: Collection[str] | None = None,
        without: Collection[str] = (),
        options: StackOptions | None = None,
        environment: dict[str, dict[str, str]] | None = None,
        detach: bool = False,
        timeout: float = 180.0,
        seen: Callable[[dict[str, Any]], None] | None = None,
    ) -> None:
        """Starts the stack and returns when all of it is ready.

        Raises:
            AlreadyRunningError: something runs in this state folder.
            StartFailedError: a part does not become ready; nothing is left running.
            SettingsError: options that do not fit together, or a folder of somebody else.
            BuildFailedError: the programs could not be built.
        """
        wanted = (options or StackOptions()).model_dump()
        wanted["parts"] = frozenset(wanted["parts"] if parts is None else parts) - frozenset(without)
        wanted["environment"] = {**wanted["environment"], **(environment or {})}
        chosen = StackOptions.model_validate(wanted)
        chosen.check()
        self.folder.prepare()
        binaries.ensure(self._console)
        with files.locked(self.folder.command_lock):
            lock = files.try_lock(self.folder.lock)
            if lock is None:
                raise AlreadyRunningError(f"a stack runs in {self.folder.root} already")
            try:
                self._sweep_leftovers()
                chosen.write(self.folder.options)
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

    # -- looking ------------------------------------------------------------------------------------------------

    def record(self) -> dict[str, Any]:
        """What the supervisor wrote last; empty when nothing ever ran."""
        return files.read_json(self.folder.record)

    def is_running(self) -> bool:
        """Whether a stack runs in the folder."""
        return self.folder.is_running()

    def url(self, name: str) -> str:
        """The address of api, vault, ray_dashboard, serve, prober or operator_metrics."""
        return str(self.record()["urls"][name])

    def pid(self, part: str) -> int | None:
        """The process of a part now."""
        found: int | None = self._part(part).get("pid")
        return found

    def restarts(self, part: str) -> int:
        """How often a part ended by itself and was started again."""
        return int(self._part(part).get("restarts", 0))

    def wait_ready(self, *names: str, timeout: float = 60.0) -> None:
        """Waits until these parts or duties are ready; all of them when none is named.

        Raises:
            StartFailedError: they are not, in time.
        """
        deadline = time.monotonic() + timeout
        while True:
            entries = self.record().get("parts", {})
            waiting = [n for n in names or entries if entries.get(n, {}).get("state") != READY]
            if entries and not waiting:
                return
            if time.monotonic() > deadline:
                raise StartFailedError(f"not ready after {timeout:g} s: {', '.join(waiting)}\n{self._why(waiting)}")
            time.sleep(0.05)

    def path(self, *names: str) -> Path:
        """A path below the state folder."""
        return self.folder.root.joinpath(*names)

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.folder.kubeconfig

    @property
    def ray_token(self) -> str:
        """The token of the Ray cluster."""
        return Path(self.record()["ray_token_file"]).read_text().strip()

    def identity(self, account: str) -> Path:
        """The folder with the tokens of a platform ServiceAccount."""
        return self.folder.identity(account)

    def environment(self, part: str) -> dict[str, str]:
        """The variables of a running part.

        Raises:
            NotRunningError: it does not run.
        """
        pid = self.pid(part)
        if pid is None:
            raise NotRunningError(f"{part} does not run")
        pairs = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
        return dict(pair.split("=", 1) for pair in pairs if "=" in pair)

    # -- using --------------------------------------------------------------------------------------------------

    def api(self) -> ApiServer:
        """A client with the administrator's rights; close it."""
        return ApiServer(kubeconfigs.read(self.kubeconfig))

    def token(self, namespace: str, account: str, audience: str | None = None, seconds: int = 600) -> str:
        """A ServiceAccount's token (TokenRequest by the administrator)."""
        with self.api() as api:
            return api.token(namespace, account, audience, seconds)

    def apply(self, manifests: Path | str) -> None:
        """Applies a file, or YAML text, with kubectl."""
        if isinstance(manifests, Path):
            self.kubectl("apply", "--server-side", "-f", str(manifests))
        else:
            self.kubectl("apply", "--server-side", "-f", "-", stdin=manifests)

    def kubectl(self, *arguments: str, stdin: str | None = None, timeout: float = 60.0) -> str:
        """Runs kubectl as administrator and gives its output.

        Raises:
            subprocess.CalledProcessError: it failed; `stderr` says why.
        """
        done = subprocess.run(
            self.kubectl_command(*arguments),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=True,
            env=processes.scrubbed(dict(os.environ)),
        )
        return done.stdout

    def kubectl_command(self, *arguments: str) -> list[str]:
        """The command line of kubectl for this stack."""
        cache = f"--cache-dir={self.path('run', 'kubectl-cache')}"
        return [str(binaries.path_of("kubectl")), f"--kubeconfig={self.kubeconfig}", cache, *arguments]

    # -- breaking (for tests) -----------------------------------------------------------------------------------

    def kill(self, part: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Kills a part's process and returns when it is gone; the supervisor starts it again.

        Raises:
            NotRunningError: it does not run.
        """
        pid = self.pid(part)
        identity = ProcessIdentity.of(pid) if pid else None
        if pid is None or identity is None:
            raise NotRunningError(f"{part} does not run")
        os.kill(pid, number)
        deadline = time.monotonic() + 15
        while (identity.is_alive() or self.pid(part) == pid) and time.monotonic() < deadline:
            time.sleep(0.02)

    def pause(self, part: str) -> None:
        """Stops a part's process in its tracks: connections are accepted, nothing answers."""
        if pid := self.pid(part):
            os.kill(pid, signal.SIGSTOP)

    def resume(self, part: str) -> None:
        """Lets a paused part go on."""
        if pid := self.pid(part):
            os.kill(pid, signal.SIGCONT)

    def seal(self) -> None:
        """Seals Vault; it stays so until `unseal`."""
        (self.folder.vault / KEEP_SEALED).touch()
        vault = VaultServer(self.url("vault"))
        vault.with_token(vault.new_root_token((self.folder.vault / "unseal-key").read_text())).call("PUT", "sys/seal")

    def unseal(self, timeout: float = 20.0) -> None:
        """Lets the supervisor unseal Vault, and waits for it."""
        (self.folder.vault / KEEP_SEALED).unlink(missing_ok=True)
        vault = VaultServer(self.url("vault"))
        deadline = time.monotonic() + timeout
        while vault.seal_status()[1] and time.monotonic() < deadline:
            time.sleep(0.05)
        self.wait_ready("keys", timeout=timeout)

    # -- inside -------------------------------------------------------------------------------------------------

    def _part(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.record().get("parts", {}).get(name, {})
        return found

    def _spawn(self, lock: int) -> None:
        identity = secrets.token_hex(16)
        for stale in (self.folder.root / "run" / "failure.json",):
            stale.unlink(missing_ok=True)
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
                raise StartFailedError(f"{', '.join(hopeless)} cannot start\n{self._why(hopeless)}")
            if self._watchdog is not None and self._watchdog.poll() is not None:
                told = files.read_json(self.folder.root / "run" / "failure.json").get("message")
                raise StartFailedError(str(told or files.tail(self.folder.log("supervisor"))))
            if time.monotonic() > deadline:
                waiting = [name for name, entry in entries.items() if entry["state"] != READY]
                raise StartFailedError(f"not ready in time: {', '.join(waiting)}\n{self._why(waiting)}")
            time.sleep(0.05)

    def _why(self, names: Collection[str]) -> str:
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
