"""Bringing data back from a backup into the library in use, through the current key tree: point-in-time restore.

Brought back is what the library lacks and what opens. Never what was forgotten since: its key is gone. Never a life of
a subject that an erasure has ended, even if a key still opened it. Never over a record that is there. A record that its
owner deleted one by one since the backup looks like one that was lost: whoever restores must say which records are
meant, or that all are. Every record is one transaction's worth, so the work may be cut off anywhere and begun again.
First come the tombstones, restrictions and proofs that the backup holds and a new database lacks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Row, Table, insert, select, tuple_, update
from sqlalchemy.exc import IntegrityError

from imagint_privacy.errors import StorageUnavailableError
from imagint_privacy.records import gate, restore
from imagint_privacy.records.context import Context
from imagint_privacy.records.library import Library
from imagint_privacy.records.restore import OPENS, Backup, Selection
from imagint_privacy.records.schema import INCARNATIONS, METADATA, RECORDS
from imagint_privacy.records.schema import OBJECTS as OBJECT_ROWS

HELD: Final = "Held"
TAKEN: Final = "Taken"
ENDED: Final = "Ended"
FENCED: Final = "Fenced"
BROUGHT: Final = "Brought"
OUTCOMES: Final[Mapping[str, str]] = {
    BROUGHT: "brought back",
    OPENS: "missing here, and open under the current tree",
    HELD: "already here",
    restore.KEY_DESTROYED: "forgotten since: nobody can open them any more",
    ENDED: "of a life that an erasure ended: left out",
    FENCED: "of somebody whose erasure is under way: left out",
    TAKEN: "not brought back: another record here has the id",
    restore.DAMAGED: "damaged in the backup",
    restore.MISSING: "without their content in the backup",
}
"""Every way in which a record of a backup can be found, in words."""
_STATEMENTS: Final = ("erasures", "restrictions", "retention_runs")
"""Tables that only say what was asked and done; their rows never change back."""
_COMPLETE: Final = "Complete"
_BATCH: Final = 200
Progress = Callable[[int, int], None]
"""Hears how many records were looked at, of how many."""


@dataclass(frozen=True, slots=True)
class Reinstated:
    """How many records were found in each way, and how many tombstones and statements came back."""

    counts: Mapping[str, int]
    statements: int
    applied: bool

    @property
    def damaged(self) -> int:
        """How many are not what was written, or are not all there."""
        return self.counts.get(restore.DAMAGED, 0) + self.counts.get(restore.MISSING, 0)


def reinstate(
    folder: Path,
    library: Library,
    selection: Selection,
    *,
    apply: bool,
    progress: Progress = lambda _done, _total: None,
) -> Reinstated:
    """Look at every record that is meant, and bring back those that are missing and open, if asked to.

    Raises:
        BackupRefusedError: the folder holds no backup.
        ForeignTreeError: it is another tenant's.
        SchemaError: a newer program wrote it.
        KeysUnavailableError, StorageUnavailableError: try again; what was brought back stays, and is found as held.
    """
    counts: Counter[str] = Counter()
    with restore.opened(folder, library.context.tenant) as backup:
        total, done = backup.count(selection), 0
        statements = _carry_statements(backup, library.context, selection) if apply else 0
        restoring = _Restoring(backup, library, apply=apply)
        for page in backup.pages(selection):
            for outcome in restoring.page(page):
                counts[outcome] += 1
                done += 1
                progress(done, total)
        counts.update({restore.DAMAGED: backup.unreadable} if backup.unreadable else {})
    return Reinstated(dict(counts), statements, apply)


class _Restoring:
    """One restore, page by page."""

    def __init__(self, backup: Backup, library: Library, *, apply: bool) -> None:
        self._backup = backup
        self._library = library
        self._context = library.context
        self._apply = apply

    def page(self, rows: Sequence[Row[Any]]) -> Iterator[str]:
        """Give the outcome of each record, having brought back what can be."""
        with self._context.database.read() as connection:
            names = RECORDS.c.record_id.in_([row.record_id for row in rows])
            columns = [column for column in RECORDS.c if column.name != "sealed"]
            here = {row.record_id: row for row in connection.execute(select(*columns).where(names))}
        small: list[Row[Any]] = []
        for row in rows:
            outcome = self._outcome(row, here.get(row.record_id))
            if outcome != OPENS or not self._apply:
                yield outcome
            elif row.large:
                try:
                    yield self._bring_object(row)
                except IntegrityError:
                    yield HELD  # somebody was quicker
            else:
                small.append(row)
        yield from self._bring_rows(small)

    def _outcome(self, row: Row[Any], here: Row[Any] | None) -> str:
        if here is not None:
            if not _same(row, here):
                return TAKEN
            if not row.large or self._context.objects.holds(_location(row)):
                return HELD
        outcome = self._backup.outcome(self._library, row)
        if outcome != OPENS:
            return outcome
        with self._context.database.read() as connection:
            return _refusal(connection, row) or OPENS

    def _bring_rows(self, rows: Sequence[Row[Any]]) -> list[str]:
        """Insert small records, all in one transaction or, if somebody is quicker with an id, one by one."""
        if not rows:
            return []
        try:
            with self._context.database.write() as connection:
                gate.hold(connection, fencing=False)
                return [_refusal(connection, row) or _insert(connection, row) for row in rows]
        except IntegrityError:
            return [HELD] if len(rows) == 1 else [found for row in rows for found in self._bring_rows([row])]

    def _bring_object(self, row: Row[Any]) -> str:
        """Announce, write, then insert: whatever a cut leaves, a purge finds and the next try takes up."""
        location = _location(row)
        with self._context.database.write() as connection:
            gate.hold(connection, fencing=False)
            if refused := _refusal(connection, row):
                return refused
            if not _announce(connection, row, location, self._context.now()):
                return TAKEN
        pieces = self._backup.sealed(row)
        if pieces is None:
            return restore.MISSING
        self._context.objects.put_stream(location, pieces)
        with self._context.database.write() as connection:
            gate.hold(connection, fencing=False)
            if (refused := _refusal(connection, row)) is None:
                stored = update(OBJECT_ROWS).where(OBJECT_ROWS.c.record_id == row.record_id)
                if not connection.execute(stored.values(stored=True, created_at=row.created_at)).rowcount:
                    raise StorageUnavailableError("an object took so long to bring back that it was swept away")
                return _insert(connection, row)
        self._context.objects.delete([location])  # an erasure began meanwhile
        return refused


def _same(row: Row[Any], here: Row[Any]) -> bool:
    names = ("subject", "category", "period", "kind", "incarnation", "created_at", "large")
    return all(getattr(row, name) == getattr(here, name) for name in names)


def _location(row: Row[Any]) -> str:
    return f"{row.subject}/{row.category}/{row.incarnation}/{row.record_id}"


def _refusal(connection: Connection, row: Row[Any]) -> str | None:
    """Say why a record may not come back now, as this transaction sees its subject."""
    standing = gate.standing(connection, row.subject)
    if row.incarnation < standing.incarnation(row.category):
        return ENDED
    return FENCED if standing.is_fenced(row.category) else None


def _insert(connection: Connection, row: Row[Any]) -> str:
    if connection.execute(select(RECORDS.c.record_id).where(RECORDS.c.record_id == row.record_id)).first() is None:
        connection.execute(insert(RECORDS).values(dict(row._mapping)))
    return BROUGHT


def _announce(connection: Connection, row: Row[Any], location: str, now: datetime) -> bool:
    """Note an object before it is written; say whether its id is free, or its own.

    Until it is kept, the note is of now: by its true age it would look like one that was left behind.
    """
    query = select(OBJECT_ROWS.c.location).where(OBJECT_ROWS.c.record_id == row.record_id)
    noted = connection.execute(query).scalar_one_or_none()
    if noted is None:
        values = {name: getattr(row, name) for name in ("record_id", "subject", "category", "incarnation")}
        connection.execute(insert(OBJECT_ROWS).values(location=location, stored=False, created_at=now, **values))
    elif noted == location:
        left = (OBJECT_ROWS.c.record_id == row.record_id, ~OBJECT_ROWS.c.stored)
        connection.execute(update(OBJECT_ROWS).where(*left).values(created_at=now))
    return noted in {None, location}


def _carry_statements(backup: Backup, context: Context, selection: Selection) -> int:
    """Bring tombstones and finished statements that are missing here: a library without them would let the erased in.

    Fences are not brought: their erasures have ended since, or are asked for anew.
    """
    carried = 0
    for rows in _pages(backup, INCARNATIONS, selection):
        with context.database.write() as connection:
            gate.hold(connection, fencing=True)
            carried += sum(_raise_life(connection, row) for row in rows)
    for table in (METADATA.tables[name] for name in _STATEMENTS):
        for rows in _pages(backup, table, selection):
            finished = [row for row in rows if "state" not in table.c or row["state"] == _COMPLETE]
            with context.database.write() as connection:
                carried += _add(connection, table, finished)
    return carried


def _pages(backup: Backup, table: Table, selection: Selection) -> Iterator[Sequence[Mapping[str, Any]]]:
    """Give the rows of a table about the subjects that are meant, some at a time."""
    key, last = tuple(table.primary_key.columns), None
    while True:
        query = select(table).order_by(*key).limit(_BATCH)
        if selection.subjects and "subject" in table.c:
            query = query.where(table.c.subject.in_(sorted(selection.subjects)))
        if last is not None:
            query = query.where(tuple_(*key) > tuple_(*(last[column.name] for column in key)))
        with backup.read() as connection:
            rows = [dict(row) for row in connection.execute(query).mappings()]
        if not rows:
            return
        last = rows[-1]
        yield rows


def _raise_life(connection: Connection, row: Mapping[str, Any]) -> int:
    """Let a subject's life be at least the backup's."""
    here = (INCARNATIONS.c.subject == row["subject"], INCARNATIONS.c.category == row["category"])
    life = connection.execute(select(INCARNATIONS.c.incarnation).where(*here)).scalar_one_or_none()
    if life is None:
        connection.execute(insert(INCARNATIONS).values(row))
    elif life < row["incarnation"]:
        connection.execute(update(INCARNATIONS).where(*here).values(incarnation=row["incarnation"], since=row["since"]))
    return int(life is None or life < row["incarnation"])


def _add(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> int:
    """Insert the rows that are missing.

    Raises:
        StorageUnavailableError: somebody else wrote one of them meanwhile: try again.
    """
    key = tuple(table.primary_key.columns)
    missing = []
    for row in rows:
        here = [column == row[column.name] for column in key]
        if connection.execute(select(key[0]).where(*here)).first() is None:
            missing.append(row)
    try:
        if missing:
            connection.execute(insert(table), missing)
    except IntegrityError:
        raise StorageUnavailableError("somebody else writes to the library's statements") from None
    return len(missing)
