"""The key tree of one tenant in one process: look up, insert, forget, list.

It joins the pure logic (`walks`, `edits`) with a store and with Vault; `views` holds what is open in memory and for how
long, `commits` changes the tree, `groups` lets threads share a commit. Several processes share one tree through
compare-and-swap on the generation. It must not know records, subjects' data or erasure requests.
"""

from __future__ import annotations

import threading
from collections.abc import Collection
from dataclasses import dataclass
from itertools import islice
from typing import Generic

from imagint_privacy.errors import KeyDestroyedError
from imagint_privacy.keys import branches, walks
from imagint_privacy.keys.commits import Committer
from imagint_privacy.keys.groups import Group, Insertion, Waiting
from imagint_privacy.keys.paths import KeyPath, Prefix
from imagint_privacy.keys.ports import Alongside, RootRecord, RootWrapper, TreeStore, Tx
from imagint_privacy.keys.views import TreeOptions, View

__all__ = ["Forgotten", "KeyTree", "TreeOptions"]


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What a forgetting did."""

    generation: int
    key_version: int
    paths: int


class KeyTree(Generic[Tx]):
    """One tenant's tree; thread-safe."""

    def __init__(
        self, tenant: str, store: TreeStore[Tx], wrapper: RootWrapper, options: TreeOptions | None = None
    ) -> None:
        self.tenant = tenant
        self._view = View(tenant, store, wrapper, options or TreeOptions())
        self._committer = Committer(self._view, wrapper)
        self._waiting: Waiting[Tx] = Waiting()
        self._lock = threading.RLock()

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
                tree._committer.create()
            tree._view.confirmed()
        return tree

    def lookup(self, path: KeyPath) -> bytes:
        """Return the data key of a path.

        Raises:
            KeyDestroyedError: the path has no key: it was forgotten, or never was.
            KeysUnavailableError: Vault has not confirmed the root in time, and does not answer now.
            NodeTamperedError: a node on the way does not open.
            StorageUnavailableError: the store does not answer.
        """
        warm = self._view.warm(path)
        if warm is not None:
            return warm
        with self._lock:
            key = self._find(path)
            if key is None and self._view.store.generation() != self._view.confirmed().record.generation:
                self._view.reload()
                key = self._find(path)
            if key is None:
                raise KeyDestroyedError(f"no key at {path}")
            self._view.keep({path: key})
            return bytes(key)

    def _find(self, path: KeyPath) -> bytearray | None:
        return self._view.read(lambda root: walks.find(self._view.source, root, path))

    def ensure(self, paths: Collection[KeyPath], alongside: Alongside[Tx] | None = None) -> dict[KeyPath, bytes]:
        """Return the data keys of these paths, making those that are missing in one commit.

        Threads that come while another commits share the next commit; what runs `alongside` is then given the change
        of the whole group, and what it refuses with a `PermanentError` is refused to its own caller alone. It must not
        call the tree.

        Raises:
            TreeContendedError: other writers were first every time.
            KeysUnavailableError, StorageUnavailableError, NodeTamperedError: as in `lookup`.
        """
        wanted = tuple(dict.fromkeys(paths))
        kept = {path: key for path in wanted if (key := self._view.warm(path)) is not None}
        if len(kept) == len(wanted):
            return kept
        own = Insertion(wanted, alongside)
        self._waiting.serve(own, self._insert)
        return own.outcome()

    def _insert(self, group: Group[Tx]) -> None:
        with self._lock:
            self._committer.insert(group)

    def forget(
        self, prefixes: Collection[Prefix], *, key_version: int, alongside: Alongside[Tx] | None = None
    ) -> Forgotten:
        """Forget everything under these prefixes in one commit, with a fresh root key under `key_version` or newer.

        Raises:
            KeyVersionBehindError: the newest version of the tenant's key is older than `key_version`.
            TreeContendedError: other writers were first every time.
            KeysUnavailableError, StorageUnavailableError, NodeTamperedError: as in `lookup`.
        """
        with self._lock:
            edit = self._committer.forget(prefixes, key_version, alongside)
            record = self._view.confirmed().record
            return Forgotten(record.generation, record.key_version, len(edit.gone))

    def rewrap(self, *, key_version: int, alongside: Alongside[Tx] | None = None) -> Forgotten:
        """Rotate without forgetting: the same tree under a fresh root key, wrapped under `key_version` or newer.

        Nothing else is written: the root is the only node whose key anything outside the tree can open.

        Raises:
            KeyVersionBehindError, TreeContendedError, KeysUnavailableError, StorageUnavailableError: as in `forget`.
        """
        return self.forget((), key_version=key_version, alongside=alongside)

    def paths(self, subject: str) -> tuple[KeyPath, ...]:
        """Return every path of a subject as the store holds it now.

        Raises:
            KeysUnavailableError, StorageUnavailableError, NodeTamperedError: as in `lookup`.
        """
        with self._lock:
            self._view.refresh()
            return self._view.read(lambda root: walks.paths_of(self._view.source, root, subject))

    def paths_from(self, limit: int, *, after: bytes = b"") -> tuple[tuple[bytes, tuple[KeyPath, ...]], ...]:
        """Return the paths of the next subjects after a hash, each with its own hash, the tenant's keys included.

        Raises:
            KeysUnavailableError, StorageUnavailableError, NodeTamperedError: as in `lookup`.
        """
        with self._lock:
            self._view.refresh()
            source = self._view.source
            return self._view.read(lambda root: tuple(islice(walks.paths_from(source, root, b"", after), limit)))

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
        source = self._view.source
        return self._view.read(lambda root: list(islice(walks.subjects_from(source, root, b"", start), limit)))

    def count(self) -> int:
        """Return how many subjects the tree holds, the tenant's own included."""
        with self._lock:
            return branches.decode(self._view.confirmed().root).subjects()

    def root(self) -> RootRecord:
        """Return the public face of the current root, as the store holds it now.

        Raises:
            StorageUnavailableError: the store does not answer.
        """
        with self._lock:
            return self._view.refresh().record

    def refresh(self) -> int:
        """Follow other processes: drop what an older generation left open, and return the current generation.

        Raises:
            KeysUnavailableError, StorageUnavailableError: as in `lookup`; then nothing old stays open beyond its age.
        """
        with self._lock:
            return self._view.refresh().record.generation

    def drop(self) -> None:
        """Wipe everything that is open."""
        with self._lock:
            self._view.drop()
