"""Where a node stands in the tree, and the associated data that ties its bytes to that place.

Pure. The tree is a trie over a hash of the subject, 256-way, one byte a level. A branch stands for a prefix of the
hash. A leaf stands for an aligned run of 2^bits slots of the branch above it; a full leaf splits into two runs half
as long, and a full leaf of one slot becomes a branch. So leaves stay between half full and full at every size.
"""

from __future__ import annotations

import hashlib
import struct
from functools import lru_cache
from typing import Final, NamedTuple

_HASH_DOMAIN: Final = b"imagint.ai/tree/place/1\0"
_NODE_DOMAIN: Final = b"imagint.ai/tree/node/1\0"
DEPTH_LIMIT: Final = 31


class Place(NamedTuple):
    """The slots `start` to `start + 2**bits - 1` below the branch that stands for `prefix`."""

    prefix: bytes
    start: int
    bits: int

    @property
    def depth(self) -> int:
        """How many bytes of the hash the branch above has consumed."""
        return len(self.prefix)

    def halves(self) -> tuple[Place, Place]:
        """Return the two runs half as long."""
        bits = self.bits - 1
        return Place(self.prefix, self.start, bits), Place(self.prefix, self.start + (1 << bits), bits)

    def below(self) -> bytes:
        """Return the prefix of a branch that stands at this single slot."""
        return self.prefix + bytes((self.start,))


ROOT: Final = Place(b"", 0, 8)
"""Where the root branch stands: above every slot."""


@lru_cache(maxsize=65536)
def position(subject: bytes) -> bytes:
    """Return the hash that decides where the 17 bytes of a subject stand."""
    return hashlib.sha256(_HASH_DOMAIN + subject).digest()


def associated_data(tenant: str, place: Place, generation: int = 0) -> bytes:
    """Return what a sealed node is bound to: tenant, place and, for the root alone, the generation."""
    name = tenant.encode("ascii")
    parts = (_NODE_DOMAIN, bytes((len(name),)), name, bytes((place.depth,)), place.prefix)
    return b"".join((*parts, struct.pack(">BBQ", place.start, place.bits, generation)))
