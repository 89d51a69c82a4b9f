"""One tenant's SQL database: transactions that either happen or do not, and errors that name no data.

SQLite runs in WAL mode with full synchronisation, wipes what it deletes and takes its write lock up front, so that
writers come one after the other. PostgreSQL's writers run beside each other at READ COMMITTED: whoever decides by what
it read takes a lock first (`hold`, or a row's own). Reads see one snapshot on both. It must not know any table.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path
from typing import Final

from sqlalchemy import URL, Connection, Engine, create_engine, event, func, make_url, select, text
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, SQLAlchemyError

from imagint_privacy.errors import StorageUnavailableError

POSTGRESQL: Final = "postgresql"
_SQLITE: Final = "sqlite"
_WRITING: Final = "imagint_writing"
_LOCK_SPACE: Final = int.from_bytes(b"imag")
_BUSY_SECONDS: Final = 10
_LOG_MILLISECONDS: Final = 200
_SNAPSHOT: Final = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
_PRAGMAS: Final = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA secure_delete = ON",
    "PRAGMA cache_size = -16384",
    # A large commit rewrites the same index pages as the one before: with 64 MiB of log they go into the file once.
    "PRAGMA wal_autocheckpoint = 16384",
)


class Lock(IntEnum):
    """What transactions of several processes wait for each other about, besides rows."""

    SCHEMA = 1
    FENCES = 2


class Database:
    """Opens transactions on one database."""

    def __init__(self, url: str) -> None:
        """Prepare the engine; nothing is opened yet.

        Raises:
            StorageUnavailableError: the address cannot be understood or its folder cannot be made.
        """
        try:
            parsed = make_url(url)
            self.file = _file_of(parsed.database) if parsed.get_backend_name() == _SQLITE else None
        except ArgumentError:
            raise StorageUnavailableError("the database's address is not understood", after=60) from None
        if self.file is None:
            self.engine = _postgresql_engine(parsed)
        else:
            _make_folder(self.file.parent)
            connect = {"timeout": _BUSY_SECONDS}
            self.engine = create_engine(parsed, hide_parameters=True, connect_args=connect)
            _prepare_sqlite(self.engine)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Open a transaction that sees one moment of the database.

        Raises:
            StorageUnavailableError: the database does not answer.
        """
        options = {} if self.file is not None else _SNAPSHOT
        with _named_errors(), self.engine.connect().execution_options(**options) as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Open a transaction that changes everything or, if anything is raised, nothing.

        Raises:
            StorageUnavailableError: the database does not answer.
        """
        options = {_WRITING: True}
        with _named_errors(), self.engine.connect().execution_options(**options) as connection, connection.begin():
            yield connection

    def wipe_log(self, tables: Sequence[str] = ()) -> bool:
        """Leave nothing that was deleted from these tables where SQL can reach it; say whether readers let that happen.

        SQLite's write-ahead log is moved into the file and emptied. On PostgreSQL the tables are vacuumed; its log
        segments and backups keep what they have, which opens for nobody once the key is destroyed.

        Raises:
            StorageUnavailableError: the database does not answer.
        """
        if self.file is None:
            from imagint_privacy.records import postgresql

            with _named_errors():
                return postgresql.clear(self.engine, tables)
        with _named_errors(), contextlib.closing(self.engine.raw_connection()) as connection:
            cursor = connection.cursor()
            cursor.execute(f"PRAGMA busy_timeout = {_LOG_MILLISECONDS}")
            try:
                cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                answer = cursor.fetchone()
            finally:
                cursor.execute(f"PRAGMA busy_timeout = {_BUSY_SECONDS * 1000}")
        return answer is not None and not answer[0]

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()


def hold(connection: Connection, lock: Lock, *, exclusive: bool) -> None:
    """Wait until the transaction may hold a lock to its end, alone or with others, in the order of asking.

    SQLite has one writer at a time anyway.
    """
    if connection.dialect.name == POSTGRESQL:
        take = func.pg_advisory_xact_lock if exclusive else func.pg_advisory_xact_lock_shared
        connection.execute(select(take(_LOCK_SPACE, int(lock))))


def _postgresql_engine(address: URL) -> Engine:
    """Prepare PostgreSQL's engine.

    Raises:
        StorageUnavailableError: the address is of another database, or the driver is not installed.
    """
    if address.get_backend_name() != POSTGRESQL:
        raise StorageUnavailableError("the database's address is not understood", after=60)
    try:
        from imagint_privacy.records import postgresql
    except ImportError:
        message = "PostgreSQL's driver is not installed: pip install 'imagint[postgres]'"
        raise StorageUnavailableError(message, after=60) from None
    return postgresql.engine(address)


def _file_of(path: str | None) -> Path:
    if not path or path == ":memory:":
        raise ArgumentError("a file is needed")
    return Path(path)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        raise StorageUnavailableError("the database's folder cannot be made", after=60) from None


def _prepare_sqlite(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def _connected(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None
        for pragma in _PRAGMAS:
            connection.execute(pragma)

    @event.listens_for(engine, "begin")
    def _begun(connection: Connection) -> None:
        writing = connection.get_execution_options().get(_WRITING, False)
        connection.execute(text("BEGIN IMMEDIATE" if writing else "BEGIN"))


@contextmanager
def _named_errors() -> Iterator[None]:
    """Turn the driver's errors, whose texts may quote rows, into ours.

    Raises:
        IntegrityError: a row is there already; it does not say which.
        StorageUnavailableError: the database does not answer, is full or is damaged.
    """
    try:
        yield
    except IntegrityError as error:
        # The server's own text quotes the key.
        raise IntegrityError("", None, Exception(_state_of(error) or "integrity")) from None
    except DBAPIError as error:
        name = " ".join(filter(None, (type(error).__name__, _state_of(error))))
        raise StorageUnavailableError(f"the database does not answer ({name})") from None
    except (SQLAlchemyError, sqlite3.Error) as error:
        raise StorageUnavailableError(f"the database does not answer ({type(error).__name__})", after=5) from None


def _state_of(error: DBAPIError) -> str | None:
    """Return the database's own code for what went wrong, which names no data."""
    code = getattr(error.orig, "sqlstate", None) or getattr(error.orig, "sqlite_errorname", None)
    return None if code is None else str(code)
