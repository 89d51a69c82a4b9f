"""Garbage: nodes in a copy, or in the database, that nothing needs; found by listing, deleted, never a live one.

It comes from crashes: a copy that was cut off, or that another process overtook. The order makes it safe. A node is in
a copy only after it was in the database. So list the copy first, and then ask the database: what is neither live nor
noted as dead after the copy's own root was needed by nothing when it was listed, and never will be again, for every
node is sealed with fresh randomness. What dies while a copy is written is always noted (`nodes`, `copying`). A copy
that disagrees with the database is not touched. It must not open a node of a copy.
"""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, delete, func, select

from imagint_privacy.errors import CopyFailedError, NodeTamperedError
from imagint_privacy.keys.ports import Head, RootWrapper
from imagint_privacy.records.copying import LONGEST_COPY, CopiedTree, copy_held, newest_generation, root_name
from imagint_privacy.records.database import Database
from imagint_privacy.records.nodes import chunks, root_record
from imagint_privacy.records.objects import Objects
from imagint_privacy.records.schema import COPIES, TREE_DEAD, TREE_NODES
from imagint_privacy.records.surveying import Health, survey
from imagint_privacy.records.verifying import opened_root

_NODE: Final = re.compile(r"nodes/([0-9a-f]{2})/(\1[0-9a-f]{62})")


@dataclass(frozen=True, slots=True)
class Collected:
    """What was listed in one place, how much of it was garbage, and how much of that was deleted."""

    store: str
    listed: int
    garbage: int
    deleted: int


def collect_copy(database: Database, store: Objects, *, apply: bool) -> Collected:
    """Find what nothing needs in a copy, and delete it if asked to.

    Raises:
        CopyFailedError: the copy is not the one that the database knows: copy the tree first.
        StorageUnavailableError: the copy or the database does not answer.
    """
    _agree(database, store)
    listed = garbage = 0
    for page in store.pages():
        listed += len(page)
        found = _garbage(database, store, page)
        garbage += len(found)
        if apply:
            store.delete(found)
    staged = _staged(store)
    if apply:
        store.delete(staged)
    garbage += len(staged)
    return Collected(store.name, listed + len(staged), garbage, garbage if apply else 0)


def _agree(database: Database, store: Objects) -> None:
    """Touch only a copy whose newest root is the one that the database noted.

    Raises:
        CopyFailedError: it is another one: a copy is under way or was cut off, or the database was restored.
    """
    newest, row = newest_generation(store), copy_held(database, store)
    head = CopiedTree(store).head() if newest else None
    if row is None or head is None or (row.generation, row.root_digest) != (newest, head.record.digest):
        raise CopyFailedError("the database does not know this copy as it is: copy the tree first", after=5)


def _garbage(database: Database, store: Objects, names: Sequence[str]) -> list[str]:
    """Say which of some names, listed before, nothing needs now."""
    nodes = {bytes.fromhex(match[2]): name for name in names if (match := _NODE.fullmatch(name))}
    with database.read() as connection:
        held = connection.execute(select(COPIES.c.generation).where(COPIES.c.store == store.name)).scalar_one()
        needed = _needed(connection, nodes, held)
    roots = [name for name in names if name.startswith("roots/") and name < root_name(held)]
    return [*(name for digest, name in nodes.items() if digest not in needed), *roots]


def _needed(connection: Connection, digests: Collection[bytes], held: int) -> set[bytes]:
    """Return those that are live, or that a copy of generation `held` still needs though they died since."""
    found: set[bytes] = set()
    for chunk in chunks(digests):
        dead = TREE_DEAD.c.digest.in_(chunk) & (TREE_DEAD.c.died > held)
        found.update(connection.execute(select(TREE_NODES.c.digest).where(TREE_NODES.c.digest.in_(chunk))).scalars())
        found.update(connection.execute(select(TREE_DEAD.c.digest).where(dead)).scalars())
    return found


def _staged(store: Objects) -> list[str]:
    """Return what killed writers left half-written in a folder, once they are surely gone."""
    if store.folder is None:
        return []
    old = time.time() - LONGEST_COPY.total_seconds()
    return [name for name in store.unfinished() if _changed(store.folder / name, old) < old]


def _changed(path: Path, gone: float) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return gone


def collect_nodes(tenant: str, database: Database, wrapper: RootWrapper, *, apply: bool) -> Collected:
    """Find the nodes in the database that the current root does not need, and delete them if asked to.

    Commits are transactions, so there should be none; what a program of another version left would be found.

    Raises:
        NodeTamperedError: the tree lacks a node or holds a damaged one: then nothing can be called garbage.
        KeysUnavailableError, StorageUnavailableError: try again.
    """
    with database.read() as connection:  # one moment: what the root does not need now, no root will need
        listed: int = connection.execute(select(func.count()).select_from(TREE_NODES)).scalar_one()
        needed = _reachable(tenant, connection, wrapper)
        query = select(TREE_NODES.c.digest).execution_options(yield_per=1000)
        with closing(connection.execute(query)) as rows:
            garbage = [] if len(needed) == listed else [row.digest for row in rows if row.digest not in needed]
    if apply and garbage:
        with database.write() as connection:
            for chunk in chunks(garbage):
                connection.execute(delete(TREE_NODES).where(TREE_NODES.c.digest.in_(chunk)))
    return Collected("database", listed, len(garbage), len(garbage) if apply else 0)


def _reachable(tenant: str, connection: Connection, wrapper: RootWrapper) -> set[bytes]:
    """Return the digests of every node that the root needs, its own included."""

    def load(digests: Collection[bytes]) -> Iterator[tuple[bytes, bytes | None]]:
        query = select(TREE_NODES.c.digest, TREE_NODES.c.sealed)
        for chunk in chunks(digests):
            rows = connection.execute(query.where(TREE_NODES.c.digest.in_(chunk)))
            found = {row.digest: row.sealed for row in rows}
            yield from ((digest, found.get(digest)) for digest in chunk)

    record = root_record(connection)
    if record is None:
        return set()
    ((_, sealed),) = load([record.digest])
    if sealed is None:
        raise NodeTamperedError("the root node is not in the database")
    needed = {record.digest}
    for node in survey(tenant, opened_root(tenant, Head(record, sealed), wrapper), load):
        if node.health is not Health.SOUND:
            raise NodeTamperedError(f"node {node.digest.hex()[:16]} is {node.health.lower()} in the database")
        needed.add(node.digest)
    return needed
