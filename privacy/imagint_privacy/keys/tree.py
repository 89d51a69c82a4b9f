"""The key tree of one tenant in one process: look up, insert, forget, list.

It joins the pure logic (`walks`, `edits`) with a store and with Vault, and holds what is open in memory: the root key
and caches, all of it dropped when Vault and the store have not confirmed the root for `cache_seconds`. That age is the
published bound on forgetting in memory. Several processes share one tree through compare-and-swap on the generation.
It must not know records, subjects' data or erasure requests.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from itertools import islice
from typing import Final, Generic, TypeVar

from imagint_privacy.errors import (
    GenerationConflictError,
    KeyDestroyedError,
    KeyVersionBehindError,
    NodeGoneError,
    PermanentError,
    StaleTreeError,
    TreeContendedError,
)
from imagint_privacy.keys import branches, seals, walks
from imagint_privacy.keys.branches import Branch
from imagint_privacy.keys.caches import KeyCache, NodeCache
from imagint_privacy.keys.edits import LEAF_LIMIT, Edit, Editor, Wish
from imagint_privacy.keys.paths import KeyPath, Prefix
from imagint_privacy.keys.places import ROOT, associated_data
from imagint_privacy.keys.ports import Alongside, RootRecord, RootWrapper, TreeChange, TreeStore, Tx
from imagint_privacy.keys.seals import Entropy
from imagint_privacy.keys.sources import CachedSource, open_root

T = TypeVar("T")

ATTEMPTS: Final = 64
"""How often a commit or a look-up starts again because another process changed the tree."""


@dataclass(frozen=True, slots=True)
class TreeOptions:
    """Bounds, clock and randomness of a tree in memory."""

    cache_seconds: float = 5.0
    cache_bytes: int = 64 << 20
    cache_keys: int = 65536
    leaf_limit: int = LEAF_LIMIT
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    entropy: Entropy = os.urandom


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What a forgetting did."""

    generation: int
    key_version: int
    paths: int


@dataclass(slots=True)
class _Open:
    """The root as it stands open in memory."""

    record: RootRecord
    key: bytearray
    root: bytearray
    until: float


