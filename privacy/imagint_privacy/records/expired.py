"""Rows and objects of due months whose keys are gone: what retention deletes, page by page.

A key is asked for in the tree itself, not in a list of what was forgotten: so nothing is deleted that still opens,
whatever became of a restriction meanwhile. What an erasure has fenced is left to the erasure. An object's month is
that of its row, which is written before the object. It must not decide what is due.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, Table, and_, exists, false, or_, select, tuple_

from imagint_privacy.keys.paths import ALWAYS, KeyPath, period_of
from imagint_privacy.purposes import EVERY
from imagint_privacy.records.context import Context
from imagint_privacy.records.retention import end_of
from imagint_privacy.records.schema import FENCES, OBJECTS, RECORDS

PAGE: Final = 1000


class Expired:
    """What is left of forgotten months; `newest` is the newest month of each category that is due."""

    def __init__(self, context: Context, newest: Mapping[str, str]) -> None:
        self._context = context
        self._newest = newest

    def records(self) -> Iterator[list[str]]:
        """Give the ids of records, a page at a time.

        Raises:
            KeysUnavailableError, StorageUnavailableError: try again.
        """
        dated = [
            and_(RECORDS.c.category == category, RECORDS.c.period != ALWAYS, RECORDS.c.period <= newest)
            for category, newest in self._newest.items()
        ]
        columns = [RECORDS.c[name] for name in ("subject", "record_id", "category", "period")]
        for rows in self._pages(RECORDS, columns, dated):
            paths = [(KeyPath(row.subject, row.category, row.period), row) for row in rows]
            yield [row.record_id for row in self._gone(paths)]

    def objects(self) -> Iterator[dict[str, str]]:
        """Give the locations of objects by the ids of their records, a page at a time.

        Raises:
            KeysUnavailableError, StorageUnavailableError: try again.
        """
        dated = [
            and_(OBJECTS.c.category == category, OBJECTS.c.created_at < end_of(newest))
            for category, newest in self._newest.items()
        ]
        columns = [OBJECTS.c[name] for name in ("subject", "record_id", "category", "created_at", "location")]
        for rows in self._pages(OBJECTS, columns, dated):
            paths = [(KeyPath(row.subject, row.category, period_of(row.created_at)), row) for row in rows]
            yield {row.record_id: row.location for row in self._gone(paths)}

    def _pages(self, table: Table, columns: list[Any], dated: list[ColumnElement[bool]]) -> Iterator[list[Row[Any]]]:
        here = or_(FENCES.c.category == EVERY, FENCES.c.category == table.c.category)
        free = ~exists().where(FENCES.c.subject == table.c.subject, here)
        place = tuple_(table.c.subject, table.c.record_id)
        after = ("", "")
        while True:
            query = select(*columns).where(or_(false(), *dated), free, place > tuple_(*after)).limit(PAGE)
            with self._context.database.read() as connection:
                rows = list(connection.execute(query.order_by(table.c.subject, table.c.record_id)))
            if not rows:
                return
            after = (rows[-1].subject, rows[-1].record_id)
            yield rows

    def _gone(self, paths: list[tuple[KeyPath, Row[Any]]]) -> list[Row[Any]]:
        """Return the rows whose keys are not in the tree."""
        tree = self._context.tree
        alive = {path for subject in {path.subject for path, _ in paths} for path in tree.paths(subject)}
        return [row for path, row in paths if path not in alive]
