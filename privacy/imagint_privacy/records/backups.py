"""A backup of one tenant's data: database, objects and key tree, in one folder.

Taken while the library is in use: the database at one moment, then the objects. Nothing in it opens without Vault, and
what is forgotten later never opens again. It must not open a key.
"""

from __future__ import annotations

import contextlib
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import func, select

from imagint_privacy.errors import BackupRefusedError, StorageUnavailableError
from imagint_privacy.records.copying import write_copy
from imagint_privacy.records.database import Database
from imagint_privacy.records.library import Library
from imagint_privacy.records.objects import Objects
from imagint_privacy.records.schema import RECORDS

DATABASE: Final = "records.db"
OBJECTS: Final = "objects"
TREE: Final = "tree"


@dataclass(frozen=True, slots=True)
class BackupReport:
    """What a backup holds."""

    folder: Path
    generation: int
    records: int
    objects: int
    bytes: int


def back_up(library: Library, folder: Path) -> BackupReport:
    """Write a backup into a new or empty folder.

    Raises:
        BackupRefusedError: the folder is not empty, or the database is not SQLite (use its own tools).
        StorageUnavailableError: something could not be read or written.
    """
    context = library.context
    if context.database.file is None:
        raise BackupRefusedError("only an SQLite database is backed up here; use the database's own tools")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise BackupRefusedError("the backup's folder is not empty")
        _copy_database(context.database.file, folder / DATABASE)
    except (OSError, sqlite3.Error) as error:
        raise StorageUnavailableError(f"the backup cannot be written ({type(error).__name__})", after=60) from None
    objects = _copy_objects(context.objects, Objects((folder / OBJECTS).absolute().as_uri()))
    generation, records = _copy_tree(folder)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return BackupReport(folder, generation, records, objects, size)


def _copy_database(source: Path, target: Path) -> None:
    old = contextlib.closing(sqlite3.connect(source, timeout=10))
    new = contextlib.closing(sqlite3.connect(target))
    with old as reading, new as writing:
        reading.backup(writing)


def _copy_objects(source: Objects, target: Objects) -> int:
    found = ((name, source.get(name)) for name in source.list())
    return target.put_many((name, content) for name, content in found if content is not None)


def _copy_tree(folder: Path) -> tuple[int, int]:
    """Write the tree of the copied database beside it; return its generation and the number of records."""
    database = Database(f"sqlite:///{(folder / DATABASE).absolute()}")
    try:
        with database.read() as connection:
            record = write_copy(connection, Objects((folder / TREE).absolute().as_uri()), 0)
            count: int = connection.execute(select(func.count()).select_from(RECORDS)).scalar_one()
    finally:
        database.close()
    return record.generation, count
