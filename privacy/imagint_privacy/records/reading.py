"""Opening records behind the gate, chunk by chunk: nothing is handed out that was not authenticated.

The gate is asked once, before the first chunk; the key again before each, so a stream ends when its key is forgotten.
It must not write.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection

from imagint_privacy.errors import RecordMissingError, RecordSizeError
from imagint_privacy.purposes import Access, Purpose, Use
from imagint_privacy.records import entries, gate, sealing
from imagint_privacy.records.context import Context
from imagint_privacy.records.entries import Entry, OpenedStream


def locate(connection: Connection, record_id: str, purpose: Purpose) -> Entry:
    """Return a record's entry by its id alone.

    Raises:
        RecordMissingError, AccessDeniedError: there is none, or it may not be read.
    """
    entry = entries.entry_of(entries.find(connection, record_id))
    gate.check(connection, Access(purpose, Use.READ, entry.subject, entry.category))
    return entry


def open_stream(
    context: Context, subject: str, record_id: str, purpose: Purpose, limit: int | None = None
) -> OpenedStream:
    """Open a record of a subject; what is wrong from the beginning is raised here, not later.

    Raises:
        RecordMissingError, AccessDeniedError: the subject has no such record, or it may not be read.
        RecordSizeError: it is longer than the limit.
        KeyDestroyedError, RecordTamperedError: it does not open.
        KeysUnavailableError, StorageUnavailableError: try again.
    """
    with context.database.read() as connection:
        row = entries.find_of(connection, subject, record_id)
        entry = entries.entry_of(row)
        gate.check(connection, Access(purpose, Use.READ, subject, entry.category))
        location = entries.location_of(connection, record_id) if entry.large else None
    if limit is not None and entry.size > limit:
        raise RecordSizeError(f"record {record_id} is longer than {limit} bytes")
    pieces = _row(row.sealed) if location is None else context.objects.get_stream(location)
    if pieces is None:
        raise RecordMissingError(f"the content of record {record_id} is not there")
    chunks = sealing.open_pieces(
        lambda: context.tree.lookup(entry.path), entry.binding(context.tenant), pieces, entry.size
    )
    return OpenedStream(entry, _begun(next(chunks, b""), chunks))


def _begun(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _row(sealed: bytes | None) -> Iterator[bytes] | None:
    return None if sealed is None else iter((sealed,))
