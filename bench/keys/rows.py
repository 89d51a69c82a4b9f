"""Deleting physically instead: the rows of one subject, then a vacuum, so that no freed page holds them.

Three rows of 1 KiB a subject, contents in clear. SQLite with `secure_delete` and VACUUM, PostgreSQL with DELETE and
VACUUM FULL: both write the whole table anew. It reaches no backup, replica or snapshot: forgetting keys does.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

from bench.keys import populations
from bench.keys.findings import Findings, Say, label, median, settle, timed
from bench.keys.plans import Plan
from sqlalchemy import Column, LargeBinary, MetaData, String, Table, delete, insert

from imagint_dev import postgres
from imagint_privacy.records.database import Database

ROWS = Table(
    "plain_rows",
    MetaData(),
    Column("subject", String(40), primary_key=True),
    Column("category", String(32), primary_key=True),
    Column("content", LargeBinary, nullable=False),
)
_CONTENT = 1 << 10
_GROUP = 5_000
_ROUNDS = 3


def measure(plan: Plan, folder: Path, found: Findings, say: Say) -> None:
    """Time deleting one subject and vacuuming, at every size, on both databases."""
    times: dict[str, dict[str, float]] = {"sqlite": {}, "postgres": {}}
    for size in plan.vacuum_sizes:
        database = Database(f"sqlite:///{folder}/rows-{size}/rows.db")
        took = _one(database, size, "VACUUM", "SQLite", say)
        found.set(f"vacuum_forget_one_{label(size)}_s", took)
        times["sqlite"][str(size)] = took
    if postgres.find() is None:
        found.raw["rows"] = times | {"postgres_missing": True}
        return
    with postgres.PostgresServer() as server:
        for size in plan.vacuum_sizes:
            database = Database(server.create(f"rows_{size}"))
            took = _one(database, size, f"VACUUM FULL {ROWS.name}", "PostgreSQL", say)
            server.drop(f"rows_{size}")
            found.set(f"postgres_vacuum_full_forget_one_{label(size)}_s", took)
            times["postgres"][str(size)] = took
    found.raw["rows"] = times


def _one(database: Database, size: int, vacuum: str, name: str, say: Say) -> float:
    say(f"deleting and vacuuming rows of {size:,} subjects on {name}")
    ROWS.metadata.create_all(database.engine)
    for numbers in populations.groups(range(size), _GROUP):
        with database.write() as connection:
            connection.execute(insert(ROWS), [row for number in numbers for row in _rows_of(number)])
    settle()
    took = median([timed(partial(_erase, database, number, vacuum)) for number in range(_ROUNDS)]).wall
    database.close()
    return took


def _rows_of(number: int) -> list[dict[str, object]]:
    subject = populations.subject(number)
    return [
        {"subject": subject, "category": category, "content": os.urandom(_CONTENT)}
        for category, _ in populations.CATEGORIES
    ]


def _erase(database: Database, number: int, vacuum: str) -> None:
    with database.write() as connection:
        connection.execute(delete(ROWS).where(ROWS.c.subject == populations.subject(number)))
    _outside(database, vacuum)
    database.wipe_log()


def _outside(database: Database, statement: str) -> None:
    """Run what no transaction may hold."""
    raw = database.engine.raw_connection()
    try:
        if database.file is None:
            raw.rollback()
            raw.driver_connection.autocommit = True  # type: ignore[union-attr]
        raw.cursor().execute(statement)
    finally:
        raw.invalidate()


Measure = Callable[[Plan, Path, Findings, Say], None]
