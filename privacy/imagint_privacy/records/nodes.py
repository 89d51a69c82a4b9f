"""The key tree's nodes and root in the tenant's database: every commit is one transaction with compare-and-swap.

Nodes that fall away are deleted in that same transaction; the digests of those that a tree copy may hold are kept
in `tree_dead` until the copies have lost them too. It must not open a node.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from itertools import islice
from typing import Final

from sqlalchemy import Connection, delete, func, insert, literal, select, update
from sqlalchemy.exc import IntegrityError

from imagint_privacy.errors import GenerationConflictError, NodeTamperedError
from imagint_privacy.keys.ports import Alongside, Head, RootRecord, TreeChange
from imagint_privacy.records.database import Database
from imagint_privacy.records.schema import COPIES, COPY_ATTEMPTS, TREE_DEAD, TREE_NODES, TREE_ROOT

_CHUNK: Final = 2000
_ROOT_ID: Final = 1


class SqlTreeStore:
    """A `TreeStore` whose transactions are the database's, so that the caller's rows commit with the tree."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def head(self) -> Head | None:
        """Return the current root and its node at one moment.

        Raises:
            NodeTamperedError: the root's node is not there.
            StorageUnavailableError: the database does not answer.
        """
        with self._database.read() as connection:
            record = root_record(connection)
            if record is None:
                return None
            query = select(TREE_NODES.c.sealed).where(TREE_NODES.c.digest == record.digest)
            sealed = connection.execute(query).scalar_one_or_none()
        if sealed is None:
            raise NodeTamperedError(f"the root node of generation {record.generation} is not in the database")
        return Head(record, sealed)

    def generation(self) -> int:
        """Return the current generation, 0 before the tree exists.

        Raises:
            StorageUnavailableError: the database does not answer.
        """
        with self._database.read() as connection:
            return connection.execute(select(TREE_ROOT.c.generation)).scalar_one_or_none() or 0

    def nodes(self, digests: Collection[bytes]) -> Mapping[bytes, bytes]:
        """Return the sealed nodes that are there.

        Raises:
            StorageUnavailableError: the database does not answer.
        """
        found: dict[bytes, bytes] = {}
        with self._database.read() as connection:
            for chunk in chunks(digests):
                query = select(TREE_NODES.c.digest, TREE_NODES.c.sealed).where(TREE_NODES.c.digest.in_(chunk))
                found.update(map(tuple, connection.execute(query)))
        return found

    def commit(self, change: TreeChange, alongside: Alongside[Connection] | None = None) -> None:
        """Make a change in one transaction, if the generation is still the expected one.

        Raises:
            GenerationConflictError: another writer was first; nothing was changed.
            StorageUnavailableError: the database does not answer; nothing was changed.
        """
        with self._database.write() as connection:
            _swap_root(connection, change)
            if alongside is not None:
                alongside(connection, change)
            born = change.root.generation
            _bury(connection, change.dead, born)
            rows = [{"digest": digest, "sealed": sealed, "born": born} for digest, sealed in change.fresh.items()]
            connection.execute(insert(TREE_NODES), rows)


def _swap_root(connection: Connection, change: TreeChange) -> None:
    """Compare and swap.

    Raises:
        GenerationConflictError: the generation is another one.
    """
    root = change.root
    values = {
        "generation": root.generation,
        "key_version": root.key_version,
        "wrapped": root.wrapped,
        "digest": root.digest,
        "key_since": root.key_since,
    }
    if change.expected:
        where = (TREE_ROOT.c.id == _ROOT_ID, TREE_ROOT.c.generation == change.expected)
        if connection.execute(update(TREE_ROOT).where(*where).values(values)).rowcount == 1:
            return
    else:
        try:
            connection.execute(insert(TREE_ROOT).values(id=_ROOT_ID, **values))
        except IntegrityError:
            pass
        else:
            return
    raise GenerationConflictError(f"the tree is no longer at generation {change.expected}", after=0.05)


def _bury(connection: Connection, dead: Collection[bytes], died: int) -> None:
    """Delete nodes, remembering those that a copy may hold."""
    # In this order: a copy that ends in between has raised what it attempted before its note is gone.
    under_way = connection.execute(select(COPY_ATTEMPTS.c.id).limit(1)).first() is not None
    copied = died if under_way else connection.execute(select(func.max(COPIES.c.attempted))).scalar_one_or_none()
    for chunk in chunks(dead):
        here = TREE_NODES.c.digest.in_(chunk)
        if copied is not None:
            known = select(TREE_NODES.c.digest, literal(died)).where(here, TREE_NODES.c.born <= copied)
            connection.execute(insert(TREE_DEAD).from_select(["digest", "died"], known))
        connection.execute(delete(TREE_NODES).where(here))


def root_record(connection: Connection) -> RootRecord | None:
    """Return the current root's public face as a transaction sees it."""
    row = connection.execute(select(TREE_ROOT)).one_or_none()
    if row is None:
        return None
    return RootRecord(row.generation, row.key_version, row.wrapped, row.digest, row.key_since)


def chunks(items: Collection[bytes]) -> Iterator[list[bytes]]:
    """Cut a collection into lists short enough for one statement."""
    remaining = iter(items)
    while chunk := list(islice(remaining, _CHUNK)):
        yield chunk
