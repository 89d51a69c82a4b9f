"""Reading the tree: find one key, list a subject's paths, list subjects in the order of their hashes.

Pure over a `NodeSource`. It must not change a node.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Protocol

from imagint_privacy.keys import branches, leaves
from imagint_privacy.keys.branches import Ref
from imagint_privacy.keys.leaves import Leaf
from imagint_privacy.keys.paths import KeyPath, period_text, subject_bytes, subject_text
from imagint_privacy.keys.places import Place, position

_AT_ONCE: Final = 16
"""How many nodes of one branch a long walk reads at once."""


class NodeSource(Protocol):
    """Gives the opened bytes of nodes."""

    def load(self, wanted: Sequence[tuple[Ref, Place]]) -> Mapping[bytes, bytearray]:
        """Return the plain bytes of every wanted node by digest.

        Raises:
            NodeTamperedError: a node does not open at its place.
            NodeGoneError: a node is not there (the caller's root is older than the store).
        """
        ...


def leaf_of(source: NodeSource, root: bytearray, subject: bytes) -> bytearray | None:
    """Return the leaf in whose run a subject falls, or None where the run is empty."""
    slots = position(subject)
    raw, prefix = root, b""
    while True:
        found = branches.child_of(raw, slots[len(prefix)])
        if found is None:
            return None
        start, bits, ref = found
        raw = source.load([(ref, Place(prefix, start, bits))])[ref.digest]
        if not branches.is_branch(raw):
            return raw
        prefix += bytes((start,))


def find(source: NodeSource, root: bytearray, path: KeyPath) -> bytearray | None:
    """Return the data key of a path, or None."""
    raw = subject_bytes(path.subject)
    leaf = leaf_of(source, root, raw)
    if leaf is None:
        return None
    pieces = leaves.pieces_of(leaf, raw)
    return next((key for category, period, key in pieces if (category, period) == (path.category, path.period)), None)


def paths_of(source: NodeSource, root: bytearray, subject: str) -> tuple[KeyPath, ...]:
    """Return every path of a subject, in order."""
    raw = subject_bytes(subject)
    leaf = leaf_of(source, root, raw)
    if leaf is None:
        return ()
    return tuple(sorted(KeyPath(subject, category, period) for category, period, _ in leaves.pieces_of(leaf, raw)))


def subjects_from(source: NodeSource, raw: bytearray, prefix: bytes, start: bytes) -> Iterator[str]:
    """Give the subjects below a branch, from about the hash `start` on."""
    first = start[0] if start else 0
    for slot, bits, ref in branches.decode(raw):
        if slot + (1 << bits) <= first:
            continue
        child = source.load([(ref, Place(prefix, slot, bits))])[ref.digest]
        if branches.is_branch(child):
            yield from subjects_from(source, child, prefix + bytes((slot,)), start[1:] if slot == first else b"")
        else:
            yield from leaves.subject_texts(child)


def paths_from(
    source: NodeSource, raw: bytearray, prefix: bytes, after: bytes
) -> Iterator[tuple[bytes, tuple[KeyPath, ...]]]:
    """Give the paths of every subject whose hash is greater than `after`, in the order of the hashes, with the hash."""
    first = after[len(prefix)] if after and after.startswith(prefix) else 0
    places = [
        (Place(prefix, slot, bits), ref) for slot, bits, ref in branches.decode(raw) if slot + (1 << bits) > first
    ]
    for at in range(0, len(places), _AT_ONCE):
        some = places[at : at + _AT_ONCE]
        opened = source.load([(ref, place) for place, ref in some])
        for place, ref in some:
            child = opened[ref.digest]
            if branches.is_branch(child):
                below = place.below()
                yield from paths_from(source, child, below, after if after.startswith(below) else b"")
            else:
                yield from _paths_in(leaves.decode(child), after)


def _paths_in(leaf: Leaf, after: bytes) -> Iterator[tuple[bytes, tuple[KeyPath, ...]]]:
    subjects = {position(raw): raw for raw in leaf.subjects}
    for place in sorted(place for place in subjects if place > after):
        text, pieces = subject_text(subjects[place]), leaves.pieces(leaf.subjects[subjects[place]])
        paths = (KeyPath(text, leaf.categories[piece[0]], period_text(piece[1:3])) for piece in pieces)
        yield place, tuple(sorted(paths))
