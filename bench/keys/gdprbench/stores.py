"""The store that the mixes run on, with our layer and without it.

Both are the product's own `Library`: the same tables, the same SQLAlchemy path, the same purpose gate and metadata, the
same durability. Without the layer there is no key tree (keys come from nowhere) and sealing returns what it was given,
so contents lie in clear. With it, what is deleted is also forgotten: its row at once, its key in the next group of
`GROUP`, or at once where `GROUP` is 1; a key that another record still needs stays. It must not measure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast

from bench.keys import populations
from bench.keys.gdprbench import metadata
from bench.keys.gdprbench.metadata import DELETIONS, MIX_METADATA
from bench.keys.gdprbench.mixes import CATEGORIES, CONTENT, PURPOSES, Kind, Operation
from sqlalchemy import Connection, func, insert, select, text, tuple_, update

from imagint_privacy.keys.paths import KeyPath, Prefix, period_of
from imagint_privacy.keys.ports import RootRecord
from imagint_privacy.keys.tree import Forgotten, KeyTree
from imagint_privacy.purposes import Access, Purpose, Use
from imagint_privacy.records import gate, sealing
from imagint_privacy.records.entries import Draft, Entry
from imagint_privacy.records.library import Library
from imagint_privacy.records.schema import RECORDS

LOG_ROWS = 100
_KEY = bytes(32)
_STRANGERS = 1_000_000_000
_CLEAR = {
    "seal": lambda key, binding, plain, entropy: plain,
    "unseal": lambda key, binding, sealed: bytes(sealed),
    "open_pieces": lambda key, binding, pieces, size: iter(pieces),
}


class NoTree:
    """Stands where the key tree stands, and keeps nothing."""

    def ensure(self, paths: Collection[KeyPath], alongside: object = None) -> dict[KeyPath, bytes]:
        """Return the same key for all."""
        return dict.fromkeys(paths, _KEY)

    def lookup(self, path: KeyPath) -> bytes:
        """Return the same key for all."""
        return _KEY

    def forget(self, prefixes: Collection[Prefix], *, key_version: int, alongside: object = None) -> Forgotten:
        """Forget nothing."""
        return Forgotten(1, key_version, 0)

    def root(self) -> RootRecord:
        """Return a root of nothing."""
        return RootRecord(1, 1, "vault:v1:", bytes(32))

    def drop(self) -> None:
        """Drop nothing."""


@contextmanager
def in_clear() -> Iterator[None]:
    """Let sealing return what it is given, for as long as this lasts."""
    before = {name: getattr(sealing, name) for name in _CLEAR if hasattr(sealing, name)}
    for name in before:
        setattr(sealing, name, _CLEAR[name])
    try:
        yield
    finally:
        for name, function in before.items():
            setattr(sealing, name, function)


class MixStore:
    """Carries operations out on one library."""

    def __init__(self, library: Library, users: int, *, layered: bool, group: int) -> None:
        self.layered = layered
        self._group = group
        context = library.context
        if not layered:
            context = replace(context, tree=cast("KeyTree[Connection]", NoTree()))
        self.library = Library(context)
        self._users = users
        self._waiting: list[tuple[str, str]] = []
        self._content = bytes(index % 251 for index in range(CONTENT))
        metadata.prepare(context.database)

    def load(self, records: int) -> None:
        """Fill the store: every key in one commit, every row in one transaction."""
        made = datetime.now(UTC)
        kept = [self._entry(number, made) for number in range(records)]
        context = self.library.context
        keys = context.tree.ensure({entry.path for entry in kept})
        rows = [
            {
                **{name: getattr(entry, name) for name in Entry.__slots__},
                "incarnation": 1,
                "sealed": bytes(self._sealed(keys[entry.path], entry)),
            }
            for entry in kept
        ]
        with context.database.write() as connection:
            connection.execute(insert(RECORDS), rows)
            connection.execute(text("ANALYZE"))

    def do(self, operation: Operation) -> None:
        """Carry one out."""
        number = operation.record
        subject, record_id = self._subject(number), f"r-{number}"
        match operation.kind:
            case Kind.INSERT:
                draft = Draft(record_id, _category(number), _purpose(number), self._content)
                self.library.store(self.library.begin(subject, Purpose.GENERATE), [draft])
            case Kind.READ:
                self.library.read(subject, record_id, Purpose.DELIVER)
            case Kind.UPDATE:
                self._update(subject, record_id)
            case Kind.DELETE:
                self._delete(subject, record_id, _category(number))
            case kind:
                self._about(kind, subject, record_id, number)

    def insert_new(self, number: int) -> None:
        """Store a record of somebody who was never seen before: the mixes as published have no such operation."""
        subject = populations.subject(_STRANGERS + number)
        draft = Draft(f"new-{number}", _category(number), _purpose(number), self._content)
        self.library.store(self.library.begin(subject, Purpose.GENERATE), [draft])

    def _about(self, kind: Kind, subject: str, record_id: str, number: int) -> None:
        """Read or change what is known about records."""
        purpose = MIX_METADATA.c.purpose == _purpose(number)
        mine = MIX_METADATA.c.subject == subject
        match kind:
            case Kind.META_BY_PURPOSE:
                self._rows(select(MIX_METADATA).where(purpose))
            case Kind.META_BY_USER:
                self._rows(select(MIX_METADATA).where(mine), subject)
            case Kind.CHANGE_BY_PURPOSE:
                self._change(update(MIX_METADATA).where(purpose).values(shared=f"partner-{number % 10}"))
            case Kind.CHANGE_BY_USER:
                self._change(update(MIX_METADATA).where(mine).values(objections=f"use-{number % 100}"), subject)
            case Kind.LOG:
                self._rows(select(DELETIONS).order_by(DELETIONS.c.number.desc()).limit(LOG_ROWS))
            case _:
                logged = select(func.count()).select_from(DELETIONS).where(DELETIONS.c.record_id == record_id)
                left = select(func.count()).select_from(RECORDS).where(RECORDS.c.record_id == record_id)
                self._rows(logged.union_all(left))

    def _rows(self, query: Any, subject: str | None = None) -> Sequence[Any]:
        with self.library.context.database.read() as connection:
            if subject is not None:
                gate.check(connection, Access(Purpose.ACCESS, Use.LIST, subject))
            return connection.execute(query).all()

    def _change(self, statement: Any, subject: str | None = None) -> None:
        with self.library.context.database.write() as connection:
            if subject is not None:
                gate.check(connection, Access(Purpose.GENERATE, Use.WRITE, subject))
            connection.execute(statement)

    def _update(self, subject: str, record_id: str) -> None:
        """Replace a content. The library has no such verb: its parts, in the order in which `store` takes them."""
        context = self.library.context
        entry = self.library.locate(record_id, Purpose.GENERATE)
        sealed = bytes(self._sealed(context.tree.lookup(entry.path), entry))
        with context.database.write() as connection:
            gate.hold(connection, fencing=False)
            gate.check(connection, Access(Purpose.GENERATE, Use.WRITE, subject, entry.category))
            connection.execute(update(RECORDS).where(RECORDS.c.record_id == record_id).values(sealed=sealed))

    def _delete(self, subject: str, record_id: str, category: str) -> None:
        self.library.delete(subject, record_id, Purpose.ERASE)
        if self.layered:
            self._waiting.append((subject, category))
            if len(self._waiting) >= self._group:
                self.forget_waiting()

    def forget_waiting(self) -> None:
        """Forget the keys of what was deleted, in one commit, unless another record needs them."""
        if not self._waiting:
            return
        columns = (RECORDS.c.subject, RECORDS.c.category)
        with self.library.context.database.read() as connection:
            left = connection.execute(select(*columns).where(tuple_(*columns).in_(self._waiting)))
            needed = {(row.subject, row.category) for row in left}
        doomed = [Prefix(*parts) for parts in self._waiting if parts not in needed]
        self._waiting.clear()
        if doomed:
            self.library.tree.forget(doomed, key_version=1)

    def _entry(self, number: int, made: datetime) -> Entry:
        category, purpose = _category(number), _purpose(number)
        subject, period = self._subject(number), period_of(made)
        return Entry(f"r-{number}", subject, category, period, purpose, made, len(self._content), large=False)

    def _sealed(self, key: bytes, entry: Entry) -> bytes | bytearray:
        context = self.library.context
        return sealing.seal(key, entry.binding(context.tenant), self._content, context.entropy)

    def _subject(self, number: int) -> str:
        return populations.subject(number % self._users)


def _category(number: int) -> str:
    return f"cat-{number % CATEGORIES}"


def _purpose(number: int) -> str:
    return f"pur-{number % PURPOSES}"
