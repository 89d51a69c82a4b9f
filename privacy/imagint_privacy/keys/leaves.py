"""A leaf: the data keys of the subjects in one run of slots, and its bytes.

Pure. Layout (version 1, big endian):

    u8 version = 1, u8 kind = 0
    u8 categories, then for each: u8 length, ASCII name
    u16 subjects, then 17 bytes for each, ascending
    u16 for each subject: how many paths it and those before it have
    35 bytes for each path: u8 category, u16 period (months since year 0; 0 = always), 32-byte data key;
    ascending by category and period within a subject

A look-up searches the sorted subjects in place, without decoding the leaf.
"""

from __future__ import annotations

import struct
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from imagint_privacy.errors import NodeTamperedError, TreeLimitError
from imagint_privacy.keys.paths import SUBJECT_BYTES, KeyPath, Prefix, period_bytes, period_text, subject_text

VERSION: Final = 1
KIND: Final = 0
KEY_BYTES: Final = 32
PATH_BYTES: Final = 3 + KEY_BYTES
_U16: Final = struct.Struct(">H")
_MOST: Final = 65535


@dataclass(slots=True)
class Leaf:
    """The decoded leaf: category names, and for each subject its paths, 35 sorted bytes each, in one run.

    A run is taken apart only when its subject is edited: most of a leaf is carried over as it is.
    """

    categories: list[str] = field(default_factory=list)
    subjects: dict[bytes, bytes] = field(default_factory=dict)

    def size(self) -> int:
        """Return how many bytes `encode` would write."""
        names = sum(1 + len(name) for name in self.categories)
        return 5 + names + len(self.subjects) * (SUBJECT_BYTES + 2) + sum(map(len, self.subjects.values()))

    def category_index(self, name: str) -> int:
        """Return the number of a category, giving it one if it is new here.

        Raises:
            TreeLimitError: there are more categories than a byte can count.
        """
        if name not in self.categories:
            if len(self.categories) == 255:
                raise TreeLimitError("a leaf holds at most 255 categories")
            self.categories.append(name)
        return self.categories.index(name)

    def ensure(
        self, subject: bytes, paths: Iterable[KeyPath], make: Callable[[], bytes]
    ) -> Iterator[tuple[KeyPath, bytes, bool]]:
        """Give the data key of each path of one subject and whether it was made now; all are in the leaf at the end."""
        present = pieces(self.subjects.get(subject, b""))
        grown = False
        for path in paths:
            head = bytes((self.category_index(path.category),)) + period_bytes(path.period)
            at = bisect_left(present, head)
            if at < len(present) and present[at].startswith(head):
                yield path, present[at][3:], False
                continue
            key = make()
            present.insert(at, head + key)
            grown = True
            yield path, key, True
        if grown:
            self.subjects[subject] = b"".join(present)

    def drop(self, subject: bytes, prefix: Prefix) -> list[KeyPath]:
        """Take every path under the prefix away and return them."""
        run, head = self.subjects.get(subject), self._head(prefix)
        if run is None or head is None:
            return []
        kept: list[bytes] = []
        gone: list[KeyPath] = []
        for piece in pieces(run):
            if piece.startswith(head):
                gone.append(KeyPath(prefix.subject, self.categories[piece[0]], period_text(piece[1:3])))
            else:
                kept.append(piece)
        if kept:
            self.subjects[subject] = b"".join(kept)
        else:
            del self.subjects[subject]
        return gone

    def _head(self, prefix: Prefix) -> bytes | None:
        """Return the bytes every path under the prefix starts with; None when no path here can be under it."""
        if prefix.category is None:
            return b""
        if prefix.category not in self.categories:
            return None
        index = bytes((self.categories.index(prefix.category),))
        return index if prefix.period is None else index + period_bytes(prefix.period)


def pieces(run: bytes) -> list[bytes]:
    """Take the paths of one subject apart: u8 category, u16 period, 32-byte key each."""
    return [run[at : at + PATH_BYTES] for at in range(0, len(run), PATH_BYTES)]


def encode(leaf: Leaf) -> bytes:
    """Write a leaf.

    Raises:
        TreeLimitError: it holds more subjects or paths than two bytes can count.
    """
    ids = sorted(leaf.subjects)
    ends, total = [], 0
    for raw in ids:
        total += len(leaf.subjects[raw]) // PATH_BYTES
        ends.append(total)
    if max(total, len(ids)) > _MOST:
        raise TreeLimitError("a leaf holds at most 65535 paths")
    parts = [bytes((VERSION, KIND, len(leaf.categories)))]
    parts += [bytes((len(name),)) + name.encode("ascii") for name in leaf.categories]
    parts += [_U16.pack(len(ids)), *ids, struct.pack(f">{len(ends)}H", *ends)]
    return b"".join((*parts, *(leaf.subjects[raw] for raw in ids)))


