"""Is a copy of the tree whole? Asked of the copy itself, with the keys or without them; nothing is changed.

With the keys, every node that the copy's root needs must open at its place. Without them, every node of the database
that the copy must hold is there and is the one that was written. It must not repair anything.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import select

from imagint_privacy.keys import seals
from imagint_privacy.keys.ports import Head, RootWrapper
from imagint_privacy.keys.sources import open_root
from imagint_privacy.records.copying import CopiedTree, copy_held, node_name
from imagint_privacy.records.database import Database
from imagint_privacy.records.fetching import fetch
from imagint_privacy.records.objects import Objects
from imagint_privacy.records.schema import COPIES, TREE_NODES
from imagint_privacy.records.surveying import Health, Load, survey

_PAGE: Final = 500
Progress = Callable[[int], None]
"""Hears how many nodes have been looked at."""


@dataclass(frozen=True, slots=True)
class CopyVerified:
    """What was found in one copy."""

    store: str
    generation: int
    nodes: int
    missing: int
    damaged: int
    subjects: int | None = None

    @property
    def whole(self) -> bool:
        """Whether everything is there and sound."""
        return bool(self.generation) and not self.missing and not self.damaged


def _silent(_nodes: int) -> None:
    """Nobody listens."""


def verify_opening(tenant: str, store: Objects, wrapper: RootWrapper, progress: Progress = _silent) -> CopyVerified:
    """Open every node that the copy's newest root needs; needs Vault, but neither database nor library.

    Raises:
        KeyDestroyedError: the copy is older than the last forgetting.
        NodeTamperedError: the copy's root itself cannot be read.
        ForeignTreeError: the copy is another tenant's.
        KeysUnavailableError, StorageUnavailableError: try again.
    """
    head = CopiedTree(store).head()
    if head is None:
        return CopyVerified(store.name, 0, 0, 0, 0)
    counts = {Health.SOUND: 1, Health.MISSING: 0, Health.DAMAGED: 0}
    subjects = 0
    for found in survey(tenant, opened_root(tenant, head, wrapper), loader(store)):
        counts[found.health] += 1
        subjects += found.subjects
        progress(sum(counts.values()))
    generation = head.record.generation
    return CopyVerified(store.name, generation, sum(counts.values()), *_bad(counts), subjects)


def _bad(counts: dict[Health, int]) -> tuple[int, int]:
    return counts[Health.MISSING], counts[Health.DAMAGED]


def opened_root(tenant: str, head: Head, wrapper: RootWrapper) -> bytearray:
    """Return the opened root node of a tree.

    Raises:
        KeyDestroyedError, ForeignTreeError, NodeTamperedError, KeysUnavailableError: it does not open.
    """
    key = seals.open_root_envelope(tenant, wrapper.decrypt(head.record.wrapped))
    try:
        return open_root(tenant, head, key)
    finally:
        seals.wipe(key)


def loader(*stores: Objects) -> Load:
    """Return what reads nodes from a copy, some at once; what one lacks or has damaged is looked for in the next."""

    def load(digests: Collection[bytes]) -> Iterator[tuple[bytes, bytes | None]]:
        names = {node_name(digest): digest for digest in digests}
        for name, sealed in fetch(stores[0], names):
            yield names[name], _or_elsewhere(names[name], sealed, stores[1:])

    return load


def _or_elsewhere(digest: bytes, sealed: bytes | None, others: Sequence[Objects]) -> bytes | None:
    for other in others:
        if sealed is not None and seals.digest_of(sealed) == digest:
            break
        sealed = other.get(node_name(digest)) or sealed
    return sealed


def verify_held(database: Database, store: Objects, progress: Progress = _silent) -> CopyVerified:
    """Read every node of the database back that the copy must hold; needs no key.

    Raises:
        StorageUnavailableError: the copy or the database does not answer.
    """
    row = copy_held(database, store)
    held = row.generation if row is not None else 0
    nodes = 0
    bad: list[tuple[bytes, bool]] = []
    for digests in _pages(database, held):
        for digest, sealed in loader(store)(digests):
            nodes += 1
            if sealed is None or seals.digest_of(sealed) != digest:
                bad.append((digest, sealed is None))
        progress(nodes)
        bad[-len(digests) :] = _still_needed(database, store, bad[-len(digests) :])
    missing = sum(absent for _, absent in bad)
    return CopyVerified(store.name, held, nodes, missing, len(bad) - missing)


def _pages(database: Database, generation: int) -> Iterator[Sequence[bytes]]:
    """Give the digests of nodes that a copy of a generation holds, some at a time, each page at one moment."""
    last, digest = b"", TREE_NODES.c.digest
    while True:
        query = select(digest).where(TREE_NODES.c.born <= generation, digest > last).order_by(digest).limit(_PAGE)
        with database.read() as connection:
            page = connection.execute(query).scalars().all()
        if not page:
            return
        last = page[-1]
        yield page


def _still_needed(database: Database, store: Objects, bad: list[tuple[bytes, bool]]) -> list[tuple[bytes, bool]]:
    """Leave out what died meanwhile: a copy that was brought on loses it rightly."""
    if not bad:
        return []
    live = select(TREE_NODES.c.digest).where(TREE_NODES.c.digest.in_([digest for digest, _ in bad]))
    with database.read() as connection:
        needed = set(connection.execute(live).scalars())
        held = connection.execute(select(COPIES.c.generation).where(COPIES.c.store == store.name)).scalar_one_or_none()
    return [(digest, absent) for digest, absent in bad if digest in needed and held]
