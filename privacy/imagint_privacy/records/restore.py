"""Old data against the current tree: what of a restored backup still opens, and what nobody can open any more.

Data is never tied to a root, only to the current tree; so a backup stays good for everybody who was not erased since,
and is useless for those who were. A backup that an earlier program wrote is read through a migrated copy of its
database. It must not change the backup nor the library (`reinstating` brings back).
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from alembic.runtime.migration import MigrationContext
from sqlalchemy import ColumnElement, Row, func, select

from imagint_privacy.errors import (
    BackupRefusedError,
    ForeignTreeError,
    KeyDestroyedError,
    KeyMissingError,
    RecordMissingError,
    TamperedError,
)
from imagint_privacy.keys.ports import RootWrapper
from imagint_privacy.records import entries, migrating, sealing
from imagint_privacy.records.backups import DATABASE, OBJECTS, copy_database
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
_PAGE: Final = 200


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
    with opened(folder, library.context.tenant) as backup:
        lines = (_line(row, backup.outcome(library, row)) for page in backup.pages(Selection()) for row in page)
        return RestoreReport(tuple(lines))


def open_record(folder: Path, library: Library, record_id: str) -> Opened:
    """Open one record of a restored backup with the library's current keys.

    Raises:
        RecordMissingError: the backup has no such record, or lacks its content.
        KeyDestroyedError: nobody can open it any more.
        RecordTamperedError: it is not what was written.
        BackupRefusedError, ForeignTreeError, KeysUnavailableError, StorageUnavailableError: as in `check`.
    """
    with opened(folder, library.context.tenant) as backup:
        with backup.database.read() as connection:
            row = entries.find(connection, record_id)
        return Opened(entries.entry_of(row), b"".join(backup.opening(library, row)))


def old_root(folder: Path, wrapper: RootWrapper) -> OldRoot:
    """Try whether Vault still unwraps the root that a backup holds.

    Raises:
        BackupRefusedError: the folder holds no backup.
        KeysUnavailableError, KeyForbiddenError: Vault did not say.
    """
    with opened(folder, None) as backup, backup.database.read() as connection:
        record = root_record(connection)
    if record is None:
        raise BackupRefusedError("the backup holds no tree")
    try:
        wrapper.decrypt(record.wrapped)
    except (KeyDestroyedError, KeyMissingError) as error:
        return OldRoot(record.generation, record.key_version, True, str(error))
    return OldRoot(record.generation, record.key_version, False, "vault opens it")


@dataclass(frozen=True, slots=True)
class Selection:
    """Which records of a backup are meant; nothing given means all."""

    subjects: frozenset[str] = frozenset()
    categories: frozenset[str] = frozenset()
    records: frozenset[str] = frozenset()
    since: datetime | None = None
    before: datetime | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """Return what a row of `records` must fulfil."""
        name, subject, category, made = RECORDS.c.record_id, RECORDS.c.subject, RECORDS.c.category, RECORDS.c.created_at
        among = ((subject, self.subjects), (category, self.categories), (name, self.records))
        found: list[ColumnElement[bool]] = [column.in_(sorted(wanted)) for column, wanted in among if wanted]
        if self.since is not None:
            found.append(made >= self.since)
        if self.before is not None:
            found.append(made < self.before)
        return found


class Backup:
    """A restored folder, for reading."""

    def __init__(self, folder: Path, database: Database) -> None:
        self.database = database
        self.objects = Objects((folder / OBJECTS).absolute().as_uri())

    def count(self, selection: Selection) -> int:
        """Return how many records are meant."""
        query = select(func.count()).select_from(RECORDS).where(*selection.conditions())
        with self.database.read() as connection:
            return int(connection.execute(query).scalar_one())

    def pages(self, selection: Selection) -> Iterator[Sequence[Row[Any]]]:
        """Give the rows of the records that are meant, some at a time, in the order of their ids."""
        last, name = "", RECORDS.c.record_id
        while True:
            query = select(RECORDS).where(*selection.conditions(), name > last).order_by(name).limit(_PAGE)
            with self.database.read() as connection:
                rows = connection.execute(query).all()
            if not rows:
                return
            last = rows[-1].record_id
            yield rows

    def outcome(self, library: Library, row: Row[Any]) -> str:
        """Say whether a record opens with the library's current keys, to its last byte.

        Raises:
            KeysUnavailableError, StorageUnavailableError: try again.
        """
        try:
            for _ in self.opening(library, row):
                pass
        except KeyDestroyedError:
            return KEY_DESTROYED
        except TamperedError:
            return DAMAGED
        except RecordMissingError:
            return MISSING
        return OPENS

    def opening(self, library: Library, row: Row[Any]) -> Iterator[bytes]:
        """Open one record with the library's current keys, chunk by chunk.

        Raises:
            RecordMissingError: the backup lacks its content.
            KeyDestroyedError, RecordTamperedError: it does not open.
        """
        entry = entries.entry_of(row)
        pieces = self.sealed(row)
        if pieces is None:
            raise RecordMissingError(f"the content of record {entry.record_id} is not in the backup")
        tree, binding = library.tree, entry.binding(library.context.tenant)
        return sealing.open_pieces(lambda: tree.lookup(entry.path), binding, pieces, entry.size)

    def sealed(self, row: Row[Any]) -> Iterator[bytes] | None:
        """Return the sealed bytes of a record piece by piece, or None when the backup lacks them."""
        if not row.large:
            return None if row.sealed is None else iter((row.sealed,))
        query = select(OBJECT_ROWS.c.location).where(OBJECT_ROWS.c.record_id == row.record_id)
        with self.database.read() as connection:
            location = connection.execute(query).scalar_one_or_none()
        return None if location is None else self.objects.get_stream(location)


@contextmanager
def opened(folder: Path, tenant: str | None) -> Iterator[Backup]:
    """Open a backup, and its database as this program knows it.

    Raises:
        BackupRefusedError: there is none.
        ForeignTreeError: it is another tenant's.
        SchemaError: a newer program wrote it.
    """
    if not (folder / DATABASE).is_file():
        raise BackupRefusedError("the folder holds no backup")
    with _current(folder / DATABASE) as database:
        with database.read() as connection:
            owner = connection.execute(select(LIBRARY.c.tenant)).scalar_one_or_none()
        if tenant is not None and owner != tenant:
            raise ForeignTreeError(f"the backup is not of tenant {tenant}")
        yield Backup(folder, database)


@contextmanager
def _current(file: Path) -> Iterator[Database]:
    """Open a backup's database, or a migrated copy of it if an earlier program wrote it."""
    with contextlib.closing(Database(f"sqlite:///{file.absolute()}")) as database:
        with database.read() as connection:
            current = MigrationContext.configure(connection).get_current_revision() == migrating.head()
        if current:
            yield database
            return
    with tempfile.TemporaryDirectory(prefix="imagint-restore-") as folder:
        copy_database(file, Path(folder) / DATABASE)
        with contextlib.closing(Database(f"sqlite:///{folder}/{DATABASE}")) as database:
            with database.write() as connection:
                migrating.migrate(connection)
            yield database


def _line(row: Row[Any], outcome: str) -> RestoreLine:
    return RestoreLine(row.record_id, row.subject, row.category, row.kind, outcome)