class KeyTree(Generic[Tx]):
    """One tenant's tree; thread-safe."""

    def __init__(
        self, tenant: str, store: TreeStore[Tx], wrapper: RootWrapper, options: TreeOptions | None = None
    ) -> None:
        self.tenant = tenant
        self._store = store
        self._wrapper = wrapper
        self._options = options or TreeOptions()
        self._nodes = NodeCache(self._options.cache_bytes)
        self._keys = KeyCache(self._options.cache_keys)
        self._source = CachedSource(tenant, store, self._nodes)
        self._lock = threading.RLock()
        self._open: _Open | None = None
        self._seen = 0

    @classmethod
    def open(
        cls, tenant: str, store: TreeStore[Tx], wrapper: RootWrapper, options: TreeOptions | None = None
    ) -> KeyTree[Tx]:
        """Open a tenant's tree, creating it the first time; costs one call of Vault.

        Raises:
            KeysUnavailableError: Vault does not answer.
            KeyDestroyedError: the tree's root is wrapped under a version that is gone: this is an old tree.
            ForeignTreeError: the tree belongs to another tenant.
            StorageUnavailableError: the store does not answer.
        """
        tree = cls(tenant, store, wrapper, options)
        with tree._lock:
            if store.head() is None:
                tree._create()
            tree._confirmed()
        return tree

    def lookup(self, path: KeyPath) -> bytes:
        """Return the data key of a path.

        Raises:
            KeyDestroyedError: the path has no key: it was forgotten, or never was.
            KeysUnavailableError: Vault has not confirmed the root in time, and does not answer now.
            NodeTamperedError: a node on the way does not open.
            StorageUnavailableError: the store does not answer.
        """
        with self._lock:
            if self._open is not None and self._options.clock() < self._open.until:
                kept = self._keys.get(path)
                if kept is not None:
                    return kept
            key = self._read(lambda root: walks.find(self._source, root, path))
            if key is None and self._store.generation() != self._confirmed().record.generation:
                self._reload()
                key = self._read(lambda root: walks.find(self._source, root, path))
            if key is None:
                raise KeyDestroyedError(f"no key at {path}")
            self._keys.put(path, key)
            return bytes(key)

    def ensure(self, paths: Collection[KeyPath], alongside: Alongside[Tx] | None = None) -> dict[KeyPath, bytes]:
        """Return the data keys of these paths, making those that are missing in one commit.

        Raises:
            TreeContendedError: other writers were first every time.
            KeysUnavailableError, StorageUnavailableError, NodeTamperedError: as in `lookup`.
        """
        with self._lock:
            if self._open is not None and self._options.clock() < self._open.until:
                kept = {path: key for path in paths if (key := self._keys.get(path)) is not None}
                if len(kept) == len(set(paths)):
                    return kept
            wish = Wish.inserting(dict.fromkeys(paths))
            keys = self._commit(lambda: self._insert(wish, alongside)).keys
            for path, key in keys.items():
                self._keys.put(path, key)
            return keys

    def forget(
        self, prefixes: Collection[Prefix], *, key_version: int, alongside: Alongside[Tx] | None = None
    ) -> Forgotten:
        """Forget everything under these prefixes in one commit, with a fresh root key under `key_version` or newer.

        Raises:
            KeyVersionBehindError: the newest version of the tenant's key is older than `key_version`.
            TreeContendedError: other writers were first every time.
            KeysUnavailableError, StorageUnavailableError, NodeTamperedError: as in `lookup`.
        """
        wish = Wish.forgetting(prefixes)
        with self._lock:
            key = bytearray(self._options.entropy(seals.KEY_BYTES))
            wrapped = self._wrapper.encrypt(seals.root_envelope(self.tenant, bytes(key)))
            version = version_of(wrapped)
            if version < key_version:
                raise KeyVersionBehindError(f"the key is at version {version}, not yet at {key_version}")
            edit = self._commit(lambda: self._rekey(wish, key, wrapped, alongside))
            record = self._confirmed().record
            return Forgotten(record.generation, version, edit.forgotten)

    def paths(self, subject: str) -> tuple[KeyPath, ...]:
        """Return every path of a subject as the store holds it now.

        Raises:
            KeysUnavailableError, StorageUnavailableError, NodeTamperedError: as in `lookup`.
        """
        with self._lock:
            self.refresh()
            return self._read(lambda root: walks.paths_of(self._source, root, subject))

    def paths_from(self, limit: int, *, after: bytes = b"") -> tuple[tuple[bytes, tuple[KeyPath, ...]], ...]:
        """Return the paths of the next subjects after a hash, each with its own hash, the tenant's keys included.

        Raises:
            KeysUnavailableError, StorageUnavailableError, NodeTamperedError: as in `lookup`.
        """
        with self._lock:
            self.refresh()
            return self._read(lambda root: tuple(islice(walks.paths_from(self._source, root, b"", after), limit)))

    def subjects(self, limit: int, *, start: bytes = b"") -> tuple[str, ...]:
        """Return some subjects, from about the hash `start` on, then from the beginning.

        Raises:
            KeysUnavailableError, StorageUnavailableError, NodeTamperedError: as in `lookup`.
        """
        with self._lock:
            found = dict.fromkeys(self._listed(limit, start))
            if start and len(found) < limit:
                found |= dict.fromkeys(self._listed(limit, b""))
            return tuple(islice(found, limit))

    def _listed(self, limit: int, start: bytes) -> list[str]:
        return self._read(lambda root: list(islice(walks.subjects_from(self._source, root, b"", start), limit)))

    def count(self) -> int:
        """Return how many subjects the tree holds, the tenant's own included."""
        with self._lock:
            return branches.decode(self._confirmed().root).subjects()

    def root(self) -> RootRecord:
        """Return the public face of the current root, as the store holds it now.

        Raises:
            StorageUnavailableError: the store does not answer.
        """
        with self._lock:
            self.refresh()
            return self._confirmed().record

    def refresh(self) -> int:
        """Follow other processes: drop what an older generation left open, and return the current generation.

        Raises:
            KeysUnavailableError, StorageUnavailableError: as in `lookup`; then nothing old stays open beyond its age.
        """
        with self._lock:
            if self._store.generation() != self._confirmed().record.generation:
                self._reload()
            return self._confirmed().record.generation

    def drop(self) -> None:
        """Wipe everything that is open."""
        with self._lock:
            self._nodes.clear()
            self._keys.clear()
            if self._open is not None:
                seals.wipe(self._open.key)
                seals.wipe(self._open.root)
                self._open = None

    # -- the root in memory --------------------------------------------------------------------------------------

    def _confirmed(self) -> _Open:
        """Return the open root, confirmed by store and Vault no longer than `cache_seconds` ago."""
        if self._open is None or self._options.clock() >= self._open.until:
            return self._reload()
        return self._open

    def _reload(self) -> _Open:
        """Read the current root; keep what is open only if Vault still opens the very same root key."""
        before = self._open
        try:
            until = self._options.clock() + self._options.cache_seconds
            head = self._store.head()
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
            seals.wipe(before.key)
            seals.wipe(before.root)
        self._open = _Open(head.record, key, root, until)
        self._seen = head.record.generation
        return self._open

    def _read(self, walk: Callable[[bytearray], T]) -> T:
        """Walk from the current root; a walk that meets a node which another process replaced begins again.

        Raises:
            TreeContendedError: the tree changed under every attempt.
        """
        for attempt in range(ATTEMPTS):
            try:
                return walk(self._confirmed().root)
            except NodeGoneError:
                self._pause(attempt)
                self._reload()
            finally:
                self._nodes.trim()
        raise TreeContendedError("the tree changed under every attempt to read it")

    # -- commits -------------------------------------------------------------------------------------------------

    def _create(self) -> None:
        """Commit the first, empty root; another process may be first."""
        key = self._options.entropy(seals.KEY_BYTES)
        wrapped = self._wrapper.encrypt(seals.root_envelope(self.tenant, key))
        root = Branch().encode()
        sealed = seals.seal(key, self._options.entropy(seals.NONCE_BYTES), root, associated_data(self.tenant, ROOT, 1))
        digest = seals.digest_of(sealed)
        record = RootRecord(1, version_of(wrapped), wrapped, digest)
        try:
            self._store.commit(TreeChange(0, record, {digest: sealed}, ()))
        except GenerationConflictError:
            return

    def _commit(self, attempt: Callable[[], Edit]) -> Edit:
        """Try a commit until no other process was first.

        Raises:
            TreeContendedError: another process was first every time.
        """
        for number in range(ATTEMPTS):
            try:
                return attempt()
            except (GenerationConflictError, NodeGoneError):
                self._pause(number)
                self._reload()
            except PermanentError:
                raise
            except BaseException:
                # The commit may or may not have happened: forget what is open and read it anew next time.
                self.drop()
                raise
            finally:
                self._nodes.trim()
        raise TreeContendedError("other writers changed the tree first, every time")

    def _pause(self, attempt: int) -> None:
        if attempt:
            self._options.sleep(min(0.001 * 2**attempt, 0.05) * (self._options.entropy(1)[0] + 1) / 256)

    def _insert(self, wish: Wish, alongside: Alongside[Tx] | None) -> Edit:
        """Insert under the root key as it is: nothing secret leaves, so Vault need not be asked."""
        base = self._confirmed()
        root, edit = self._edited(base, wish)
        if edit.inserted:
            change, plain = self._change(base, root, edit, base.key, base.record.wrapped)
            self._store.commit(change, alongside)
            self._adopt(_Open(change.root, base.key, plain, base.until), edit)
        return edit

    def _rekey(self, wish: Wish, key: bytearray, wrapped: str, alongside: Alongside[Tx] | None) -> Edit:
        """Forget under a fresh root key; every key of the old tree falls out of memory."""
        base = self._confirmed()
        root, edit = self._edited(base, wish)
        change, plain = self._change(base, root, edit, key, wrapped)
        self._store.commit(change, alongside)
        until = base.until
        self.drop()
        self._adopt(_Open(change.root, bytearray(key), plain, until), edit)
        return edit

    def _edited(self, base: _Open, wish: Wish) -> tuple[Branch, Edit]:
        root = branches.decode(base.root)
        editor = Editor(self.tenant, self._source, self._options.entropy, leaf_limit=self._options.leaf_limit)
        return root, editor.apply(root, wish)

    def _change(
        self, base: _Open, root: Branch, edit: Edit, key: bytearray, wrapped: str
    ) -> tuple[TreeChange, bytearray]:
        """Seal the new root and put the commit together."""
        generation = base.record.generation + 1
        plain = bytearray(root.encode())
        nonce = self._options.entropy(seals.NONCE_BYTES)
        sealed = seals.seal(key, nonce, plain, associated_data(self.tenant, ROOT, generation))
        digest = seals.digest_of(sealed)
        record = RootRecord(generation, version_of(wrapped), wrapped, digest)
        dead = (*edit.dead, base.record.digest)
        return TreeChange(base.record.generation, record, {**edit.fresh, digest: sealed}, dead, edit.forgotten), plain

    def _adopt(self, opened: _Open, edit: Edit) -> None:
        """Make the committed root the open one, and wipe what it replaced."""
        for digest in edit.dead:
            self._nodes.drop(digest)
        for digest, plain in edit.plain.items():
            self._nodes.put(digest, plain)
        if self._open is not None:
            seals.wipe(self._open.root)
        self._open = opened
        self._seen = opened.record.generation


def version_of(wrapped: str) -> int:
    """Return the key version that made a ciphertext of Vault's (vault:v3:...).

    Raises:
        ValueError: it is no such ciphertext.
    """
    scheme, version, _ = wrapped.split(":", 2)
    if scheme != "vault" or not version.startswith("v"):
        raise ValueError("not a ciphertext of Vault's transit engine")
    return int(version[1:])
