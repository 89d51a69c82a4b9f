"""Opened nodes for the tree's logic: from the cache, else from the store, verified before they are believed.

It must not decide which root is current; `tree` does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Generic

from imagint_privacy.errors import NodeGoneError, NodeTamperedError
from imagint_privacy.keys import seals
from imagint_privacy.keys.branches import Ref
from imagint_privacy.keys.caches import NodeCache
from imagint_privacy.keys.places import ROOT, Place, associated_data
from imagint_privacy.keys.ports import Head, TreeStore, Tx


class CachedSource(Generic[Tx]):
    """A `NodeSource` over a store, with a cache in front."""

    def __init__(self, tenant: str, store: TreeStore[Tx], cache: NodeCache) -> None:
        self._tenant = tenant
        self._store = store
        self._cache = cache

    def load(self, wanted: Sequence[tuple[Ref, Place]]) -> Mapping[bytes, bytearray]:
        """Return the plain bytes of every wanted node by digest.

        Raises:
            NodeTamperedError: a node is not the one its parent names, or does not open at its place.
            NodeGoneError: a node is no longer there.
            StorageUnavailableError: the store does not answer.
        """
        opened: dict[bytes, bytearray] = {}
        missing: dict[bytes, tuple[Ref, Place]] = {}
        for ref, place in wanted:
            node = self._cache.get(ref.digest)
            if node is None:
                missing[ref.digest] = (ref, place)
            else:
                opened[ref.digest] = node
        if missing:
            sealed = self._store.nodes(missing)
            for digest, (ref, place) in missing.items():
                opened[digest] = self._open(ref, place, sealed.get(digest))
                self._cache.put(digest, opened[digest])
        return opened

    def _open(self, ref: Ref, place: Place, sealed: bytes | None) -> bytearray:
        if sealed is None:
            raise NodeGoneError(f"node {ref.digest.hex()[:16]} is not in the store", after=0.05)
        if seals.digest_of(sealed) != ref.digest:
            raise NodeTamperedError(f"node {ref.digest.hex()[:16]} is not the one its parent names")
        return seals.open_node(ref.key, sealed, associated_data(self._tenant, place))


def open_root(tenant: str, head: Head, key: bytearray) -> bytearray:
    """Return the plain bytes of the root node.

    Raises:
        NodeTamperedError: the root is not the one its record names, or does not open in its generation.
    """
    if seals.digest_of(head.sealed) != head.record.digest:
        raise NodeTamperedError("the root node is not the one its record names")
    return seals.open_node(key, head.sealed, associated_data(tenant, ROOT, head.record.generation))
