"""Keeping and deleting records: what a draft goes through until it is there, whole, or not there at all.

    keys -> rows sealed -> objects announced -> objects sealed and uploaded, chunk by chunk -> one transaction

Every object is announced in a row before its first byte is written, so that a purge finds what a killed process left.
No key is held while an upload waits for its content. It must not read a record.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from imagint_privacy.errors import KeyDestroyedError, RecordExistsError, RetryableError, StorageUnavailableError
from imagint_privacy.keys.paths import period_of
from imagint_privacy.purposes import Access, Purpose, Use
from imagint_privacy.records import entries, gate, sealing, streams
from imagint_privacy.records.context import Context
from imagint_privacy.records.entries import Draft, Entry, Ticket
from imagint_privacy.records.schema import OBJECTS, RECORDS


def store(context: Context, ticket: Ticket, drafts: Sequence[Draft]) -> tuple[Entry, ...]:
    """Seal and keep all of these, or none.

    Raises:
        LateWriteError, SubjectFencedError, RecordExistsError, RecordSizeError: nothing was kept.
        KeysUnavailableError, StorageUnavailableError: nothing was kept; try again.
    """
    if not drafts:
        return ()
    made = context.now()
    kept = [_entry(ticket, draft, made) for draft in drafts]
    rows = _sealed_rows(context, ticket, kept, drafts)
    large = {entry.record_id: draft for entry, draft in zip(kept, drafts, strict=True) if entry.large}
    announced = [entry for entry in kept if entry.large]
    if announced:
        _announce(context, ticket, announced)
    try:
        sizes = {entry.record_id: _upload(context, ticket, entry, large[entry.record_id]) for entry in announced}
        whole = [replace(entry, size=sizes.get(entry.record_id, entry.size)) for entry in kept]
        _keep(context, ticket, whole, rows)
    except BaseException:
        _withdraw(context, ticket, announced)
        raise
    return tuple(whole)


def remove(context: Context, subject: str, record_id: str, purpose: Purpose) -> None:
    """Delete a record of a subject, its row first.

    Raises:
        RecordMissingError, AccessDeniedError: nothing was deleted.
        StorageUnavailableError: the database or the object store does not answer.
    """
    with context.database.write() as connection:
        row = entries.find_of(connection, subject, record_id)
        gate.check(connection, Access(purpose, Use.DELETE, subject, row.category))
        location = entries.location_of(connection, record_id) if row.large else None
        connection.execute(delete(RECORDS).where(RECORDS.c.record_id == record_id))
        connection.execute(update(OBJECTS).where(OBJECTS.c.record_id == record_id).values(stored=False))
    if location is not None:
        context.objects.delete([location])
        with context.database.write() as connection:
            connection.execute(delete(OBJECTS).where(OBJECTS.c.record_id == record_id))


def _entry(ticket: Ticket, draft: Draft, made: datetime) -> Entry:
    size = len(draft.whole() or b"")
    return Entry(draft.record_id, ticket.subject, draft.category, period_of(made), draft.kind, made, size, draft.large)


def _sealed_rows(context: Context, ticket: Ticket, kept: Sequence[Entry], drafts: Sequence[Draft]) -> dict[str, bytes]:
    """Make every key that is missing, and seal what goes into rows; the keys are not held any longer."""
    keys = context.tree.ensure({entry.path for entry in kept}, lambda tx, _: _check(tx, ticket, kept))
    return {
        entry.record_id: sealing.seal(
            keys[entry.path], entry.binding(context.tenant), draft.whole() or b"", context.entropy
        )
        for entry, draft in zip(kept, drafts, strict=True)
        if not entry.large
    }


def _check(connection: Connection, ticket: Ticket, kept: Sequence[Entry]) -> None:
    """Ask the gate for every category, holding off fences until this transaction ends."""
    gate.hold(connection, fencing=False)
    for category in {entry.category for entry in kept}:
        gate.check(connection, Access(ticket.purpose, Use.WRITE, ticket.subject, category, ticket.standing))


def _announce(context: Context, ticket: Ticket, large: Sequence[Entry]) -> None:
    """Note objects before they are written, so that a purge finds them whatever happens to this process."""
    with _writing(context) as connection:
        _check(connection, ticket, large)
        rows = [
            {
                "record_id": entry.record_id,
                "subject": entry.subject,
                "category": entry.category,
                "incarnation": ticket.standing.incarnation(entry.category),
                "location": _location(ticket, entry),
                "stored": False,
                "created_at": entry.created_at,
            }
            for entry in large
        ]
        connection.execute(insert(OBJECTS), rows)


def _upload(context: Context, ticket: Ticket, entry: Entry, draft: Draft) -> int:
    """Seal an object while it is uploaded, and return how long its content was.

    Raises:
        LateWriteError: the key was forgotten meanwhile.
        RecordSizeError: the content has another length than was said.
        KeysUnavailableError, StorageUnavailableError: the object is not there.
    """
    counted = _Counted(draft.pieces())
    sealed = streams.seal_stream(
        lambda: context.tree.lookup(entry.path), entry.binding(context.tenant), counted, context.entropy
    )
    try:
        context.objects.put_stream(_location(ticket, entry), sealed)
    except KeyDestroyedError:
        with context.database.read() as connection:
            _check(connection, ticket, [entry])
        raise
    return counted.size


class _Counted:
    """Pieces that are counted as they pass."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self.size = 0

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces:
            self.size += len(piece)
            yield piece


