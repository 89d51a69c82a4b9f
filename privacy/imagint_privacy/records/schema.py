"""The tables of a tenant's database. One database holds one tenant.

What each column holds, why, for how long and how it is erased stands in `inventory`; a test compares the two.
The migrations in `migrations/` make these tables; a test compares those too.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
)

METADATA: Final = MetaData(
    naming_convention={"ix": "ix_%(table_name)s_%(column_0_N_name)s", "pk": "pk_%(table_name)s"},
)


class Moment(TypeDecorator[datetime]):
    """A moment in UTC; SQLite forgets the zone, so it is put back on reading."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Write in UTC."""
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Read in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Blob(LargeBinary):
    """Bytes as they are: both drivers take and give `bytes`, so nothing is wrapped or copied on the way."""

    def bind_processor(self, dialect: Dialect) -> None:
        """Write without wrapping."""
        return

    def result_processor(self, dialect: Dialect, coltype: object) -> None:
        """Read without copying."""
        return


LIBRARY = Table(
    "library",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("tenant", String(40), nullable=False),
    Column("created_at", Moment, nullable=False),
)
TREE_NODES = Table(
    "tree_nodes",
    METADATA,
    Column("digest", Blob(32), primary_key=True),
    Column("sealed", Blob, nullable=False),
    Column("born", BigInteger, nullable=False, index=True),
)
TREE_ROOT = Table(
    "tree_root",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("generation", BigInteger, nullable=False),
    Column("key_version", Integer, nullable=False),
    Column("wrapped", Text, nullable=False),
    Column("digest", Blob(32), nullable=False),
    Column("key_since", BigInteger, nullable=False, server_default="0"),
)
TREE_DEAD = Table(
    "tree_dead",
    METADATA,
    Column("digest", Blob(32), primary_key=True),
    Column("died", BigInteger, nullable=False),
)
KEY_WITNESSES = Table(
    "key_witnesses",
    METADATA,
    Column("key_version", Integer, primary_key=True, autoincrement=False),
    Column("wrapped", Text, nullable=False),
    Column("armed", Boolean, nullable=False),
)
RECORDS = Table(
    "records",
    METADATA,
    Column("record_id", String(64), primary_key=True),
    Column("subject", String(40), nullable=False),
    Column("category", String(32), nullable=False),
    Column("period", String(8), nullable=False),
    Column("kind", String(64), nullable=False),
    Column("incarnation", Integer, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("large", Boolean, nullable=False),
    Column("sealed", Blob, nullable=True),
    Index(None, "subject", "category"),
)
OBJECTS = Table(
    "objects",
    METADATA,
    Column("record_id", String(64), primary_key=True),
    Column("subject", String(40), nullable=False),
    Column("category", String(32), nullable=False),
    Column("incarnation", Integer, nullable=False),
    Column("location", String(255), nullable=False),
    Column("stored", Boolean, nullable=False),
    Column("created_at", Moment, nullable=False),
    Index(None, "subject", "category"),
)
INCARNATIONS = Table(
    "incarnations",
    METADATA,
    Column("subject", String(40), primary_key=True),
    Column("category", String(32), primary_key=True),
    Column("incarnation", Integer, nullable=False),
    Column("since", Moment, nullable=False),
)
FENCES = Table(
    "fences",
    METADATA,
    Column("request", String(64), primary_key=True),
    Column("category", String(32), primary_key=True),
    Column("subject", String(40), nullable=False, index=True),
    Column("since", Moment, nullable=False),
)
ERASURES = Table(
    "erasures",
    METADATA,
    Column("request", String(64), primary_key=True),
    Column("subject", String(40), nullable=False, index=True),
    Column("categories", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("received_at", Moment, nullable=False),
    Column("fenced_at", Moment, nullable=False),
    Column("incarnation", Integer, nullable=False),
    Column("held", Text, nullable=False),
    Column("generation", BigInteger, nullable=True),
    Column("key_version", Integer, nullable=True),
    Column("forgotten_paths", Integer, nullable=False),
    Column("committed_at", Moment, nullable=True),
    Column("results", Text, nullable=False),
    Column("completed_at", Moment, nullable=True),
)
RESTRICTIONS = Table(
    "restrictions",
    METADATA,
    Column("request", String(64), primary_key=True),
    Column("category", String(32), primary_key=True),
    Column("subject", String(40), nullable=False, index=True),
    Column("kind", String(16), nullable=False),
    Column("purposes", Text, nullable=False),
    Column("received_at", Moment, nullable=False),
    Column("since", Moment, nullable=False),
    Column("lifted_at", Moment, nullable=True),
    Column("lifted_by", String(64), nullable=True),
)
RETENTION_RUNS = Table(
    "retention_runs",
    METADATA,
    Column("request", String(64), primary_key=True),
    Column("state", String(16), nullable=False),
    Column("rules", Text, nullable=False),
    Column("rules_digest", String(64), nullable=False),
    Column("begun_at", Moment, nullable=False),
    Column("counts", Text, nullable=False),
    Column("walked", Blob(32), nullable=True),
    Column("slices", Integer, nullable=False),
    Column("forgotten", Text, nullable=False),
    Column("generation", BigInteger, nullable=True),
    Column("key_version", Integer, nullable=True),
    Column("forgotten_paths", BigInteger, nullable=False),
    Column("committed_at", Moment, nullable=True),
    Column("results", Text, nullable=False),
    Column("completed_at", Moment, nullable=True),
)
RETENTION_EXCEPTIONS = Table(
    "retention_exceptions",
    METADATA,
    Column("request", String(64), primary_key=True),
    Column("subject", String(40), primary_key=True, index=True),
)
COPIES = Table(
    "copies",
    METADATA,
    Column("store", String(255), primary_key=True),
    Column("attempted", BigInteger, nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("root_digest", Blob(32), nullable=True),
    Column("verified_at", Moment, nullable=True),
)
COPY_ATTEMPTS = Table(
    "copy_attempts",
    METADATA,
    Column("id", String(32), primary_key=True),
    Column("store", String(255), nullable=False),
    Column("since", Moment, nullable=False),
)
REPLICAS = Table(
    "replicas",
    METADATA,
    Column("id", String(128), primary_key=True),
    Column("generation", BigInteger, nullable=False),
    Column("seen_at", Moment, nullable=False),
)
