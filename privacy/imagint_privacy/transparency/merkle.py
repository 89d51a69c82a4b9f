"""The Merkle tree of RFC 9162 section 2.1: roots, proofs of inclusion and of consistency, and their checks.

A tree is read through `Read`: the hash of the complete subtree at (level, index), which covers the leaves
[index * 2**level, (index + 1) * 2**level). Only complete subtrees are ever asked for, so they may be cached for good.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from imagint_privacy.transparency.errors import ProofRefusedError

Read = Callable[[int, int], bytes]
HASH_BYTES: Final = 32
EMPTY_ROOT: Final = hashlib.sha256(b"").digest()
MAX_SIZE: Final = 2**63 - 1


def leaf_hash(entry: bytes) -> bytes:
    """The hash of an entry."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of two subtrees side by side."""
    return hashlib.sha256(b"\x01" + left + right).digest()


@dataclass(frozen=True, slots=True)
class Frontier:
    """The complete subtrees that a tree of `size` leaves consists of, the largest first: all that appending needs."""

    size: int = 0
    peaks: tuple[bytes, ...] = ()

    def root(self) -> bytes:
        """The Merkle tree hash."""
        return _folded(self.peaks) if self.peaks else EMPTY_ROOT

    def extended(self, leaves: Iterable[bytes], made: Callable[[int, int, bytes], None] | None = None) -> Frontier:
        """The frontier with more leaf hashes; `made` is told of every complete subtree (level, index, hash)."""
        size, peaks = self.size, list(self.peaks)
        for leaf in leaves:
            level, index, found = 0, size, leaf
            if made is not None:
                made(0, index, found)
            while index & 1:
                found = node_hash(peaks.pop(), found)
                level, index = level + 1, index >> 1
                if made is not None:
                    made(level, index, found)
            peaks.append(found)
            size += 1
        return Frontier(size, tuple(peaks))


def frontier(size: int, read: Read) -> Frontier:
    """The frontier of a tree that is there already."""
    return Frontier(size, tuple(read(level, index) for level, index in _complete(0, size)))


def root(size: int, read: Read) -> bytes:
    """The Merkle tree hash of the first `size` leaves."""
    return frontier(size, read).root()


def inclusion_path(index: int, size: int, read: Read) -> tuple[bytes, ...]:
    """The proof that leaf `index` is in the tree of `size` leaves: RFC 9162 section 2.1.3.1, leaf's sibling first.

    Raises:
        ValueError: there is no such leaf.
    """
    if not 0 <= index < size:
        raise ValueError("the leaf is not in the tree")
    return tuple(_range_hash(begin, end, read) for begin, end in _siblings(index, 0, size))


def consistency_path(old: int, new: int, read: Read) -> tuple[bytes, ...]:
    """The proof that the tree of `new` leaves begins with that of `old`: RFC 9162 section 2.1.4.1.

    Raises:
        ValueError: the sizes are not those of a tree and an older one that is not empty.
    """
    if not 0 < old <= new:
        raise ValueError("only a tree that is not empty, and no larger, can be shown to be the beginning")
    if old == new:
        return ()
    return tuple(_range_hash(begin, end, read) for begin, end in _subproof(old, 0, new, whole=True))


def check_inclusion(index: int, size: int, leaf: bytes, path: Sequence[bytes], wanted: bytes) -> None:
    """Return when the path leads from the leaf to the root: RFC 9162 section 2.1.3.2.

    Raises:
        ProofRefusedError: it does not.
    """
    if not 0 <= index < size <= MAX_SIZE:
        raise ProofRefusedError("the proof is of an entry outside the tree")
    position, last, found = index, size - 1, leaf
    for step in path:
        if last == 0:
            raise ProofRefusedError("the proof of inclusion is too long")
        if position & 1 or position == last:
            found = node_hash(step, found)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            found = node_hash(found, step)
        position, last = position >> 1, last >> 1
    if last != 0 or found != wanted:
        raise ProofRefusedError("the proof of inclusion does not lead to the root of the tree")


def check_consistency(old: int, old_root: bytes, new: int, new_root: bytes, path: Sequence[bytes]) -> None:
    """Return when the path shows that the new tree begins with the old one: RFC 9162 section 2.1.4.2.

    An empty tree is the beginning of every tree, and needs no path.

    Raises:
        ProofRefusedError: it does not show that.
    """
    if not 0 <= old <= new <= MAX_SIZE:
        raise ProofRefusedError("the log shrank")
    if old in {0, new}:
        same = old_root == (EMPTY_ROOT if old == 0 else new_root)
        if path or not same or (new == 0 and new_root != EMPTY_ROOT):
            raise ProofRefusedError("two trees of the same size differ, or a proof is given where none belongs")
        return
    first, second = _climbed(old, new, [old_root, *path] if old & (old - 1) == 0 else path)
    if (first, second) != (old_root, new_root):
        raise ProofRefusedError("the log was rewritten: its tree does not begin with the older one")


def _climbed(old: int, new: int, steps: Sequence[bytes]) -> tuple[bytes, bytes]:
    """The old root and the new one, as a path of consistency has them."""
    if not steps:
        raise ProofRefusedError("the proof of consistency is too short")
    position, last = old - 1, new - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    first = second = steps[0]
    for step in steps[1:]:
        if last == 0:
            raise ProofRefusedError("the proof of consistency is too long")
        if position & 1 or position == last:
            first, second = node_hash(step, first), node_hash(step, second)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            second = node_hash(second, step)
        position, last = position >> 1, last >> 1
    if last != 0:
        raise ProofRefusedError("the proof of consistency is too short")
    return first, second


def _split(size: int) -> int:
    """The largest power of two that is smaller than a size above one."""
    return 1 << ((size - 1).bit_length() - 1)


def _siblings(index: int, begin: int, end: int) -> Iterator[tuple[int, int]]:
    turns = []
    while end - begin > 1:
        middle = begin + _split(end - begin)
        if index < middle:
            turns.append((middle, end))
            end = middle
        else:
            turns.append((begin, middle))
            begin = middle
    return reversed(turns)


def _subproof(old: int, begin: int, end: int, *, whole: bool) -> Iterator[tuple[int, int]]:
    turns: list[tuple[int, int]] = []
    while old != end - begin:
        middle = begin + _split(end - begin)
        if old <= middle - begin:
            turns.append((middle, end))
            end = middle
        else:
            turns.append((begin, middle))
            old, begin, whole = old - (middle - begin), middle, False
    if not whole:
        turns.append((begin, end))
    return reversed(turns)


def _complete(begin: int, end: int) -> Iterator[tuple[int, int]]:
    """The complete subtrees that cover a range which begins where a subtree of its size may: the largest first."""
    while begin < end:
        level = (end - begin).bit_length() - 1
        yield level, begin >> level
        begin += 1 << level


def _range_hash(begin: int, end: int, read: Read) -> bytes:
    return _folded([read(level, index) for level, index in _complete(begin, end)])


def _folded(peaks: Sequence[bytes]) -> bytes:
    found = peaks[-1]
    for peak in reversed(peaks[:-1]):
        found = node_hash(peak, found)
    return found
