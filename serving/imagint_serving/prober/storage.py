"""Keeps what was seen: one file a request, on the disk before anybody is told.

A reader finds the old file or the new one, never a half; a name is the request's id and nothing else.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final, TypeVar

from pydantic import ValidationError

from imagint_serving.prober.errors import InvalidProbeError, ProbeStoreError
from imagint_serving.prober.messages import REQUEST_PATTERN, ProbeRecord, TenantRecord

MAX_RECORD: Final = 128 * 1024 * 1024
Record = TypeVar("Record", ProbeRecord, TenantRecord)


class ProbeStorage:
    """The prober's folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def load(self, request: str) -> ProbeRecord | None:
        """What is kept about a request, or None.

        Raises:
            ProbeStoreError: there is something, but it cannot be read.
        """
        return self._load(self._path(request), ProbeRecord, request)

    def save(self, request: str, record: ProbeRecord) -> None:
        """Keep a record; it is on the disk when this returns.

        Raises:
            ProbeStoreError: it could not be kept.
        """
        self._save(self._path(request), record, request)

    def load_tenant(self, uid: str) -> TenantRecord | None:
        """What is kept about a tenant that ends; raises as `load`."""
        return self._load(self._path(uid, "tenant.json"), TenantRecord, uid)

    def save_tenant(self, uid: str, record: TenantRecord) -> None:
        """Keep a record about a tenant that ends; raises as `save`."""
        self._save(self._path(uid, "tenant.json"), record, uid)

    def _load(self, path: Path, kind: type[Record], name: str) -> Record | None:
        try:
            if path.stat().st_size > MAX_RECORD:
                raise ProbeStoreError(f"the record of {name} is too large")
            return kind.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValidationError) as error:
            raise ProbeStoreError(f"the record of {name} cannot be read ({type(error).__name__})") from None

    def _save(self, path: Path, record: ProbeRecord | TenantRecord, name: str) -> None:
        partial = path.with_suffix(".partial")
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(record.model_dump_json().encode())
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
            _sync_folder(self.folder)
        except OSError as error:
            raise ProbeStoreError(f"the record of {name} cannot be kept ({error.strerror})") from None

    def _path(self, request: str, suffix: str = "json") -> Path:
        if not re.fullmatch(REQUEST_PATTERN, request):
            raise InvalidProbeError("the request's id is malformed")
        return self.folder / f"{request}.{suffix}"


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
