"""A backup of one tenant's data: database, objects and key tree, in one folder.

Taken while the library is in use: the database at one moment, then the objects. An SQLite database is copied as it is;
the rows of any other go into an SQLite file, so that a backup can be read anywhere. Nothing in it opens without Vault,
and what is forgotten later never opens again. It must not open a key.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final, TextIO

from sqlalchemy import delete, func, insert, select

from imagint_privacy.errors import BackupRefusedError, StorageUnavailableError
from imagint_privacy.records import migrating
from imagint_privacy.records.context import Context
from imagint_privacy.records.copying import write_copy
from imagint_privacy.records.database import Database
from imagint_privacy.records.library import Library
from imagint_privacy.records.objects import Objects
from imagint_privacy.records.schema import METADATA, RECORDS
from imagint_privacy.records.schema import OBJECTS as OBJECT_ROWS

DATABASE: Final = "records.db"
OBJECTS: Final = "objects"
TREE: Final = "tree"
UNFINISHED: Final = "unfinished"
"""There while a backup is being written, and where one was cut off."""
_BATCH: Final = 500
Progress = Callable[[int, int], None]
"""Hears how many objects were copied, of how many."""


@dataclass(frozen=True, slots=True)
class BackupReport:
    """What a backup holds."""

    folder: Path
    generation: int
    records: int
    objects: int
    bytes: int


def back_up(library: Library, folder: Path, progress: Progress = lambda _done, _total: None) -> BackupReport:
    """Write a backup into a folder that is new, empty, or holds one that was cut off, which is begun anew.

    Raises:
        BackupRefusedError: the folder holds something else, or another process writes a backup into it.
        StorageUnavailableError: something could not be read or written; what is in the folder is no backup.
    """
    try:
        with _begun(folder):
            return _written(library.context, folder, progress)
    except (OSError, sqlite3.Error) as error:
        raise StorageUnavailableError(f"the backup cannot be written ({type(error).__name__})", after=60) from None


@contextlib.contextmanager
def _begun(folder: Path) -> Iterator[None]:
    """Hold the folder for one backup, empty, and marked as unfinished unless all goes well.

    Raises:
        BackupRefusedError: the folder holds something else, or another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    cut_off = (folder / UNFINISHED).exists()
    if not cut_off and any(folder.iterdir()):
        raise BackupRefusedError("the backup's folder is not empty")
    with (folder / UNFINISHED).open("r+" if cut_off else "x") as mark:
        if not _alone(mark):
            raise BackupRefusedError("another process writes a backup into this folder")
        ours = [path for path in folder.iterdir() if path.name in {OBJECTS, TREE} or path.name.startswith(DATABASE)]
        if len(ours) + 1 != len(list(folder.iterdir())):
            raise BackupRefusedError("the backup's folder holds something else too")
        for path in ours:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        yield
        (folder / UNFINISHED).unlink()


def _alone(mark: TextIO) -> bool:
    """Say whether nobody else writes: a mark whose file is gone is of somebody who has just come to the end."""
    try:
        fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return bool(os.fstat(mark.fileno()).st_nlink)


def _written(context: Context, folder: Path, progress: Progress) -> BackupReport:
    _copy_any(context.database, folder / DATABASE)
    target = Objects((folder / OBJECTS).absolute().as_uri())
    with contextlib.closing(_database(folder)) as copied:
        objects = _copy_objects(context.objects, target, copied, progress)
        generation, records = _copy_tree(folder, copied)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return BackupReport(folder, generation, records, objects, size)


def _database(folder: Path) -> Database:
    return Database(f"sqlite:///{(folder / DATABASE).absolute()}")


def _copy_any(source: Database, target: Path) -> None:
    if source.file is not None:
        copy_database(source.file, target)
    else:
        copy_rows(source, target)


def copy_database(source: Path, target: Path) -> None:
    """Copy an SQLite database as it is at one moment.

    Raises:
        sqlite3.Error: it cannot be read or written.
    """
    old = contextlib.closing(sqlite3.connect(source, timeout=10))
    new = contextlib.closing(sqlite3.connect(target))
    with old as reading, new as writing:
        reading.backup(writing)


def copy_rows(source: Database, target: Path) -> None:
    """Copy every row of a database of any kind, as it is at one moment, into an SQLite file; in bounded memory.

    Raises:
        StorageUnavailableError: one of the two does not answer.
    """
    with contextlib.closing(Database(f"sqlite:///{target.absolute()}")) as database:
        with source.read() as reading, database.write() as writing:
            migrating.migrate(writing)
            for table in METADATA.sorted_tables:
                writing.execute(delete(table))  # what a migration may have put there
                query = select(table).execution_options(yield_per=_BATCH)
                with contextlib.closing(reading.execute(query)) as rows:
                    while batch := [dict(row._mapping) for row in islice(rows, _BATCH)]:
                        writing.execute(insert(table), batch)
        database.wipe_log()


def _copy_objects(source: Objects, target: Objects, copied: Database, progress: Progress) -> int:
    """Copy the objects that the copied rows name, one at a time, each in bounded memory; those gone since are left."""
    with copied.read() as connection:
        total: int = connection.execute(select(func.count()).select_from(OBJECT_ROWS)).scalar_one()
    done = 0
    for number, location in enumerate(_locations(copied), 1):
        pieces = source.get_stream(location)
        if pieces is not None:
            target.put_stream(location, pieces)
            done += 1
        progress(number, total)
    return done


def _locations(copied: Database) -> Iterator[str]:
    last, name = "", OBJECT_ROWS.c.record_id
    while True:
        query = select(name, OBJECT_ROWS.c.location).where(name > last, OBJECT_ROWS.c.stored).order_by(name)
        with copied.read() as connection:
            rows = connection.execute(query.limit(_BATCH)).all()
        if not rows:
            return
        last = rows[-1].record_id
        yield from (row.location for row in rows)


def _copy_tree(folder: Path, copied: Database) -> tuple[int, int]:
    """Write the tree of the copied database beside it; return its generation and the number of records."""
    with copied.read() as connection:
        record = write_copy(connection, Objects((folder / TREE).absolute().as_uri()), 0)
        count: int = connection.execute(select(func.count()).select_from(RECORDS)).scalar_one()
    return record.generation, count