@dataclass(frozen=True, slots=True)
class _Shape:
    """Where the sections of an encoded leaf begin."""

    categories: list[str]
    ids: int
    ends: tuple[int, ...]
    paths: int


def _shape(raw: bytes | bytearray) -> _Shape:
    """Find the sections of an encoded leaf.

    Raises:
        NodeTamperedError: the bytes are no leaf of version 1.
    """
    try:
        if raw[0] != VERSION or raw[1] != KIND:
            raise NodeTamperedError("a node is not a leaf of a known version")
        names, at = [], 3
        for _ in range(raw[2]):
            names.append(raw[at + 1 : at + 1 + raw[at]].decode("ascii"))
            at += 1 + raw[at]
        (count,) = _U16.unpack_from(raw, at)
        ids = at + 2
        ends = struct.unpack_from(f">{count}H", raw, ids + count * SUBJECT_BYTES)
    except (IndexError, struct.error, UnicodeDecodeError):
        raise NodeTamperedError("a leaf is shorter than it says") from None
    paths = ids + count * (SUBJECT_BYTES + 2)
    if len(raw) != paths + (ends[-1] if ends else 0) * PATH_BYTES:
        raise NodeTamperedError("a leaf is not as long as it says")
    return _Shape(names, ids, ends, paths)


def decode(raw: bytes | bytearray) -> Leaf:
    """Read a leaf.

    Raises:
        NodeTamperedError: the bytes are no leaf of version 1.
    """
    shape = _shape(raw)
    data = bytes(raw)
    leaf, first = Leaf(shape.categories), 0
    for index, end in enumerate(shape.ends):
        at = shape.ids + index * SUBJECT_BYTES
        run = data[shape.paths + first * PATH_BYTES : shape.paths + end * PATH_BYTES]
        leaf.subjects[data[at : at + SUBJECT_BYTES]] = run
        first = end
    return leaf


def pieces_of(raw: bytes | bytearray, subject: bytes) -> Iterator[tuple[str, str, bytearray]]:
    """Give category, period and data key of each path of one subject, without decoding the others.

    Raises:
        NodeTamperedError: the bytes are no leaf of version 1.
    """
    shape = _shape(raw)
    index = _index(raw, shape, subject)
    if index is None:
        return
    first = shape.ends[index - 1] if index else 0
    for number in range(first, shape.ends[index]):
        at = shape.paths + number * PATH_BYTES
        if raw[at] >= len(shape.categories):
            raise NodeTamperedError("a leaf names a category that it does not hold")
        category = shape.categories[raw[at]]
        yield category, period_text(bytes(raw[at + 1 : at + 3])), bytearray(raw[at + 3 : at + PATH_BYTES])


def _index(raw: bytes | bytearray, shape: _Shape, subject: bytes) -> int | None:
    low, high = 0, len(shape.ends)
    while low < high:
        middle = (low + high) // 2
        at = shape.ids + middle * SUBJECT_BYTES
        found = bytes(raw[at : at + SUBJECT_BYTES])
        if found == subject:
            return middle
        low, high = (middle + 1, high) if found < subject else (low, middle)
    return None


def subject_texts(raw: bytes | bytearray) -> tuple[str, ...]:
    """Return the subjects of a leaf.

    Raises:
        NodeTamperedError: the bytes are no leaf of version 1.
    """
    shape = _shape(raw)
    starts = range(shape.ids, shape.ids + len(shape.ends) * SUBJECT_BYTES, SUBJECT_BYTES)
    return tuple(subject_text(bytes(raw[at : at + SUBJECT_BYTES])) for at in starts)


def divide(leaf: Leaf, upper: Iterable[bytes]) -> tuple[Leaf, Leaf]:
    """Split a leaf in two: the subjects that are not in `upper`, and those that are."""
    moving = set(upper)
    low = Leaf(list(leaf.categories), {raw: kept for raw, kept in leaf.subjects.items() if raw not in moving})
    high = Leaf(list(leaf.categories), {raw: kept for raw, kept in leaf.subjects.items() if raw in moving})
    return low, high
