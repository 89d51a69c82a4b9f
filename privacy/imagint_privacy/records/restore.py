"""Old data against the current tree: what of a restored backup still opens, and what nobody can open any more.

Data is never tied to a root, only to the current tree; so a backup stays good for everybody who was not erased since,
and is useless for those who were. It must not change the backup nor the library.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Row, select

from imagint_privacy.errors import (
    BackupRefusedError,
    ForeignTreeError,
    KeyDestroyedError,
    KeyMissingError,
    RecordMissingError,
    TamperedError,
)
from imagint_privacy.keys.ports import RootWrapper
from imagint_privacy.records import entries, sealing
from imagint_privacy.records.backups import DATABASE, OBJECTS
from imagint_privacy.records.database import Database
from imagint_privacy.records.entries import Opened
from imagint_privacy.records.library import Library
from imagint_privacy.records.nodes import root_record
from imagint_privacy.records.objects import Objects
from imagint_privacy.records.schema import LIBRARY, RECORDS
from imagint_privacy.records.schema import OBJECTS as OBJECT_ROWS

OPENS = "Opens"
KEY_DESTROYED = "KeyDestroyed"
DAMAGED = "Damaged"
MISSING = "Missing"


@dataclass(frozen=True, slots=True)
class RestoreLine:
    """One record of a backup, and whether it opens."""

    record_id: str
    subject: str
    category: str
    kind: str
    outcome: str


@dataclass(frozen=True, slots=True)
class RestoreReport:
    """Every record of a backup, and whether it opens."""

    lines: tuple[RestoreLine, ...]

    def count(self, outcome: str) -> int:
        """Return how many records have this outcome."""
        return sum(line.outcome == outcome for line in self.lines)

    @property
    def opens(self) -> int:
        """How many open."""
        return self.count(OPENS)

    @property
    def key_destroyed(self) -> int:
        """How many nobody can open any more."""
        return self.count(KEY_DESTROYED)

    @property
    def damaged(self) -> int:
        """How many are not what was written, or are not all there."""
        return self.count(DAMAGED) + self.count(MISSING)


@dataclass(frozen=True, slots=True)
class OldRoot:
    """The root in a backup, and whether Vault still opens it."""

    generation: int
    key_version: int
    refused: bool
    reason: str


def check(folder: Path, library: Library) -> RestoreReport:
    """Try every record of a restored backup with the library's current keys.

    Raises:
        BackupRefusedError: the folder holds no backup.
        ForeignTreeError: it is another tenant's.
        KeysUnavailableError, StorageUnavailableError: try again.
    """
    with _opened(folder, library.context.tenant) as backup:
        return RestoreReport(tuple(_line(row, _outcome(backup, library, row)) for row in backup.rows()))


def open_record(folder: Path, library: Library, record_id: str) -> Opened:
    """Open one record of a restored backup with the library's current keys.

    Raises:
        RecordMissingError: the backup has no such record, or lacks its content.
        KeyDestroyedError: nobody can open it any more.
        RecordTamperedError: it is not what was written.
        BackupRefusedError, ForeignTreeError, KeysUnavailableError, StorageUnavailableError: as in `check`.
    """
    with _opened(folder, library.context.tenant) as backup:
        with backup.database.read() as connection:
            row = entries.find(connection, record_id)
        return backup.open(library, row)


def old_root(folder: Path, wrapper: RootWrapper) -> OldRoot:
    """Try whether Vault still unwraps the root that a backup holds.

    Raises:
        BackupRefusedError: the folder holds no backup.
        KeysUnavailableError, KeyForbiddenError: Vault did not say.
    """
    with _opened(folder, None) as backup, backup.database.read() as connection:
        record = root_record(connection)
    if record is None:
        raise BackupRefusedError("the backup holds no tree")
    try:
        wrapper.decrypt(record.wrapped)
    except (KeyDestroyedError, KeyMissingError) as error:
        return OldRoot(record.generation, record.key_version, True, str(error))
    return OldRoot(record.generation, record.key_version, False, "vault opens it")


class _Backup:
    """A restored folder, for reading."""

    def __init__(self, folder: Path, database: Database) -> None:
        self.database = database
        self._objects = Objects((folder / OBJECTS).absolute().as_uri())

    def rows(self) -> list[Row[Any]]:
        """Return every record's row."""
        with self.database.read() as connection:
            return list(connection.execute(select(RECORDS).order_by(RECORDS.c.created_at, RECORDS.c.record_id)))

    def open(self, library: Library, row: Row[Any]) -> Opened:
        """Open one record with the library's current keys."""
        entry = entries.entry_of(row)
        sealed = self._object(entry.record_id) if entry.large else row.sealed
        if sealed is None:
            raise RecordMissingError(f"the content of record {entry.record_id} is not in the backup")
        key = library.tree.lookup(entry.path)
        return Opened(entry, sealing.unseal(key, entry.binding(library.context.tenant), sealed))

    def _object(self, record_id: str) -> bytes | None:
        query = select(OBJECT_ROWS.c.location).where(OBJECT_ROWS.c.record_id == record_id)
        with self.database.read() as connection:
            location = connection.execute(query).scalar_one_or_none()
        return None if location is None else self._objects.get(location)


@contextmanager
def _opened(folder: Path, tenant: str | None) -> Iterator[_Backup]:
    """Open a backup's database.

    Raises:
        BackupRefusedError: there is none.
        ForeignTreeError: it is another tenant's.
    """
    if not (folder / DATABASE).is_file():
        raise BackupRefusedError("the folder holds no backup")
    database = Database(f"sqlite:///{(folder / DATABASE).absolute()}")
    try:
        with database.read() as connection:
            owner = connection.execute(select(LIBRARY.c.tenant)).scalar_one_or_none()
        if tenant is not None and owner != tenant:
            raise ForeignTreeError(f"the backup is not of tenant {tenant}")
        yield _Backup(folder, database)
    finally:
        database.close()


def _outcome(backup: _Backup, library: Library, row: Row[Any]) -> str:
    try:
        backup.open(library, row)
    except KeyDestroyedError:
        return KEY_DESTROYED
    except TamperedError:
        return DAMAGED
    except RecordMissingError:
        return MISSING
    return OPENS


def _line(row: Row[Any], outcome: str) -> RestoreLine:
    return RestoreLine(row.record_id, row.subject, row.category, row.kind, outcome)
