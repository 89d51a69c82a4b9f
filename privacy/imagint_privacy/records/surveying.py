"""A walk over a whole key tree: every node that the root needs, opened at its place, in bounded memory.

It reads a tree wherever it lies: in a database or in a copy. It must not keep a key, nor change anything.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from imagint_privacy.errors import NodeTamperedError
from imagint_privacy.keys import branches, leaves, seals
from imagint_privacy.keys.branches import Ref
from imagint_privacy.keys.places import Place, associated_data

Load = Callable[[Collection[bytes]], Iterable[tuple[bytes, bytes | None]]]
"""Gives the sealed bytes of nodes by digest, None where one is not there."""


class Health(StrEnum):
    """How a node was found."""

    SOUND = "Sound"
    MISSING = "Missing"
    DAMAGED = "Damaged"


@dataclass(frozen=True, slots=True)
class Surveyed:
    """One node that the root needs."""

    digest: bytes
    sealed: bytes
    health: Health
    subjects: int = 0


def survey(tenant: str, root: bytearray, load: Load) -> Iterator[Surveyed]:
    """Give every node below an opened root; what lies below a missing or damaged one cannot be known.

    Raises:
        NodeTamperedError: the root is no branch.
        StorageUnavailableError: the store does not answer.
    """
    pending = [(b"", root)]
    while pending:
        prefix, raw = pending.pop()
        refs = {ref.digest: (ref, Place(prefix, slot, bits)) for slot, bits, ref in branches.decode(raw)}
        for digest, sealed in load(refs):
            ref, place = refs[digest]
            if sealed is None:
                yield Surveyed(digest, b"", Health.MISSING)
                continue
            try:
                plain, subjects = _opened(tenant, ref, place, sealed)
            except NodeTamperedError:
                yield Surveyed(digest, sealed, Health.DAMAGED)
                continue
            if branches.is_branch(plain):
                pending.append((place.below(), plain))
            else:
                seals.wipe(plain)
            yield Surveyed(digest, sealed, Health.SOUND, subjects)
        seals.wipe(raw)


def _opened(tenant: str, ref: Ref, place: Place, sealed: bytes) -> tuple[bytearray, int]:
    """Open a node and count the subjects in it, if it is a leaf.

    Raises:
        NodeTamperedError: it is not the node that its parent names.
    """
    if seals.digest_of(sealed) != ref.digest:
        raise NodeTamperedError(f"node {ref.digest.hex()[:16]} is not the one its parent names")
    plain = seals.open_node(ref.key, sealed, associated_data(tenant, place))
    if branches.is_branch(plain):
        branches.decode(plain)
        return plain, 0
    return plain, len(leaves.subject_texts(plain))
