"""Records as their owner sees them, and the rows they are kept in: nothing here seals, opens or decides."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, BinaryIO, Final

from sqlalchemy import Connection, Row, Select, and_, or_, select

from imagint_privacy.errors import PathInvalidError, RecordMissingError, RecordSizeError
from imagint_privacy.keys.paths import KeyPath, check_category
from imagint_privacy.purposes import Purpose, Standing
from imagint_privacy.records.bindings import Binding, Keeping
from imagint_privacy.records.schema import OBJECTS, RECORDS

_RECORD_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_KIND: Final = re.compile(r"[a-z][a-z0-9./+-]{0,63}")
_PIECE: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Draft:
    """Something to keep: in a row, or as an object when it is large.

    The content of an object may be pieces that are read once, such as a generator, or a file; `size`, if it is
    given, is the length that they must have together.
    """

    record_id: str
    category: str
    kind: str
    content: bytes | Iterable[bytes] | BinaryIO = field(repr=False)
    large: bool = False
    size: int | None = None

    def __post_init__(self) -> None:
        """Check every name.

        Raises:
            PathInvalidError: a name is outside its grammar.
            RecordSizeError: what is given whole has another length than was said.
            ValueError: what goes into a row comes in pieces.
        """
        check_record_id(self.record_id)
        check_category(self.category)
        if _KIND.fullmatch(self.kind) is None:
            raise PathInvalidError("a kind is 1 to 64 of a-z, 0-9, ., /, + and -, starting with a letter")
        whole = self.whole()
        if whole is None and not self.large:
            raise ValueError("what is kept in a row is given whole")
        if whole is not None and self.size not in {None, len(whole)}:
            raise RecordSizeError(f"the content of {self.record_id} is of another length than was said")

    def whole(self) -> bytes | None:
        """Return the content if it is given whole."""
        content = self.content
        return bytes(content) if isinstance(content, bytes | bytearray | memoryview) else None

    def pieces(self) -> Iterator[bytes]:
        """Return the content piece by piece; only what is given whole can be read again.

        Raises:
            RecordSizeError: it has another length than was said: raised as soon as that is known.
        """
        left = self.size
        for piece in self._pieces():
            if left is not None:
                left -= len(piece)
            if left is not None and left < 0:
                raise RecordSizeError(f"the content of {self.record_id} is longer than was said")
            yield piece
        if left:
            raise RecordSizeError(f"the content of {self.record_id} is shorter than was said")

    def _pieces(self) -> Iterable[bytes]:
        content = self.content
        if isinstance(content, bytes | bytearray | memoryview):
            return (bytes(content),)
        read = getattr(content, "read", None)
        # A file iterates by lines, which may be of any length.
        return content if read is None else iter(lambda: read(_PIECE), b"")


@dataclass(frozen=True, slots=True)
class Entry:
    """A record without its content."""

    record_id: str
    subject: str
    category: str
    period: str
    kind: str
    created_at: datetime
    size: int
    large: bool

    @property
    def path(self) -> KeyPath:
        """Where its data key lives."""
        return KeyPath(self.subject, self.category, self.period)

    def binding(self, tenant: str) -> Binding:
        """What its sealed bytes are bound to."""
        keeping = Keeping.OBJECT if self.large else Keeping.ROW
        return Binding(tenant, self.path, self.kind, self.record_id, keeping, self.created_at)


@dataclass(frozen=True, slots=True)
class Opened:
    """A record with its content."""

    entry: Entry
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class OpenedStream:
    """A record with its content as it is opened; only when the chunks end without an error were they all."""

    entry: Entry
    chunks: Iterator[bytes] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Ticket:
    """A job's leave to write for a subject, given when it began; an erasure that begins later voids it."""

    subject: str
    purpose: Purpose
    standing: Standing


def check_record_id(record_id: str) -> str:
    """Return the id if it follows the grammar.

    Raises:
        PathInvalidError: it does not.
    """
    if _RECORD_ID.fullmatch(record_id) is None:
        raise PathInvalidError("a record id is 1 to 64 of A-Z, a-z, 0-9, _ and -")
    return record_id


def entry_of(row: Row[Any]) -> Entry:
    """Read an entry from a row of `records`."""
    return Entry(row.record_id, row.subject, row.category, row.period, row.kind, row.created_at, row.size, row.large)


def find(connection: Connection, record_id: str) -> Row[Any]:
    """Return the row of a record.

    Raises:
        PathInvalidError: the id is outside its grammar.
        RecordMissingError: there is none.
    """
    query = select(RECORDS).where(RECORDS.c.record_id == check_record_id(record_id))
    row = connection.execute(query).one_or_none()
    if row is None:
        raise RecordMissingError(f"no record {record_id}")
    return row


def find_of(connection: Connection, subject: str, record_id: str) -> Row[Any]:
    """Return the row of a subject's record.

    Raises:
        PathInvalidError: the id is outside its grammar.
        RecordMissingError: the subject has none.
    """
    row = find(connection, record_id)
    if row.subject != subject:
        raise RecordMissingError(f"{subject} has no record {record_id}")
    return row


def location_of(connection: Connection, record_id: str) -> str:
    """Return where the object of a record is kept.

    Raises:
        RecordMissingError: it has none.
    """
    query = select(OBJECTS.c.location).where(OBJECTS.c.record_id == record_id, OBJECTS.c.stored)
    location: str | None = connection.execute(query).scalar_one_or_none()
    if location is None:
        raise RecordMissingError(f"the content of record {record_id} is not there")
    return location


def page(connection: Connection, subject: str, category: str | None, before: str | None, limit: int) -> list[Entry]:
    """Return the newest entries of a subject, those older than `before` if it is given."""
    columns = [column for column in RECORDS.c if column.name != "sealed"]
    query: Select[Any] = select(*columns).where(RECORDS.c.subject == subject)
    if category is not None:
        query = query.where(RECORDS.c.category == category)
    made, name = RECORDS.c.created_at, RECORDS.c.record_id
    if before is not None:
        edge = connection.execute(select(made).where(name == before)).scalar_one_or_none()
        if edge is None:
            return []
        query = query.where(or_(made < edge, and_(made == edge, name < before)))
    query = query.order_by(made.desc(), name.desc()).limit(limit)
    return [entry_of(row) for row in connection.execute(query)]
