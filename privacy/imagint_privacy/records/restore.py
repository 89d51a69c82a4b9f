"""Old data against the current tree: what of a restored backup still opens, and what nobody can open any more.

Data is never tied to a root, only to the current tree; so a backup stays good for everybody who was not erased since,
and is useless for those who were. A backup that an earlier program wrote is read through a migrated copy of its
database. It must not change the backup nor the library (`reinstating` brings back).
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from alembic.runtime.migration import MigrationContext
from sqlalchemy import ColumnElement, Connection, Row, func, select

from imagint_privacy.errors import (
    BackupRefusedError,
    ForeignTreeError,
    KeyDestroyedError,
    KeyMissingError,
    PathInvalidError,
    RecordMissingError,
    RecordTamperedError,
    StorageUnavailableError,
    TamperedError,
)
from imagint_privacy.keys.ports import RootWrapper
from imagint_privacy.records import entries, migrating, sealing
from imagint_privacy.records.backups import DATABASE, OBJECTS, UNFINISHED, copy_database
from imagint_privacy.records.database import Database
from imagint_privacy.records.entries import Draft, Opened
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
_LOCATION: Final = re.compile(r"[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*")


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
        lines = [_line(row, backup.outcome(library, row)) for page in backup.pages(Selection()) for row in page]
        lines += [RestoreLine("", "", "", "", DAMAGED)] * backup.unreadable
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
        with backup.read() as connection:
            row = entries.find(connection, record_id)
        return Opened(entries.entry_of(row), b"".join(backup.opening(library, row)))


def old_root(folder: Path, wrapper: RootWrapper) -> OldRoot:
    """Try whether Vault still unwraps the root that a backup holds.

    Raises:
        BackupRefusedError: the folder holds no backup.
        KeysUnavailableError, KeyForbiddenError: Vault did not say.
    """
    with opened(folder, None) as backup, backup.read() as connection:
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
        self.unreadable = 0
        """How many rows of `pages` held what no program of ours writes; they are left out."""
        self._database = database
        self._objects = folder / OBJECTS

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Open a transaction on the backup's database.

        Raises:
            BackupRefusedError: it is damaged, or cut off: trying again is of no use.
        """
        with _unless_damaged(), self._database.read() as connection:
            yield connection

    def count(self, selection: Selection) -> int:
        """Return how many records are meant."""
        query = select(func.count()).select_from(RECORDS).where(*selection.conditions())
        with self.read() as connection:
            return int(connection.execute(query).scalar_one())

    def pages(self, selection: Selection) -> Iterator[Sequence[Row[Any]]]:
        """Give the rows of the records that are meant, some at a time, in the order of their ids."""
        last, name = "", RECORDS.c.record_id
        while True:
            query = select(name).where(*selection.conditions(), name > last).order_by(name).limit(_PAGE)
            with self.read() as connection:
                names = connection.execute(query).scalars().all()
                rows = _readable(connection, names)
            if not names:
                return
            last = names[-1]
            self.unreadable += len(names) - len(rows)
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
        """Return the sealed bytes of a record piece by piece, or None when the backup lacks them.

        Raises:
            RecordTamperedError: the backup says that they are where no program of ours puts them.
        """
        if not row.large:
            return None if row.sealed is None else iter((row.sealed,))
        query = select(OBJECT_ROWS.c.location).where(OBJECT_ROWS.c.record_id == row.record_id)
        with self.read() as connection:
            location = connection.execute(query).scalar_one_or_none()
        if location is None or not self._objects.is_dir():
            return None
        if not isinstance(location, str) or _LOCATION.fullmatch(location) is None:
            raise RecordTamperedError(f"the place of record {row.record_id} in the backup is none of ours")
        return Objects(self._objects.absolute().as_uri()).get_stream(location)


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
    if (folder / UNFINISHED).exists():
        raise BackupRefusedError("the backup was cut off, or is still being written: run imagint backup again")
    with _current(folder / DATABASE) as database:
        backup = Backup(folder, database)
        with backup.read() as connection:
            owner = connection.execute(select(LIBRARY.c.tenant)).scalar_one_or_none()
        if tenant is not None and owner != tenant:
            raise ForeignTreeError(f"the backup is not of tenant {tenant}")
        yield backup


@contextmanager
def _unless_damaged() -> Iterator[None]:
    try:
        yield
    except StorageUnavailableError as error:
        raise BackupRefusedError(f"the backup's database cannot be read: {error.message}") from None


@contextmanager
def _current(file: Path) -> Iterator[Database]:
    """Open a backup's database, or a copy of it: migrated if an earlier program wrote it, or if nobody may write here.

    Raises:
        BackupRefusedError: it cannot be read.
    """
    with tempfile.TemporaryDirectory(prefix="imagint-restore-") as folder:
        copy = Path(folder) / DATABASE
        if not os.access(file.parent, os.W_OK) or not os.access(file, os.W_OK):
            for part in (file, file.with_name(f"{DATABASE}-wal")):  # SQLite itself needs to write beside a database
                if part.exists():
                    shutil.copyfile(part, copy.with_name(part.name))
            file = copy
        with contextlib.closing(Database(f"sqlite:///{file.absolute()}")) as database:
            with _unless_damaged(), database.read() as connection:
                current = MigrationContext.configure(connection).get_current_revision() == migrating.head()
            if current:
                yield database
                return
        if file != copy:
            copy_database(file, copy)
        with contextlib.closing(Database(f"sqlite:///{copy}")) as database:
            with _unless_damaged(), database.write() as connection:
                migrating.migrate(connection)
            yield database


def _readable(connection: Connection, names: Sequence[str]) -> list[Row[Any]]:
    """Return the rows of these records that hold what our programs write; one bad row must not cost the others."""
    try:
        rows = connection.execute(select(RECORDS).where(RECORDS.c.record_id.in_(names)).order_by(RECORDS.c.record_id))
        return [row for row in rows.all() if _sound(row)]
    except (ValueError, TypeError):  # a value is not even of its column's type
        return [] if len(names) == 1 else [row for name in names for row in _readable(connection, [name])]


def _sound(row: Row[Any]) -> bool:
    try:
        entries.entry_of(row).path  # noqa: B018 - checks its parts
        Draft(row.record_id, row.category, row.kind, b"")
    except (PathInvalidError, TypeError):
        return False
    numbers = (row.size, row.incarnation)
    return all(isinstance(number, int) and number >= 0 for number in numbers) and not isinstance(row.sealed, str)


def _line(row: Row[Any], outcome: str) -> RestoreLine:
    return RestoreLine(row.record_id, row.subject, row.category, row.kind, outcome)
