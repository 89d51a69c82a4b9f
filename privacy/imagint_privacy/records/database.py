"""One tenant's SQL database: transactions that either happen or do not, and errors that name no data.

SQLite runs in WAL mode with full synchronisation, wipes what it deletes and takes its write lock up front;
PostgreSQL reads at one snapshot. It must not know any table.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, SQLAlchemyError

from imagint_privacy.errors import StorageUnavailableError

_WRITING: Final = "imagint_writing"
_BUSY_SECONDS: Final = 10
_LOG_MILLISECONDS: Final = 200
_PRAGMAS: Final = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA secure_delete = ON",
    "PRAGMA cache_size = -16384",
)


class Database:
    """Opens transactions on one database."""

    def __init__(self, url: str) -> None:
        """Prepare the engine; nothing is opened yet.

        Raises:
            StorageUnavailableError: the address cannot be understood or its folder cannot be made.
        """
        try:
            parsed = make_url(url)
            self.file = _file_of(parsed.database) if parsed.get_backend_name() == "sqlite" else None
            self.engine = create_engine(
                parsed, hide_parameters=True, pool_pre_ping=self.file is None, **self._options()
            )
        except (ArgumentError, ImportError):
            raise StorageUnavailableError("the database's address is not understood", after=60) from None
        if self.file is not None:
            _make_folder(self.file.parent)
            _prepare_sqlite(self.engine)

    def _options(self) -> dict[str, Any]:
        if self.file is not None:
            return {"connect_args": {"timeout": _BUSY_SECONDS}}
        return {"pool_timeout": _BUSY_SECONDS, "connect_args": {"connect_timeout": _BUSY_SECONDS}}

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Open a transaction that sees one moment of the database.

        Raises:
            StorageUnavailableError: the database does not answer.
        """
        level = {} if self.file is not None else {"isolation_level": "REPEATABLE READ"}
        with _named_errors(), self.engine.connect().execution_options(**level) as connection, connection.begin():
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

    def wipe_log(self) -> bool:
        """Move SQLite's write-ahead log into the file and empty it; say whether readers let that happen.

        Raises:
            StorageUnavailableError: the database does not answer.
        """
        if self.file is None:
            return True
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
        StorageUnavailableError: the database does not answer, is full or is damaged.
    """
    try:
        yield
    except IntegrityError:
        raise
    except DBAPIError as error:
        raise StorageUnavailableError(f"the database does not answer ({type(error).__name__})") from None
    except (SQLAlchemyError, sqlite3.Error) as error:
        raise StorageUnavailableError(f"the database does not answer ({type(error).__name__})", after=5) from None
