"""The handover folder: files that a Gateway reads, written whole or not at all, for their owner only."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from imagint_serving.projector.observations import bounded_name

TOKEN_FILE = "vault-token"  # noqa: S105 - the name of a file
KEYS_FILE = "api-keys.json"
PLATFORM_FILE = "platform.json"


class Handover:
    """The folder that the projector alone writes and the Gateways read."""

    def __init__(self, root: Path) -> None:
        self._root = root
        root.mkdir(mode=0o700, parents=True, exist_ok=True)

    def folders(self) -> set[str]:
        """Return the tenants that something has been handed over to, a former projector's included."""
        return {e.name for e in self._root.iterdir() if e.is_dir() and bounded_name(e.name) is not None}

    def write_token(self, tenant: str, token: str) -> None:
        """Hand a token over to the tenant's Gateway."""
        self._write(self._folder(tenant) / TOKEN_FILE, token.encode())

    def write_keys(self, tenant: str, digests: Mapping[str, str]) -> None:
        """Hand the digests of the tenant's API keys over; the file changes only when they do."""
        self._write(self._folder(tenant) / KEYS_FILE, json.dumps(dict(digests), sort_keys=True).encode())

    def write_platform(self, document: bytes) -> None:
        """Hand the issuer and its public keys over; the new time of the file says that they are fresh."""
        _replace(self._root / PLATFORM_FILE, document)

    def remove(self, tenant: str) -> None:
        """Remove everything handed over to one tenant; nothing there is nothing to do."""
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self._root / tenant)

    def _folder(self, tenant: str) -> Path:
        folder = self._root / tenant
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder

    def _write(self, path: Path, content: bytes) -> None:
        with contextlib.suppress(FileNotFoundError):
            if path.read_bytes() == content:
                return
        _replace(path, content)


def _replace(path: Path, content: bytes) -> None:
    # mkstemp creates the file 0600; the rename makes it appear complete.
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
