"""A branch: which node stands under which run of slots, with the key that opens it; and its bytes.

Pure. Layout (version 1, big endian):

    u8 version = 1, u8 kind = 1, u16 children
    u8 for each child: its first slot, ascending
    u8 for each child: how many slots it covers, as a power of two
    68 bytes for each child: 32 digest of its sealed bytes, 32 key that opens it, u32 subjects below it

A run without a child holds no subject.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Iterator
from typing import Final, NamedTuple

from imagint_privacy.errors import NodeTamperedError

VERSION: Final = 1
KIND: Final = 1
REF_BYTES: Final = 68
_HEAD: Final = struct.Struct(">BBH")
_COUNT: Final = struct.Struct(">I")
_COUNTS: Final = struct.Struct(">64xI")
_SLOTS: Final = 256


class Ref(NamedTuple):
    """How a branch names a child: by the digest of its sealed bytes, with its key and the subjects below it."""

    digest: bytes
    key: bytes
    subjects: int

    def __repr__(self) -> str:
        return f"Ref({self.digest.hex()[:12]}, subjects={self.subjects})"


class Branch:
    """A branch in memory; the references stay one buffer, because most edits change few of many."""

    __slots__ = ("_refs", "_spans", "_starts")

    def __init__(self, starts: bytes = b"", spans: bytes = b"", refs: bytes | bytearray = b"") -> None:
        self._starts = bytearray(starts)
        self._spans = bytearray(spans)
        self._refs = bytearray(refs)

    def __len__(self) -> int:
        return len(self._starts)

    def find(self, slot: int) -> int | None:
        """Return the index of the child that covers a slot, or None."""
        index = bisect_right(self._starts, slot) - 1
        if index < 0 or slot >= self._starts[index] + (1 << self._spans[index]):
            return None
        return index

    def run(self, index: int) -> tuple[int, int]:
        """Return the first slot of a child and its number of slots as a power of two."""
        return self._starts[index], self._spans[index]

    def ref(self, index: int) -> Ref:
        """Return the reference of a child."""
        raw = bytes(self._refs[index * REF_BYTES : (index + 1) * REF_BYTES])
        return Ref(raw[:32], raw[32:64], _COUNT.unpack(raw[64:])[0])

    def put(self, start: int, bits: int, ref: Ref) -> None:
        """Put a child at a run that no other child overlaps, or in place of the one that starts there."""
        index = bisect_right(self._starts, start)
        raw = ref.digest + ref.key + _COUNT.pack(ref.subjects)
        if index and self._starts[index - 1] == start:
            index -= 1
            self._spans[index] = bits
            self._refs[index * REF_BYTES : (index + 1) * REF_BYTES] = raw
            return
        self._starts.insert(index, start)
        self._spans.insert(index, bits)
        self._refs[index * REF_BYTES : index * REF_BYTES] = raw

    def remove(self, start: int) -> None:
        """Take the child away that starts at a slot."""
        index = bisect_right(self._starts, start) - 1
        del self._starts[index], self._spans[index]
        del self._refs[index * REF_BYTES : (index + 1) * REF_BYTES]

    def gap(self, slot: int) -> tuple[int, int]:
        """Return the longest aligned run around a slot that no child covers, as first slot and power of two."""
        bits = 0
        while bits < 8:
            start = slot >> (bits + 1) << (bits + 1)
            if any(self.find(covered) is not None for covered in range(start, start + (2 << bits))):
                break
            bits += 1
        return slot >> bits << bits, bits

    def subjects(self) -> int:
        """Return how many subjects stand below."""
        return sum(count for (count,) in _COUNTS.iter_unpack(self._refs))

    def __iter__(self) -> Iterator[tuple[int, int, Ref]]:
        for index in range(len(self)):
            yield *self.run(index), self.ref(index)

    def encode(self) -> bytes:
        """Write the branch."""
        return b"".join((_HEAD.pack(VERSION, KIND, len(self)), self._starts, self._spans, self._refs))


def decode(raw: bytes | bytearray) -> Branch:
    """Read a branch.

    Raises:
        NodeTamperedError: the bytes are no branch of version 1.
    """
    try:
        version, kind, count = _HEAD.unpack_from(raw)
    except struct.error:
        raise NodeTamperedError("a branch is shorter than it says") from None
    if version != VERSION or kind != KIND:
        raise NodeTamperedError("a node is not a branch of a known version")
    if count > _SLOTS or len(raw) != 4 + count * (2 + REF_BYTES):
        raise NodeTamperedError("a branch is not as long as it says")
    starts, spans = raw[4 : 4 + count], raw[4 + count : 4 + 2 * count]
    return Branch(bytes(starts), bytes(spans), raw[4 + 2 * count :])


def is_branch(raw: bytes | bytearray) -> bool:
    """Say whether the bytes of a node are a branch's, by its kind."""
    return len(raw) > 1 and raw[1] == KIND


def child_of(raw: bytes | bytearray, slot: int) -> tuple[int, int, Ref] | None:
    """Return run and reference of the child that covers a slot, without copying the branch.

    Raises:
        NodeTamperedError: the bytes are no branch of version 1.
    """
    if len(raw) < 4 or raw[0] != VERSION or raw[1] != KIND:
        raise NodeTamperedError("a node is not a branch of a known version")
    count = raw[2] << 8 | raw[3]
    if len(raw) != 4 + count * (2 + REF_BYTES):
        raise NodeTamperedError("a branch is not as long as it says")
    starts = raw[4 : 4 + count]
    index = bisect_right(starts, slot) - 1
    if index < 0:
        return None
    bits = raw[4 + count + index]
    if bits > 8 or slot >= starts[index] + (1 << bits):
        return None
    at = 4 + 2 * count + index * REF_BYTES
    ref = bytes(raw[at : at + REF_BYTES])
    return starts[index], bits, Ref(ref[:32], ref[32:64], _COUNT.unpack(ref[64:])[0])
