"""The same key service twice: the true fake, and a real Vault started for the session."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pytest

from imagint_privacy.keys.fakes import FakeTransit
from imagint_privacy.keys.ports import KeyAdmin, KeyProber, RootWrapper, Signer
from imagint_privacy.vault import EvidenceSigner, TenantKey, VaultSession
from imagint_privacy.vault import KeyAdmin as VaultAdmin
from imagint_privacy.vault import KeyProber as VaultProber


class KeyService(Protocol):
    """What the contract suite needs of either."""

    def tenant_key(self, name: str) -> RootWrapper: ...
    def admin(self) -> KeyAdmin: ...
    def prober(self) -> KeyProber: ...
    def signer(self) -> Signer: ...
    def seal(self) -> None: ...
    def unseal(self) -> None: ...
    def snapshot(self) -> Any: ...
    def restore(self, snapshot: Any) -> None: ...


@dataclass
class FakeService:
    transit: FakeTransit = field(default_factory=FakeTransit)
    _signer: Signer | None = None

    def tenant_key(self, name: str) -> RootWrapper:
        return self.transit.tenant_key(name)

    def admin(self) -> KeyAdmin:
        return self.transit.admin()

    def prober(self) -> KeyProber:
        return self.transit.prober()

    def signer(self) -> Signer:
        self._signer = self._signer or self.transit.signer()
        return self._signer

    def seal(self) -> None:
        self.transit.sealed = True

    def unseal(self) -> None:
        self.transit.sealed = False

    def snapshot(self) -> Any:
        return self.transit.snapshot()

    def restore(self, snapshot: Any) -> None:
        self.transit.restore(snapshot)


class RealVault:
    """A Vault of our own: initialised, unsealed, with the two mounts."""

    def __init__(self, binary: Path, folder: Path, *options: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.address = f"http://127.0.0.1:{port}"
        self._command = [str(binary), "-listen", f"127.0.0.1:{port}", "-storage", str(folder / "storage"), *options]
        self._log = (folder / "vault.log").open("wb")
        self.process = self._started()
        self._folder, self._snapshots = folder, 0
        answer = self._wait("PUT", "sys/init", {"secret_shares": 1, "secret_threshold": 1})
        self._unseal_key, self.token = answer["keys_base64"][0], answer["root_token"]
        self.unseal()
        for mount in ("transit", "evidence"):
            self.http("POST", f"sys/mounts/{mount}", {"type": "transit"})
        self.http("POST", "transit/config/keys", {"disable_upsert": True})
        self.http("POST", "evidence/keys/certificates", {"type": "ed25519"})

    def _started(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(self._command, stdout=self._log, stderr=self._log, start_new_session=True)

    def restart(self) -> None:
        """Start it again on the same storage after it was killed, and unseal it."""
        self.process.wait(10)
        self.process = self._started()
        self._wait("PUT", "sys/unseal", {"key": self._unseal_key})
        self._wait("GET", "sys/mounts")

    def http(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        headers = {"X-Vault-Token": getattr(self, "token", "")}
        request = urllib.request.Request(f"{self.address}/v1/{path}", data, headers, method=method)  # noqa: S310
        with urllib.request.urlopen(request, timeout=5) as response:  # noqa: S310
            text = response.read()
        parsed: dict[str, Any] = json.loads(text) if text else {}
        return parsed

    def _wait(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        for _ in range(200):
            try:
                return self.http(method, path, body)
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.05)
        raise TimeoutError(f"vault does not answer {path}")

    def session(self) -> VaultSession:
        return VaultSession.with_token(self.address, self.token)

    def tenant_key(self, name: str) -> RootWrapper:
        return TenantKey(self.session(), name)

    def admin(self) -> KeyAdmin:
        return VaultAdmin(self.session())

    def prober(self) -> KeyProber:
        return VaultProber(self.session())

    def signer(self) -> Signer:
        return EvidenceSigner(self.session())

    def seal(self) -> None:
        self.http("PUT", "sys/seal", {})

    def unseal(self) -> None:
        self.http("PUT", "sys/unseal", {"key": self._unseal_key})
        self._wait("GET", "sys/mounts")

    def snapshot(self) -> Any:
        """Copy the storage of a Vault that stands still."""
        self._snapshots += 1
        kept = self._folder / f"snapshot-{self._snapshots}"
        self._swap(lambda: shutil.copytree(self._folder / "storage", kept))
        return kept

    def restore(self, snapshot: Any) -> None:
        """Put a copy of the storage in place of the present one."""
        shutil.rmtree(self._folder / "gone", ignore_errors=True)

        def put_back() -> None:
            (self._folder / "storage").rename(self._folder / "gone")
            shutil.copytree(snapshot, self._folder / "storage")

        self._swap(put_back)

    def _swap(self, work: Callable[[], object]) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)
        work()
        self.restart()

    def stop(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)
        self._log.close()


def _vault_binary() -> Path | None:
    if given := os.environ.get("IMAGINT_TEST_VAULT"):
        return Path(given)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    built = [path for path in (cache / "imagint" / "bin").glob("*/vault") if os.access(path, os.X_OK)]
    return max(built, key=lambda path: path.stat().st_mtime, default=None)


@pytest.fixture(scope="session")
def vault_binary() -> Path:
    binary = _vault_binary()
    if binary is not None:
        return binary
    reason = "no vault binary: run `imagint build`, or set IMAGINT_TEST_VAULT"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def real_vault(vault_binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealVault]:
    folder = tmp_path_factory.mktemp("vault")
    vault = RealVault(vault_binary, folder)
    yield vault
    vault.stop()
    shutil.rmtree(folder)


@pytest.fixture(params=["fake", "vault"])
def own_key_service(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[KeyService]:
    """A key service that a test may stop and restore: nobody else uses it."""
    if request.param == "fake":
        yield FakeService()
        return
    (tmp_path / "vault").mkdir()
    vault = RealVault(request.getfixturevalue("vault_binary"), tmp_path / "vault")
    yield vault
    vault.stop()


@pytest.fixture(params=["fake", "vault"])
def key_service(request: pytest.FixtureRequest) -> KeyService:
    if request.param == "fake":
        return FakeService()
    service: KeyService = request.getfixturevalue("real_vault")
    return service