def _keep(context: Context, ticket: Ticket, kept: Sequence[Entry], sealed: Mapping[str, bytes]) -> None:
    """Make the rows appear, all at once.

    Raises:
        StorageUnavailableError: an announcement is not there any more, so its object is not either.
    """
    with _writing(context) as connection:
        _check(connection, ticket, kept)
        rows = [
            {
                **{name: getattr(entry, name) for name in Entry.__slots__},
                "incarnation": ticket.standing.incarnation(entry.category),
                "sealed": sealed.get(entry.record_id),
            }
            for entry in kept
        ]
        connection.execute(insert(RECORDS), rows)
        large = [entry.record_id for entry in kept if entry.large]
        stored = connection.execute(update(OBJECTS).where(OBJECTS.c.record_id.in_(large)).values(stored=True))
        if stored.rowcount != len(large):
            raise StorageUnavailableError("an upload took so long that it was swept away")


def _withdraw(context: Context, ticket: Ticket, large: Sequence[Entry]) -> None:
    """Take announced objects back, unless they were kept after all; what fails here, the next purge finds."""
    if not large:
        return
    mine = OBJECTS.c.record_id.in_([entry.record_id for entry in large])
    announced = mine & ~OBJECTS.c.stored & (OBJECTS.c.created_at == large[0].created_at)
    with contextlib.suppress(RetryableError):
        with context.database.read() as connection:
            # One whose row is gone was swept while it was written: nobody else will look for it.
            others = set(connection.execute(select(OBJECTS.c.record_id).where(mine, ~announced)).scalars())
        context.objects.delete([_location(ticket, entry) for entry in large if entry.record_id not in others])
        with context.database.write() as connection:
            connection.execute(delete(OBJECTS).where(announced))


def sweep(context: Context, before: datetime) -> int:
    """Delete what was announced before a moment and never kept, and what deletions left half done; return how many.

    Raises:
        StorageUnavailableError: the database or the object store does not answer: the rest is found next time.
    """
    lost = ~OBJECTS.c.stored & (OBJECTS.c.created_at < before)
    with context.database.read() as connection:
        locations = connection.execute(select(OBJECTS.c.location).where(lost)).scalars().all()
    for location in locations:
        with context.database.write() as connection:
            # The row first: an upload that is alive after all must not be kept without its object.
            gone = connection.execute(delete(OBJECTS).where(lost, OBJECTS.c.location == location)).rowcount
            if gone:
                context.objects.delete([location])
    return len(locations)


@contextlib.contextmanager
def _writing(context: Context) -> Iterator[Connection]:
    """Open a writing transaction in which a taken id has a name.

    Raises:
        RecordExistsError: an id is taken.
    """
    try:
        with context.database.write() as connection:
            yield connection
    except IntegrityError:
        raise RecordExistsError("a record of this id exists") from None


def _location(ticket: Ticket, entry: Entry) -> str:
    life = ticket.standing.incarnation(entry.category)
    return f"{entry.subject}/{entry.category}/{life}/{entry.record_id}"
