"""One process's view of a tree: the open root, the caches behind it, and how long all of it may stay open.

Everything open is dropped and wiped when store and Vault have not confirmed the root for `cache_seconds`: that age is
the published bound on forgetting in memory. Not thread-safe but for `warm`; `KeyTree` holds the lock. It must not
change the tree.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from imagint_privacy.errors import NodeGoneError, NodeTamperedError, StaleTreeError, TreeContendedError
from imagint_privacy.keys import seals
from imagint_privacy.keys.caches import KeyCache, NodeCache
from imagint_privacy.keys.edits import LEAF_LIMIT, Edit
from imagint_privacy.keys.paths import KeyPath
from imagint_privacy.keys.ports import RootRecord, RootWrapper, TreeStore, Tx
from imagint_privacy.keys.seals import Entropy
from imagint_privacy.keys.sources import CachedSource, open_root

T = TypeVar("T")

ATTEMPTS: Final = 64
"""How often a commit or a look-up starts again because another process changed the tree."""
ROOT_USES: Final = 1 << 20
"""How many roots are sealed under one root key (at most twice as many), each with a random nonce: far below the 2^32
that NIST SP 800-38D (section 8.3) allows a key of AES-GCM. Every other node key seals once."""


@dataclass(frozen=True, slots=True)
class TreeOptions:
    """Bounds, clock and randomness of a tree in memory."""

    cache_seconds: float = 5.0
    cache_bytes: int = 64 << 20
    cache_keys: int = 65536
    leaf_limit: int = LEAF_LIMIT
    root_uses: int = ROOT_USES
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    entropy: Entropy = os.urandom


@dataclass(slots=True)
class OpenRoot:
    """The root as it stands open in memory."""

    record: RootRecord
    key: bytearray
    root: bytearray
    until: float

    def wipe(self) -> None:
        """Overwrite its key and its bytes."""
        seals.wipe(self.key)
        seals.wipe(self.root)


class View(Generic[Tx]):
    """The current root of one tree as this process knows it."""

    def __init__(self, tenant: str, store: TreeStore[Tx], wrapper: RootWrapper, options: TreeOptions) -> None:
        self.tenant = tenant
        self.store = store
        self.options = options
        self.nodes = NodeCache(options.cache_bytes)
        self.keys = KeyCache(options.cache_keys)
        self.source = CachedSource(tenant, store, self.nodes)
        self.open: OpenRoot | None = None
        self._wrapper = wrapper
        self._seen = 0
        self._followed = False

    def warm(self, path: KeyPath) -> bytes | None:
        """Return a data key that is in memory and confirmed; safe to call beside a commit."""
        return self.keys.get(path, self.options.clock())

    def keep(self, keys: Mapping[KeyPath, bytes | bytearray]) -> None:
        """Keep data keys in memory, as long as the root that led to them."""
        self.keys.put(keys)

    def confirmed(self) -> OpenRoot:
        """Return the open root, confirmed by store and Vault no longer than `cache_seconds` ago."""
        if self.open is None or self.options.clock() >= self.open.until:
            return self.reload()
        return self.open

    def reload(self) -> OpenRoot:
        """Read the current root; keep what is open only if Vault still opens the very same root key.

        Raises:
            StaleTreeError: the store answers with an older tree than one already seen.
            KeysUnavailableError, StorageUnavailableError: nothing stays open.
        """
        before = self.open
        try:
            until = self.options.clock() + self.options.cache_seconds
            head = self.store.head()
            if head is None or head.record.generation < self._seen:
                raise StaleTreeError(f"the store lost the tree of generation {self._seen}")
            key = seals.open_root_envelope(self.tenant, self._wrapper.decrypt(head.record.wrapped))
            root = open_root(self.tenant, head, key)
        except BaseException:
            self.drop()
            raise
        if before is None or before.key != key:
            self.drop()
        else:
            # Nodes that another process replaced stay in the cache, until something is forgotten.
            self._followed |= before.record.generation != head.record.generation
            before.wipe()
        return self._opened(OpenRoot(head.record, key, root, until))

    def refresh(self) -> OpenRoot:
        """Return the open root as the store holds it now."""
        known = self.confirmed().record.generation  # first: a store that does not answer keeps nothing open
        if self.store.generation() != known:
            self.reload()
        return self.confirmed()

    def drop(self) -> None:
        """Wipe everything that is open."""
        self.nodes.clear()
        self.keys.clear()
        self._followed = False
        if self.open is not None:
            self.open.wipe()
            self.open = None

    def adopt(self, opened: OpenRoot, edit: Edit) -> None:
        """Make a root that was just committed the open one, and wipe what it replaced."""
        if edit.gone and self._followed:
            self.nodes.clear()
            self._followed = False
        for digest in edit.dead:
            self.nodes.drop(digest)
        self.keys.drop(edit.gone)
        for digest, plain in edit.plain.items():
            self.nodes.put(digest, plain)
        if self.open is not None:
            seals.wipe(self.open.root)
        self._opened(opened)

    def read(self, walk: Callable[[bytearray], T]) -> T:
        """Walk from the current root; a walk that meets a node which another process replaced begins again.

        Raises:
            NodeTamperedError: a node of the current root does not open, or is not there.
            TreeContendedError: the tree changed under every attempt.
        """
        for attempt in range(ATTEMPTS):
            try:
                return walk(self.confirmed().root)
            except NodeGoneError as error:
                self.follow(attempt, error)
            finally:
                self.nodes.trim()
        raise TreeContendedError("the tree changed under every attempt to read it")

    def follow(self, attempt: int, error: Exception) -> None:
        """Read the root anew because another process was first, or because a node was not there.

        Raises:
            NodeTamperedError: a node was not there, and the root that leads to it is still the current one.
        """
        known = self._seen
        self.pause(attempt)
        if self.reload().record.generation == known and isinstance(error, NodeGoneError):
            raise NodeTamperedError(error.message) from None

    def pause(self, attempt: int) -> None:
        """Let other processes go first for a moment, longer each time."""
        if attempt:
            self.options.sleep(min(0.001 * 2**attempt, 0.05) * (self.options.entropy(1)[0] + 1) / 256)

    def _opened(self, opened: OpenRoot) -> OpenRoot:
        self.open = opened
        self._seen = opened.record.generation
        self.keys.confirm(opened.until)
        return opened
