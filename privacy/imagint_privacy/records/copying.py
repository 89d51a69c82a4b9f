"""Copies of the key tree in object stores: durability before destruction.

A copy holds the sealed nodes (`nodes/ab/<digest>`) and the roots' public faces (`roots/<generation>.json`): nothing
that opens without Vault. Only nodes born since the last verified copy are written; each is read back before the copy
counts. Nodes that died are deleted only after the copy holds a root that does not need them. Several processes may copy
at once: each notes its attempt, and while one is under way every node that dies is remembered. It must not open a node.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing, suppress
from datetime import timedelta
from itertools import islice
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, insert, select, update

from imagint_privacy.errors import CopyFailedError, NodeTamperedError, RetryableError, StorageUnavailableError
from imagint_privacy.keys.ports import Head, RootRecord
from imagint_privacy.keys.seals import digest_of
from imagint_privacy.records.context import Context
from imagint_privacy.records.database import Database
from imagint_privacy.records.fetching import fetch
from imagint_privacy.records.nodes import root_record
from imagint_privacy.records.objects import Objects
from imagint_privacy.records.results import CopyResult, StorePurged
from imagint_privacy.records.schema import COPIES, COPY_ATTEMPTS, TREE_DEAD, TREE_NODES, TREE_ROOT

_FORMER: Final = 1 << 62
"""What earlier programs left in `attempted` when a copy of theirs was cut off."""
_BATCH: Final = 1000
LONGEST_COPY: Final = timedelta(days=1)
"""An attempt older than this is taken for cut off; if it lives after all, it fails."""


def keep_copies(context: Context) -> tuple[CopyResult, ...]:
    """Bring every tree copy to the current generation, and rid it of what died: worth doing every few minutes.

    Raises:
        CopyFailedError: a copy could not be written, or did not read back.
    """
    made = copy_tree(context)
    try:
        sweep_copies(context)
    except StorageUnavailableError as error:
        raise CopyFailedError(f"a tree copy was not swept: {error.message}", after=error.after) from None
    return made


def copy_tree(context: Context) -> tuple[CopyResult, ...]:
    """Bring every tree copy to the current generation and read it back.

    Raises:
        CopyFailedError: a copy could not be written, or did not read back.
    """
    try:
        return tuple(_copy(context, store) for store in context.copies)
    except StorageUnavailableError as error:
        raise CopyFailedError(f"a tree copy failed: {error.message}", after=error.after) from None


def begin_anew(context: Context) -> None:
    """Trust no copy any more: the next one writes and reads back every node, as into an empty store.

    Raises:
        StorageUnavailableError: the database does not answer.
    """
    with context.database.write() as connection:
        here = COPIES.c.store.in_([store.name for store in context.copies])
        connection.execute(update(COPIES).where(here).values(generation=0))


def _copy(context: Context, store: Objects) -> CopyResult:
    attempt, since = _begin(context, store)
    record: RootRecord | None = None
    try:
        with context.database.read() as connection:
            record = root_record(connection)
            write_nodes(connection, store, since)
        _still_under_way(context, attempt)
        record = write_root(store, record)
        _finish(context, store, attempt, record)
        return CopyResult(store.name, record.generation, record.digest.hex())
    except RetryableError as failure:
        with suppress(StorageUnavailableError):
            _give_up(context, attempt)
        held = copy_held(context.database, store)
        if record is None or held is None or held.generation < record.generation or not held.root_digest:
            raise
        if not isinstance(failure, CopyFailedError):
            raise
        return CopyResult(store.name, held.generation, held.root_digest.hex())  # another process was quicker


def _begin(context: Context, store: Objects) -> tuple[str, int]:
    """Note that a copy is under way; return the attempt's id and the generation that the copy holds already, or 0."""
    attempt, now = context.entropy(16).hex(), context.now()
    row = copy_held(context.database, store)
    held = row.generation if row is not None else 0
    emptied = bool(held) and store.get(root_name(held)) is None
    with context.database.write() as connection:
        # Commits under way end first, and later ones see this note: whatever they bury may be in the copy.
        connection.execute(select(TREE_ROOT.c.generation).with_for_update())
        connection.execute(delete(COPY_ATTEMPTS).where(COPY_ATTEMPTS.c.since < now - LONGEST_COPY))
        connection.execute(insert(COPY_ATTEMPTS).values(id=attempt, store=store.name, since=now))
        here = COPIES.c.store == store.name
        if connection.execute(select(COPIES.c.store).where(here)).first() is None:
            connection.execute(insert(COPIES).values(store=store.name, attempted=0, generation=0))
        if emptied:
            connection.execute(update(COPIES).where(here, COPIES.c.generation == held).values(generation=0))
    return attempt, 0 if emptied else held


