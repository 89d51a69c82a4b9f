"""Everything that is held of one person, piece by piece: what a copy under GDPR 15 and 20 is made from.

Every row about them decoded, every record opened, how they stand, what was asked and done. One page of rows and one
chunk of one content are in memory at a time. What cannot be opened is named with its reason, never left out. `TABLES`
says what is shown; the census compares it with the inventory, so that nothing personal is missing. It must not format
anything.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Row, Table, Text, select, tuple_

from imagint_privacy import subjects
from imagint_privacy.errors import KeyDestroyedError, PathInvalidError, RecordMissingError, TamperedError
from imagint_privacy.purposes import Access, Purpose, Use
from imagint_privacy.records import gate, inventory
from imagint_privacy.records.context import Context
from imagint_privacy.records.entries import OpenedStream
from imagint_privacy.records.results import as_json
from imagint_privacy.records.schema import (
    ERASURES,
    FENCES,
    INCARNATIONS,
    OBJECTS,
    RECORDS,
    RESTRICTIONS,
    RETENTION_EXCEPTIONS,
)

TABLES: Final = (RECORDS, OBJECTS, INCARNATIONS, FENCES, ERASURES, RESTRICTIONS, RETENTION_EXCEPTIONS)
"""The tables whose rows about a person are shown, all columns of them; a sealed column is shown opened."""
PAGE: Final = 500
_SEALED: Final = "sealed"

Read = Callable[[str, str, Purpose], OpenedStream]


@dataclass(frozen=True, slots=True)
class Piece:
    """One thing that is held: where, its fields as plain data, its content if it has one, or why that cannot be had.

    The chunks are opened as they are taken; only when they end without an error were they all.
    """

    store: str
    fields: Mapping[str, Any]
    chunks: Iterator[bytes] | None = field(default=None, repr=False)
    problem: str | None = None


class Exports:
    """One tenant's exports; thread-safe."""

    def __init__(self, context: Context, read: Read) -> None:
        self._context = context
        self._read = read

    def of(self, subject: str) -> Iterator[Piece]:
        """Give everything that is held of a subject.

        Raises:
            PathInvalidError: the subject is no handle.
            KeysUnavailableError, StorageUnavailableError: begin again.
        """
        if not subjects.is_handle(subject):
            raise PathInvalidError("only a subject's handle can be exported")
        return self._pieces(subject)

    def _pieces(self, subject: str) -> Iterator[Piece]:
        with self._context.database.read() as connection:
            standing = gate.check(connection, Access(Purpose.ACCESS, Use.READ, subject))
        yield Piece(
            "standing",
            {
                "fenced": sorted(standing.fenced),
                "erased": dict(standing.erased),
                "restricted": sorted(standing.restricted),
                "objected": {purpose.value: sorted(found) for purpose, found in standing.objected.items()},
            },
        )
        for path in self._context.tree.paths(subject):
            yield Piece("keys", {"category": path.category, "period": path.period})
        for table in TABLES:
            for row in self._rows(table, subject):
                yield self._opened(row) if table is RECORDS else Piece(table.name, _decoded(table, row))

    def _rows(self, table: Table, subject: str) -> Iterator[Row[Any]]:
        """Give the rows about a subject in the order of their keys, asking the gate for each page."""
        key = tuple(table.primary_key.columns)
        columns = [column for column in table.columns if column.name != _SEALED]
        after: tuple[Any, ...] | None = None
        while True:
            query = select(*columns).where(table.c.subject == subject).order_by(*key).limit(PAGE)
            if after is not None:
                query = query.where(tuple_(*key) > tuple_(*after))
            with self._context.database.read() as connection:
                gate.check(connection, Access(Purpose.ACCESS, Use.READ, subject))
                rows = list(connection.execute(query))
            yield from rows
            if len(rows) < PAGE:
                return
            after = tuple(getattr(rows[-1], column.name) for column in key)

    def _opened(self, row: Row[Any]) -> Piece:
        fields = _decoded(RECORDS, row)
        try:
            opened = self._read(row.subject, row.record_id, Purpose.ACCESS)
        except (KeyDestroyedError, RecordMissingError, TamperedError, PathInvalidError) as error:
            return Piece(RECORDS.name, fields, problem=type(error).__name__.removesuffix("Error"))
        return Piece(RECORDS.name, fields, opened.chunks)


def shown() -> frozenset[str]:
    """Return the places that an export shows, by their names in the inventory."""
    columns = {f"{table.name}.{column.name}" for table in TABLES for column in table.columns}
    return frozenset(columns | {inventory.OBJECT_PREFIX})


def _decoded(table: Table, row: Row[Any]) -> dict[str, Any]:
    """Return a row as plain data; the text columns of tables about people hold JSON."""
    return {
        name: as_json(json.loads(value) if isinstance(table.c[name].type, Text) and value is not None else value)
        for name, value in row._mapping.items()
    }
