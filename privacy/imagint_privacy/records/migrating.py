"""Bring a tenant's database to this program's schema, and refuse one that belongs to somebody else.

It must not touch a row of data.
"""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import Connection, insert, select

from imagint_privacy.errors import ForeignTreeError, SchemaError
from imagint_privacy.records.database import POSTGRESQL, Database, Lock, hold
from imagint_privacy.records.schema import LIBRARY

_SCRIPTS: Final = Path(__file__).parent / "migrations"


def prepare(database: Database, tenant: str, now: datetime) -> None:
    """Migrate the database and mark it as this tenant's; processes that start together do so one after the other.

    Raises:
        ForeignTreeError: the database belongs to another tenant.
        SchemaError: the database was written by a newer program.
        StorageUnavailableError: the database does not answer.
    """
    with database.write() as connection:
        hold(connection, Lock.SCHEMA, exclusive=True)
        migrate(connection)
        owner = connection.execute(select(LIBRARY.c.tenant)).scalar_one_or_none()
        if owner is None:
            connection.execute(insert(LIBRARY).values(id=1, tenant=tenant, created_at=now))
        elif owner != tenant:
            raise ForeignTreeError(f"the database is not of tenant {tenant}")


def migrate(connection: Connection) -> None:
    """Run the missing migrations inside the connection's transaction; nothing to do costs one query.

    Raises:
        SchemaError: the database is at a revision that this program does not know.
    """
    if MigrationContext.configure(connection).get_current_revision() == head():
        return
    if connection.dialect.name == POSTGRESQL:
        from imagint_privacy.records import postgresql

        postgresql.take_time(connection)
    config = _config()
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError:
        raise SchemaError("the database is at a revision that this program does not know") from None


@lru_cache(maxsize=1)
def head() -> str | None:
    """Return the newest revision this program knows."""
    return ScriptDirectory.from_config(_config()).get_current_head()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    return config
