"""Using a stack from Python: what the command line and the tests' fixtures stand on.

    stack = Stack(folder)
    stack.up(parts=CONTROL_PLANE)
    ...
    stack.down(purge=True)

Tests may break a stack through it (kill, pause, seal); nothing here runs in production.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

from imagint_dev import binaries, kubeconfigs, processes
from imagint_dev.apiserver import ApiServer
from imagint_dev.board import READY
from imagint_dev.duties import KEEP_SEALED
from imagint_dev.errors import NotRunningError, StartFailedError
from imagint_dev.lifecycle import Lifecycle
from imagint_dev.options import CONTROL_PLANE, EVERYTHING, StackOptions
from imagint_dev.processes import ProcessIdentity
from imagint_dev.vaults import AUDIENCE, VaultServer

__all__ = ["CONTROL_PLANE", "EVERYTHING", "Stack", "StackOptions"]


class Stack(Lifecycle):
    """One state folder and what runs in it."""

    def up(
        self,
        *,
        parts: Collection[str] = EVERYTHING,
        without: Collection[str] = (),
        options: StackOptions | None = None,
        environment: dict[str, dict[str, str]] | None = None,
        timeout: float = 180.0,
    ) -> None:
        """Starts these parts and returns when they are ready; they end with this process at the latest.

        Raises:
            AlreadyRunningError: something runs in this state folder.
            StartFailedError: a part does not become ready; nothing is left running.
            SettingsError: options that do not fit together, or a folder of somebody else.
            BuildFailedError: the programs could not be built.
        """
        wanted = (options or StackOptions()).model_dump()
        wanted["parts"] = frozenset(parts) & frozenset(wanted["parts"]) - frozenset(without)
        wanted["environment"] = {**wanted["environment"], **(environment or {})}
        self.start(StackOptions.model_validate(wanted), timeout=timeout)

    # -- looking ------------------------------------------------------------------------------------------------

    def url(self, name: str) -> str:
        """The address of api, vault, ray_dashboard, serve, prober or operator_metrics."""
        return str(self.record()["urls"][name])

    def pid(self, part: str) -> int | None:
        """The process of a part now."""
        found: int | None = self._part(part).get("pid")
        return found

    def is_ready(self, name: str) -> bool:
        """Whether a part or duty is ready now."""
        return bool(self._part(name).get("state") == READY)

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
                raise StartFailedError(f"not ready after {timeout:g} s: {', '.join(waiting)}\n{self.explain(waiting)}")
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

    def vault_as(self, role: str, namespace: str, account: str) -> VaultServer:
        """Vault, logged in as a ServiceAccount.

        Raises:
            RefusedError: Vault does not accept it for that role.
        """
        return VaultServer(self.url("vault")).logged_in(role, self.token(namespace, account, AUDIENCE))

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

    @property
    def kubectl_path(self) -> Path:
        """The kubectl that was built with this stack."""
        return binaries.path_of("kubectl")

    def kubectl_command(self, *arguments: str) -> list[str]:
        """The command line of kubectl for this stack."""
        cache = f"--cache-dir={self.path('run', 'kubectl-cache')}"
        return [str(self.kubectl_path), f"--kubeconfig={self.kubeconfig}", cache, *arguments]

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

    def _part(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.record().get("parts", {}).get(name, {})
        return found