def _still_under_way(context: Context, attempt: str) -> None:
    """Go on only while the nodes that die are remembered for this attempt.

    Raises:
        CopyFailedError: it took too long.
    """
    with context.database.read() as connection:
        if connection.execute(select(COPY_ATTEMPTS.c.id).where(COPY_ATTEMPTS.c.id == attempt)).first() is None:
            raise CopyFailedError("a tree copy took too long: it begins anew")


def _give_up(context: Context, attempt: str) -> None:
    with context.database.write() as connection:
        connection.execute(delete(COPY_ATTEMPTS).where(COPY_ATTEMPTS.c.id == attempt))


def _finish(context: Context, store: Objects, attempt: str, record: RootRecord) -> None:
    """Record what the copy holds. `attempted` never sinks: it covers every node that may be in the copy."""
    here = COPIES.c.store == store.name
    values = {"generation": record.generation, "root_digest": record.digest, "verified_at": context.now()}
    with context.database.write() as connection:
        connection.execute(update(COPIES).where(here, COPIES.c.generation <= record.generation).values(values))
        covered = (COPIES.c.attempted < record.generation) | (COPIES.c.attempted >= _FORMER)
        connection.execute(update(COPIES).where(here, covered).values(attempted=record.generation))
        connection.execute(delete(COPY_ATTEMPTS).where(COPY_ATTEMPTS.c.id == attempt))


def write_copy(connection: Connection, store: Objects, since: int) -> RootRecord:
    """Write the nodes born after a generation, then the root; read everything back.

    Raises:
        CopyFailedError: something did not read back as written.
        StorageUnavailableError: the store or the database does not answer.
    """
    record = root_record(connection)
    write_nodes(connection, store, since)
    return write_root(store, record)


