"""Physical deletion after the keys are gone: rows, objects, and what tree copies no longer need; then counting.

Only what belongs to an earlier life of the subject is touched: somebody who has come back is safe from a purge that
is late. It must not decide when to purge.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Table, delete, func, or_, select

from imagint_privacy.errors import StorageUnavailableError
from imagint_privacy.purposes import Standing
from imagint_privacy.records import gate
from imagint_privacy.records.context import Context
from imagint_privacy.records.results import Holdings
from imagint_privacy.records.schema import OBJECTS, RECORDS, TREE_NODES, TREE_ROOT

_TOUCHED: Final = tuple(table.name for table in (RECORDS, OBJECTS, TREE_NODES, TREE_ROOT))
_TRIES: Final = 5
_PAUSE: Final = 0.05


def held(connection: Connection, subject: str, categories: Sequence[str]) -> Holdings:
    """Count rows and objects of a subject; the paths are the tree's to count."""
    by_category = (
        select(RECORDS.c.category, func.count())
        .where(RECORDS.c.subject == subject, *_among(RECORDS, categories))
        .group_by(RECORDS.c.category)
    )
    objects = select(func.count()).where(OBJECTS.c.subject == subject, *_among(OBJECTS, categories))
    counts = {row[0]: row[1] for row in connection.execute(by_category)}
    return Holdings(0, counts, connection.execute(objects).scalar_one())


def delete_objects(context: Context, subject: str, categories: Sequence[str]) -> None:
    """Delete the objects of earlier lives, those that no row names included.

    Raises:
        StorageUnavailableError: the object store or the database does not answer.
    """
    context.objects.delete(old_objects(context, subject, categories))


def old_objects(context: Context, subject: str, categories: Sequence[str]) -> list[str]:
    """Return the names of the objects of earlier lives that are still there, and of what killed uploads left.

    Raises:
        StorageUnavailableError: the object store or the database does not answer.
    """
    with context.database.read() as connection:
        standing = gate.standing(connection, subject)
    prefixes = [f"{subject}/{category}" for category in categories] or [subject]
    store = context.objects
    names = [name for prefix in prefixes for name in (*store.list(prefix), *store.unfinished(prefix))]
    return [name for name in names if _is_old(name, standing)]


def _is_old(name: str, standing: Standing) -> bool:
    parts = name.split("/")
    if len(parts) != 4 or not parts[2].isdigit():
        return True
    return int(parts[2]) < standing.incarnation(parts[1])


def delete_rows(connection: Connection, subject: str, categories: Sequence[str]) -> dict[str, int]:
    """Delete the rows of earlier lives; return how many of each kind."""
    standing = gate.standing(connection, subject)
    counts = {}
    for name, table in (("records", RECORDS), ("objects", OBJECTS)):
        old = _old_rows(connection, table, subject, categories, standing)
        counts[name] = 0 if old is None else connection.execute(delete(table).where(old)).rowcount
    return counts


def remaining_rows(connection: Connection, subject: str, categories: Sequence[str]) -> dict[str, int]:
    """Count the rows of earlier lives that are still there."""
    standing = gate.standing(connection, subject)
    counts = {}
    for name, table in (("records", RECORDS), ("objects", OBJECTS)):
        old = _old_rows(connection, table, subject, categories, standing)
        query = select(func.count()).select_from(table)
        counts[name] = 0 if old is None else connection.execute(query.where(old)).scalar_one()
    return counts


def _old_rows(
    connection: Connection, table: Table, subject: str, categories: Sequence[str], standing: Standing
) -> ColumnElement[bool] | None:
    """Say which rows of a subject are of an earlier life; None when the subject has no row."""
    mine = (table.c.subject == subject, *_among(table, categories))
    present = connection.execute(select(table.c.category).where(*mine).distinct()).scalars().all()
    lives = [
        (table.c.category == category) & (table.c.incarnation < standing.incarnation(category)) for category in present
    ]
    return (table.c.subject == subject) & or_(*lives) if lives else None


def _among(table: Table, categories: Sequence[str]) -> list[ColumnElement[Any]]:
    return [table.c.category.in_(list(categories))] if categories else []


def wipe_log(context: Context) -> None:
    """Empty the database's log of what was deleted.

    Raises:
        StorageUnavailableError: readers kept it busy all the time.
    """
    for _ in range(_TRIES):
        if context.database.wipe_log(_TOUCHED):
            return
        time.sleep(_PAUSE)
    raise StorageUnavailableError("the database's log is busy", after=1.0)
