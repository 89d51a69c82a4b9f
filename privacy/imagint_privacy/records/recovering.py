"""A tenant whose database is lost or old, brought back from the copies of its key tree.

What comes back is the newest tree that the copies hold: the keys of everybody who was not forgotten. The data is not
in it; a backup's is read through it afterwards (`reinstating`). A database that holds this tree, or a newer one, is
refused. It must not write to a copy.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Final

from sqlalchemy import Connection, delete, func, insert, inspect, select
from sqlalchemy.exc import IntegrityError

from imagint_privacy.errors import (
    BackupRefusedError,
    ForeignTreeError,
    GenerationConflictError,
    KeyDestroyedError,
    NodeTamperedError,
)
from imagint_privacy.keys.ports import Head, RootRecord, RootWrapper
from imagint_privacy.records import guarding, migrating
from imagint_privacy.records.copying import CopiedTree, newest_generation
from imagint_privacy.records.database import Database
from imagint_privacy.records.objects import Objects
from imagint_privacy.records.schema import COPIES, COPY_ATTEMPTS, LIBRARY, TREE_DEAD, TREE_NODES, TREE_ROOT
from imagint_privacy.records.surveying import Health, Surveyed, survey
from imagint_privacy.records.verifying import Progress, loader, opened_root

_BATCH: Final = 500


@dataclass(frozen=True, slots=True)
class Recovered:
    """The tree that came back, or would."""

    store: str
    generation: int
    key_version: int
    nodes: int
    subjects: int
    replaced: int
    applied: bool


@dataclass(frozen=True, slots=True)
class Lost:
    """A tenant to bring back: its database, and the copies of its tree."""

    tenant: str
    database: Database
    copies: Sequence[Objects]


def recover_tree(
    lost: Lost, wrapper: RootWrapper, now: datetime, *, apply: bool, progress: Progress = lambda _: None
) -> Recovered:
    """Check that the newest tree of the copies opens whole, and bring it into the database if asked to.

    Raises:
        BackupRefusedError: no copy holds a tree, or the database holds this one or a newer one.
        ForeignTreeError: the database or the copy is another tenant's.
        KeyDestroyedError, KeyBehindError: the copies, or Vault, are old.
        NodeTamperedError: the copies together lack a node, or have a damaged one.
        KeysUnavailableError, StorageUnavailableError: try again; nothing was changed.
    """
    sources, head = _newest(lost.copies)
    held = held_generation(lost.tenant, lost.database)
    record = head.record
    if held >= record.generation:
        raise BackupRefusedError(
            f"the database holds this tenant's tree of generation {held}, and the copies only {record.generation}: "
            "there is nothing to bring back"
        )
    if apply:
        migrating.prepare(lost.database, lost.tenant, now)
        try:
            nodes, subjects = _bring(lost, _surveyed(lost, sources, head, wrapper), head, held, progress)
            with lost.database.write() as connection:
                values = {"attempted": record.generation, "generation": record.generation, "verified_at": now}
                connection.execute(insert(COPIES).values(store=sources[0].name, root_digest=record.digest, **values))
        except IntegrityError:
            raise GenerationConflictError("somebody else changes the database at the same time") from None
    else:
        nodes = subjects = 0
        for nodes, found in enumerate(_surveyed(lost, sources, head, wrapper), 1):
            subjects += found.subjects
            progress(nodes)
    return Recovered(sources[0].name, record.generation, record.key_version, nodes + 1, subjects, held, apply)


def _newest(copies: Sequence[Objects]) -> tuple[list[Objects], Head]:
    """Return the copy with the newest root first, then the others, and that root.

    Raises:
        BackupRefusedError: none holds a tree.
        NodeTamperedError: the newest root is damaged wherever it is.
    """
    newest = max((newest_generation(copy) for copy in copies), default=0)
    if not newest:
        raise BackupRefusedError("no copy of the key tree is there")
    for copy in copies:
        with suppress(NodeTamperedError):  # another copy may have what this one lacks
            head = CopiedTree(copy).head()
            if head is not None and head.record.generation == newest:
                return [copy, *(other for other in copies if other is not copy)], head
    raise NodeTamperedError(f"the newest root, of generation {newest}, cannot be read from any copy")


def held_generation(tenant: str, database: Database) -> int:
    """Return the generation that the database holds, 0 if it holds none; changes nothing.

    Raises:
        ForeignTreeError: it is another tenant's.
    """
    if database.file is not None and not database.file.exists():
        return 0
    with database.read() as connection:
        if not inspect(connection).has_table(TREE_ROOT.name):
            return 0
        owner = connection.execute(select(LIBRARY.c.tenant)).scalar_one_or_none()
        if owner not in {None, tenant}:
            raise ForeignTreeError(f"the database is not of tenant {tenant}")
        return connection.execute(select(TREE_ROOT.c.generation)).scalar_one_or_none() or 0


def _surveyed(lost: Lost, sources: Sequence[Objects], head: Head, wrapper: RootWrapper) -> Iterator[Surveyed]:
    """Give every node below the root, each of them sound.

    Raises:
        NodeTamperedError: one is missing or damaged in every copy.
        KeyDestroyedError, KeyBehindError: the root does not open.
    """
    try:
        root = opened_root(lost.tenant, head, wrapper)
    except KeyDestroyedError:
        raise guarding.explained(wrapper, head.record.key_version) from None
    for node in survey(lost.tenant, root, loader(*sources)):
        if node.health is not Health.SOUND:
            raise NodeTamperedError(f"node {node.digest.hex()[:16]} is {node.health.lower()} in every copy")
        yield node


def _bring(lost: Lost, nodes: Iterator[Surveyed], head: Head, held: int, progress: Progress) -> tuple[int, int]:
    """Replace the tree in one transaction.

    Raises:
        GenerationConflictError: somebody else changed the database meanwhile; nothing was changed.
    """
    count = subjects = 0
    with lost.database.write() as connection:
        if (connection.execute(select(func.max(TREE_ROOT.c.generation))).scalar_one() or 0) != held:
            raise GenerationConflictError("somebody else changed the database meanwhile")
        for table in (TREE_NODES, TREE_DEAD, TREE_ROOT, COPIES, COPY_ATTEMPTS):
            connection.execute(delete(table))
        _put_root(connection, head)
        while batch := list(islice(nodes, _BATCH)):
            born = head.record.generation
            rows = [{"digest": node.digest, "sealed": node.sealed, "born": born} for node in batch]
            connection.execute(insert(TREE_NODES), rows)
            count, subjects = count + len(batch), subjects + sum(node.subjects for node in batch)
            progress(count)
    return count, subjects


def _put_root(connection: Connection, head: Head) -> None:
    record: RootRecord = head.record
    node = {"digest": record.digest, "sealed": head.sealed, "born": record.generation}
    connection.execute(insert(TREE_NODES).values(node))
    connection.execute(insert(TREE_ROOT).values(id=1, **{name: getattr(record, name) for name in RootRecord.__slots__}))
