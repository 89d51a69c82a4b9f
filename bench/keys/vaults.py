"""One Vault transit key per subject, on a real Vault; and what our own calls cost there.

The Vault is started for the measurement, keeps its storage in a folder and listens on the loopback. Keys are created,
used and destroyed over one kept connection, as a client of Vault would.
"""

from __future__ import annotations

import base64
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx
from bench.keys.findings import Findings, Say, percentile, timed
from bench.keys.plans import Plan

from imagint_privacy.vault import TenantKey, VaultSession

TENANT = "tenant-bench"
_SETTLE_S = 2.0


class Vault:
    """A Vault of our own; `with` starts it and ends it."""

    def __init__(self, folder: Path) -> None:
        self.storage = folder / "storage"
        self._log = folder / "vault.log"
        folder.mkdir(parents=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.address = f"http://127.0.0.1:{port}"
        self.http = httpx.Client(base_url=f"{self.address}/v1/", timeout=30, trust_env=False)
        self._listen = f"127.0.0.1:{port}"
        self.token = ""

    def __enter__(self) -> Vault:
        with self._log.open("wb") as log:
            command = [str(binary()), "-listen", self._listen, "-storage", str(self.storage)]
            self.process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        answer = self._patiently("PUT", "sys/init", {"secret_shares": 1, "secret_threshold": 1})
        self.token = answer["root_token"]
        self.http.headers["X-Vault-Token"] = self.token
        self.call("PUT", "sys/unseal", {"key": answer["keys_base64"][0]})
        self._patiently("GET", "sys/mounts")
        self.call("POST", "sys/mounts/transit", {"type": "transit"})
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.http.close()
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Ask Vault; what it refuses is raised."""
        response = self.http.request(method, path, json=body)
        response.raise_for_status()
        parsed: dict[str, Any] = response.json() if response.content else {}
        return parsed

    def _patiently(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        for _ in range(200):
            try:
                return self.call(method, path, body)
            except httpx.HTTPError:
                time.sleep(0.05)
        raise TimeoutError(f"vault does not answer {path}")

    def tenant_key(self) -> TenantKey:
        """Return the data plane's own view of one tenant key, made if it is missing."""
        self.call("POST", f"transit/keys/{TENANT}", {})
        return TenantKey(VaultSession.with_token(self.address, self.token), TENANT)

    def memory(self) -> int:
        """Return the resident bytes of the process."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def stored(self) -> int:
        """Return the bytes of the storage folder."""
        return sum(path.stat().st_size for path in self.storage.rglob("*") if path.is_file())


def binary() -> Path:
    """Return the newest Vault that `imagint build` made.

    Raises:
        FileNotFoundError: there is none.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    built = [path for path in (cache / "imagint" / "bin").glob("*/vault") if os.access(path, os.X_OK)]
    if given := os.environ.get("IMAGINT_TEST_VAULT"):
        built = [Path(given)]
    if not built:
        raise FileNotFoundError("no vault: run `imagint build`, or set IMAGINT_TEST_VAULT")
    return max(built, key=lambda path: path.stat().st_mtime)


def measure(plan: Plan, folder: Path, found: Findings, say: Say) -> None:
    """Create, use and destroy a key for every subject; then time our own two calls."""
    keys = plan.vault_keys
    with Vault(folder / "vault") as vault:
        _ours(vault, found, say)
        memory, stored = vault.memory(), vault.stored()
        rates = {"create": _each(keys, "creating", say, lambda n: _create(vault, n))}
        text = base64.b64encode(os.urandom(96)).decode()
        used = {"plaintext": text}
        rates["use"] = _each(keys, "using", say, lambda n: vault.call("POST", f"transit/encrypt/s-{n}", used))
        time.sleep(_SETTLE_S)
        grown = {"memory": (vault.memory() - memory) / keys, "storage": (vault.stored() - stored) / keys}
        rates["destroy"] = _each(keys, "destroying", say, lambda n: _destroy(vault, n))
    for name, rate in rates.items():
        found.set(f"vault_key_per_subject_{name}_per_s", rate)
    found.set("vault_key_per_subject_bytes_of_memory_per_key", grown["memory"])
    found.set("vault_key_per_subject_bytes_of_storage_per_key", grown["storage"])
    found.raw["vault"] = {"keys": keys, "per_s": rates, "bytes_per_key": grown}


def _ours(vault: Vault, found: Findings, say: Say) -> None:
    """Time what our tree asks of Vault: one encryption for each commit that forgets, one decryption to confirm."""
    say("vault: our own two calls")
    key = vault.tenant_key()
    wrapped = key.encrypt(os.urandom(49))
    wraps = [timed(lambda: key.encrypt(os.urandom(49))).wall for _ in range(50)]
    unwraps = [timed(lambda: key.decrypt(wrapped)).wall for _ in range(50)]
    found.set("vault_wrap_root_ms", percentile(wraps, 0.5) * 1e3)
    found.set("vault_unwrap_root_ms", percentile(unwraps, 0.5) * 1e3)


def _create(vault: Vault, number: int) -> None:
    vault.call("POST", f"transit/keys/s-{number}", {})


def _destroy(vault: Vault, number: int) -> None:
    """Vault deletes a key only after it was allowed to: two calls."""
    vault.call("POST", f"transit/keys/s-{number}/config", {"deletion_allowed": True})
    vault.call("DELETE", f"transit/keys/s-{number}")


def _each(keys: int, verb: str, say: Say, work: Callable[[int], object]) -> float:
    started = time.perf_counter()
    for number in range(keys):
        work(number)
        if number % 100 == 0:
            say(f"vault: {verb} one key per subject: {number:,} of {keys:,}")
    return keys / (time.perf_counter() - started)
