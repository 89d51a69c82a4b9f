"""Copies of the key tree in object stores: durability before destruction.

A copy holds the sealed nodes (`nodes/ab/<digest>`) and the roots' public faces (`roots/<generation>.json`): nothing
that opens without Vault. Only nodes born since the last verified copy are written; each is read back before the copy
counts. Nodes that died are deleted only after the copy holds a root that does not need them. It must not open a node.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from typing import Final

from sqlalchemy import Connection, delete, insert, select, update

from imagint_privacy.errors import CopyFailedError, NodeTamperedError, StorageUnavailableError
from imagint_privacy.keys.ports import Head, RootRecord
from imagint_privacy.keys.seals import digest_of
from imagint_privacy.records.context import Context
from imagint_privacy.records.nodes import root_record
from imagint_privacy.records.objects import Objects
from imagint_privacy.records.results import CopyResult, StorePurged
from imagint_privacy.records.schema import COPIES, TREE_DEAD, TREE_NODES, TREE_ROOT

_UNDER_WAY: Final = 1 << 62
"""A copy is being written: whatever dies meanwhile may be in it."""


def copy_tree(context: Context) -> tuple[CopyResult, ...]:
    """Bring every tree copy to the current generation and read it back.

    Raises:
        CopyFailedError: a copy could not be written, or did not read back.
    """
    try:
        return tuple(_copy(context, store) for store in context.copies)
    except StorageUnavailableError as error:
        raise CopyFailedError(f"a tree copy failed: {error.message}", after=error.after) from None


def _copy(context: Context, store: Objects) -> CopyResult:
    since = _begin(context, store)
    with context.database.read() as connection:
        record = write_copy(connection, store, since)
    here = (COPIES.c.store == store.name, COPIES.c.generation <= record.generation)
    values = {
        "attempted": record.generation,
        "generation": record.generation,
        "root_digest": record.digest,
        "verified_at": context.now(),
    }
    with context.database.write() as connection:
        connection.execute(update(COPIES).where(*here).values(values))
    return CopyResult(store.name, record.generation, record.digest.hex())


def _begin(context: Context, store: Objects) -> int:
    """Note that a copy is under way and return the generation it holds already (0: nothing, or it was emptied)."""
    here = COPIES.c.store == store.name
    with context.database.write() as connection:
        # Commits under way end first, and later ones see this note: whatever they bury may be in the copy.
        connection.execute(select(TREE_ROOT.c.generation).with_for_update())
        held = connection.execute(select(COPIES.c.generation).where(here)).scalar_one_or_none()
        if held is None:
            connection.execute(insert(COPIES).values(store=store.name, attempted=_UNDER_WAY, generation=0))
            return 0
        since = held if held and store.get(_root_name(held)) is not None else 0
        connection.execute(update(COPIES).where(here).values(attempted=_UNDER_WAY, generation=since))
    return int(since)


def write_copy(connection: Connection, store: Objects, since: int) -> RootRecord:
    """Write the nodes born after a generation, then the root; read everything back.

    Raises:
        CopyFailedError: something did not read back as written.
        StorageUnavailableError: the store or the database does not answer.
    """
    record = root_record(connection)
    if record is None:
        raise CopyFailedError("there is no tree to copy")
    digests: list[bytes] = []
    store.put_many(_named(connection, since, digests))
    for digest in digests:
        back = store.get(_node_name(digest))
        if back is None or digest_of(back) != digest:
            raise CopyFailedError(f"node {digest.hex()[:16]} did not read back")
    document = _root_document(record)
    store.put(_root_name(record.generation), document)
    if store.get(_root_name(record.generation)) != document:
        raise CopyFailedError(f"the root of generation {record.generation} did not read back")
    return record


def _named(connection: Connection, since: int, digests: list[bytes]) -> Iterator[tuple[str, bytes]]:
    query = select(TREE_NODES.c.digest, TREE_NODES.c.sealed).where(TREE_NODES.c.born > since)
    for row in connection.execution_options(yield_per=500).execute(query):
        digests.append(row.digest)
        yield _node_name(row.digest), row.sealed


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
    with context.database.read() as connection:
        dead = connection.execute(select(TREE_DEAD.c.digest).where(TREE_DEAD.c.died <= generation)).scalars().all()
    names = [_node_name(digest) for digest in dead]
    names += [name for name in store.list("roots") if name < _root_name(generation)]
    store.delete(names)
    remaining = sum(store.get(name) is not None for name in names)
    return StorePurged(store.name, len(names), remaining)


def _node_name(digest: bytes) -> str:
    return f"nodes/{digest.hex()[:2]}/{digest.hex()}"


def _root_name(generation: int) -> str:
    return f"roots/{generation:020d}.json"


def _root_document(record: RootRecord) -> bytes:
    document = {
        "generation": record.generation,
        "keyVersion": record.key_version,
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
            record = RootRecord(document["generation"], document["keyVersion"], document["wrapped"], digest)
        except (ValueError, KeyError, TypeError):
            raise NodeTamperedError("the root of a tree copy cannot be read") from None
        sealed = self._store.get(_node_name(digest))
        if sealed is None:
            raise NodeTamperedError("a tree copy lacks its root node")
        return Head(record, sealed)

    def generation(self) -> int:
        """Return the newest generation of the copy."""
        head = self.head()
        return head.record.generation if head else 0

    def nodes(self, digests: Collection[bytes]) -> Mapping[bytes, bytes]:
        """Return the sealed nodes that are there."""
        found = {digest: self._store.get(_node_name(digest)) for digest in digests}
        return {digest: sealed for digest, sealed in found.items() if sealed is not None}

    def commit(self, change: object, alongside: object = None) -> None:
        """Refuse: a copy is read, and written only by `copy_tree`.

        Raises:
            StorageUnavailableError: always.
        """
        raise StorageUnavailableError("a tree copy is for reading", after=60)