def write_nodes(connection: Connection, store: Objects, since: int) -> None:
    """Write the nodes born after a generation and read them back, some at a time.

    Raises:
        CopyFailedError: a node did not read back as written.
        StorageUnavailableError: the store or the database does not answer.
    """
    query = select(TREE_NODES.c.digest, TREE_NODES.c.sealed).where(TREE_NODES.c.born > since)
    with closing(connection.execute(query.execution_options(yield_per=_BATCH // 2))) as rows:
        while batch := {node_name(row.digest): row for row in islice(rows, _BATCH)}:
            store.put_many((name, row.sealed) for name, row in batch.items())
            for name, back in fetch(store, batch):
                if back is None or digest_of(back) != batch[name].digest:
                    raise CopyFailedError(f"node {batch[name].digest.hex()[:16]} did not read back")


def write_root(store: Objects, record: RootRecord | None) -> RootRecord:
    """Write a root's public face and read it back.

    Raises:
        CopyFailedError: it did not read back as written, or there is none.
        StorageUnavailableError: the store does not answer.
    """
    if record is None:
        raise CopyFailedError("there is no tree to copy")
    document = _root_document(record)
    store.put(root_name(record.generation), document)
    if store.get(root_name(record.generation)) != document:
        raise CopyFailedError(f"the root of generation {record.generation} did not read back")
    return record


def copy_held(database: Database, store: Objects) -> Row[Any] | None:
    """Return the row about a copy.

    Raises:
        StorageUnavailableError: the database does not answer.
    """
    with database.read() as connection:
        return connection.execute(select(COPIES).where(COPIES.c.store == store.name)).one_or_none()


def sweep_copies(context: Context) -> tuple[StorePurged, ...]:
    """Delete from every copy what its current root does not need any more; say what was deleted and what is left.

    Raises:
        StorageUnavailableError: a store or the database does not answer.
    """
    with context.database.read() as connection:
        held = {row.store: row.generation for row in connection.execute(select(COPIES.c.store, COPIES.c.generation))}
    swept = tuple(_sweep(context, store, held.get(store.name, 0)) for store in context.copies)
    done = min((held.get(store.name, 0) for store in context.copies), default=0)
    with context.database.write() as connection:
        connection.execute(delete(TREE_DEAD).where(TREE_DEAD.c.died <= done))
    return swept


def _sweep(context: Context, store: Objects, generation: int) -> StorePurged:
    deleted = remaining = 0
    for batch in _outdated(context.database, store, generation):
        store.delete(batch)
        deleted += len(batch)
        remaining += sum(found is not None for _, found in fetch(store, batch))
    return StorePurged(store.name, deleted, remaining)


def _outdated(database: Database, store: Objects, generation: int) -> Iterator[list[str]]:
    """Give the names of dead nodes and older roots, some at a time."""
    last, digest = b"", TREE_DEAD.c.digest
    while True:
        query = select(digest).where(TREE_DEAD.c.died <= generation, digest > last).order_by(digest).limit(_BATCH)
        with database.read() as connection:
            dead = connection.execute(query).scalars().all()
        if not dead:
            break
        last = dead[-1]
        yield [node_name(found) for found in dead]
    yield [name for name in store.list("roots") if name < root_name(generation)]


def newest_generation(store: Objects) -> int:
    """Return the newest generation of which a copy holds the root, 0 if it holds none.

    Raises:
        NodeTamperedError: something else lies among the roots.
        StorageUnavailableError: the store does not answer.
    """
    newest = max(store.list("roots"), default=None)
    if newest is None:
        return 0
    try:
        return int(newest.removeprefix("roots/").removesuffix(".json"))
    except ValueError:
        raise NodeTamperedError("the roots of a tree copy cannot be read") from None


def node_name(digest: bytes) -> str:
    """Return where a copy keeps a node."""
    return f"nodes/{digest.hex()[:2]}/{digest.hex()}"


def root_name(generation: int) -> str:
    """Return where a copy keeps the public face of a root."""
    return f"roots/{generation:020d}.json"


def _root_document(record: RootRecord) -> bytes:
    document = {
        "generation": record.generation,
        "keyVersion": record.key_version,
        "keySince": record.key_since,
        "wrapped": record.wrapped,
        "digest": record.digest.hex(),
    }
    return json.dumps(document, sort_keys=True).encode("ascii")


class CopiedTree:
    """A tree copy as a store to read from: what a tenant is restored from when its database is lost."""

    def __init__(self, store: Objects) -> None:
        self._store = store

    def head(self) -> Head | None:
        """Return the newest root of the copy.

        Raises:
            NodeTamperedError: the copy names a root that it does not hold, or cannot be read.
            StorageUnavailableError: the store does not answer.
        """
        names = self._store.list("roots")
        if not names:
            return None
        raw = self._store.get(max(names))
        try:
            document = json.loads(raw or b"")
            digest = bytes.fromhex(document["digest"])
            since = document.get("keySince", 0)  # a copy of before: its key is replaced rather too early
            record = RootRecord(document["generation"], document["keyVersion"], document["wrapped"], digest, since)
        except (ValueError, KeyError, TypeError):
            raise NodeTamperedError("the root of a tree copy cannot be read") from None
        sealed = self._store.get(node_name(digest))
        if sealed is None:
            raise NodeTamperedError("a tree copy lacks its root node")
        return Head(record, sealed)

    def generation(self) -> int:
        """Return the newest generation of the copy."""
        head = self.head()
        return head.record.generation if head else 0

    def nodes(self, digests: Collection[bytes]) -> Mapping[bytes, bytes]:
        """Return the sealed nodes that are there."""
        names = {node_name(digest): digest for digest in digests}
        return {names[name]: sealed for name, sealed in fetch(self._store, names) if sealed is not None}

    def commit(self, change: object, alongside: object = None) -> None:
        """Refuse: a copy is read, and written only by `copy_tree`.

        Raises:
            StorageUnavailableError: always.
        """
        raise StorageUnavailableError("a tree copy is for reading", after=60)
