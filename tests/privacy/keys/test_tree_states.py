"""Forgotten is unreadable, survivors are readable: over any sequence of what can happen to a tree.

The model is a dictionary. The attacker keeps every node and every root that was ever stored, asks Vault to unwrap each
root, and tries every key found from there on every node: no forgotten key may come out, every surviving key must.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from imagint_privacy import subjects
from imagint_privacy.errors import (
    KeyDestroyedError,
    KeyMissingError,
    NodeTamperedError,
    StaleTreeError,
    StorageUnavailableError,
    TreeContendedError,
)
from imagint_privacy.keys import branches, leaves, seals
from imagint_privacy.keys.fakes import FakeTransit, MemoryTreeStore
from imagint_privacy.keys.moving import MovingKey
from imagint_privacy.keys.paths import KeyPath, Prefix
from imagint_privacy.keys.places import ROOT, Place, associated_data
from imagint_privacy.keys.ports import RootWrapper
from imagint_privacy.keys.tree import KeyTree, TreeOptions

SUBJECTS = [subjects.from_bytes(hashlib.sha256(b"%d" % n).digest()[:16]) for n in range(40)]
PATHS = st.builds(
    KeyPath, st.sampled_from(SUBJECTS), st.sampled_from(["images", "prompts"]), st.sampled_from(["2026-10", "2026-11"])
)
PREFIXES = st.one_of(
    st.builds(Prefix, st.sampled_from(SUBJECTS)),
    st.builds(Prefix, st.sampled_from(SUBJECTS), st.sampled_from(["images", "prompts"])),
    st.builds(Prefix, st.sampled_from(SUBJECTS), st.sampled_from(["images", "prompts"]), st.just("2026-10")),
)
READERS = st.integers(0, 1)
TENANT, KEY = "acme", "tenant-acme"


class Crashed(BaseException):
    """The process is gone."""


@dataclass(frozen=True)
class Backup:
    """The database and the Vault of one moment, and what they held."""

    head: Any
    nodes: dict[bytes, bytes]
    kept: dict[KeyPath, bytes]
    vault: Any
    key: str

    def store(self) -> MemoryTreeStore:
        store = MemoryTreeStore()
        store.current, store.kept = self.head, dict(self.nodes)
        return store


class TreeStates(RuleBasedStateMachine):
    """Two processes on one tree, an operator who rotates and trims, and everything that can go wrong between."""

    def __init__(self) -> None:
        super().__init__()
        self.transit, self.store = FakeTransit(), MemoryTreeStore()
        self.keys = [KEY]
        self.transit.admin().ensure(KEY)
        self.bounds: dict[str, int] = {"cache_bytes": 3000, "cache_keys": 8}
        self.kept: dict[KeyPath, bytes] = {}
        self.forgotten: set[bytes] = set()
        self.trees = [self._open(), self._open()]
        self.tried: set[tuple[bytes, bytes]] = set()
        self.backups: list[Backup] = []

    @property
    def key(self) -> str:
        """The name of the key that is in use."""
        return self.keys[-1]

    def _open(self, wrapper: RootWrapper | None = None, store: MemoryTreeStore | None = None) -> KeyTree[None]:
        options = TreeOptions(leaf_limit=300, sleep=lambda _: None, clock=lambda: 0.0, **self.bounds)  # type: ignore[arg-type]
        return KeyTree.open(TENANT, store or self.store, wrapper or self.transit.tenant_key(self.key), options)

    @initialize(uses=st.sampled_from([1, 3, 1 << 20]), cached=st.sampled_from([0, 700, 3000, 1 << 20]))
    def choose_bounds(self, uses: int, cached: int) -> None:
        """Root keys that are worn at once or never, caches that hold nothing or everything."""
        self.bounds = {"root_uses": uses, "cache_bytes": cached, "cache_keys": cached // 100}
        self.trees = [self._open(), self._open()]

    def _note_forgotten(self, prefixes: list[Prefix]) -> None:
        for path in [path for path in self.kept if any(prefix.covers(path) for prefix in prefixes)]:
            self.forgotten.add(self.kept.pop(path))

    @rule(who=READERS, paths=st.lists(PATHS, min_size=1, max_size=12))
    def insert(self, who: int, paths: list[KeyPath]) -> None:
        self.trees[who].refresh()
        keys = self.trees[who].ensure(paths)
        for path in paths:
            assert keys[path] == self.kept.setdefault(path, keys[path])

    @rule(who=READERS, prefixes=st.lists(PREFIXES, min_size=1, max_size=5))
    def erase(self, who: int, prefixes: list[Prefix]) -> None:
        version = self.transit.admin().rotate(self.key)
        self.trees[who].forget(prefixes, key_version=version)
        self._note_forgotten(prefixes)
        self.transit.admin().raise_minimum(self.key, version)
        self.transit.admin().trim(self.key, version)

    @rule(who=READERS)
    def restart(self, who: int) -> None:
        self.trees[who] = self._open()

    @rule(who=READERS, prefix=PREFIXES, moment=st.sampled_from(["before", "after"]))
    def crash_while_erasing(self, who: int, prefix: Prefix, moment: str) -> None:
        """The process dies at the commit; the operator has the step done again before it trims."""
        version = self.transit.admin().rotate(self.key)
        self._failing(moment, Crashed)
        with pytest.raises(Crashed):
            self.trees[who].forget([prefix], key_version=version)
        self.store.on_commit = lambda _: None
        self.trees[who] = self._open()
        self.trees[who].forget([prefix], key_version=version)
        self._note_forgotten([prefix])
        self.transit.admin().raise_minimum(self.key, version)
        self.transit.admin().trim(self.key, version)

    @rule(who=READERS, path=PATHS, moment=st.sampled_from(["before", "after"]))
    def fail_while_inserting(self, who: int, path: KeyPath, moment: str) -> None:
        """The disk is full, or the connection is lost after the commit: the process goes on."""
        self.trees[who].refresh()
        if path in self.kept:
            return
        self._failing(moment, StorageUnavailableError)
        with pytest.raises((StorageUnavailableError, TreeContendedError)):
            self.trees[who].ensure([path])
        self.store.on_commit = lambda _: None
        if moment == "after":
            self.kept[path] = self._open().lookup(path)

    def _failing(self, at: str, kind: type[BaseException]) -> None:
        def fail(moment: str) -> None:
            if moment == at:
                raise kind("here")

        self.store.on_commit = fail

    @rule(wishes=st.lists(st.tuples(READERS, st.lists(PATHS, min_size=1, max_size=5)), min_size=2, max_size=5))
    def insert_at_once(self, wishes: list[tuple[int, list[KeyPath]]]) -> None:
        """Threads of two processes want keys at the same moment, some of them the same."""
        gate = threading.Barrier(len(wishes))

        def one(wish: tuple[int, list[KeyPath]]) -> dict[KeyPath, bytes]:
            gate.wait(10)
            return self.trees[wish[0]].ensure(wish[1])

        for tree in self.trees:
            tree.refresh()
        with ThreadPoolExecutor(len(wishes)) as threads:
            for keys in list(threads.map(one, wishes)):
                for path, key in keys.items():
                    assert key == self.kept.setdefault(path, key)

    @rule(who=READERS)
    def rotate_without_forgetting(self, who: int) -> None:
        version = self.transit.admin().rotate(self.key)
        assert self.trees[who].rewrap(key_version=version).paths == 0
        self.transit.admin().raise_minimum(self.key, version)
        self.transit.admin().trim(self.key, version)

    @rule(who=READERS)
    def move_to_another_key(self, who: int) -> None:
        """Both processes are given both keys; after one rewrap the old key is destroyed."""
        old, new = self.key, f"{KEY}-{len(self.keys)}"
        self.transit.admin().ensure(new)
        moving = MovingKey(self.transit.tenant_key(new), self.transit.tenant_key(old))
        self.trees = [self._open(moving), self._open(moving)]
        self.trees[who].rewrap(key_version=1)
        self.transit.admin().destroy(old)
        self.keys.append(new)
        assert self.trees[1 - who].refresh() == self.trees[who].refresh()

    @precondition(lambda self: len(self.backups) < 5)
    @rule()
    def back_up(self) -> None:
        self.backups.append(
            Backup(self.store.current, dict(self.store.kept), dict(self.kept), self.transit.snapshot(), self.key)
        )

    @rule()
    def open_an_old_database_beside_the_current_one(self) -> None:
        """An old tree opens only while no forgetting has come between; its data keys are then the current ones."""
        for backup in self.backups:
            try:
                tree = self._open(store=backup.store())
            except (KeyDestroyedError, KeyMissingError):
                continue
            for path in PATHS_OF_ALL:
                try:
                    assert tree.lookup(path) == self.kept.get(path)
                except KeyDestroyedError:
                    continue

    @precondition(lambda self: self.backups)
    @rule(which=st.integers(0, 9), who=READERS, path=PATHS)
    def put_an_old_database_under_live_processes(self, which: int, who: int, path: KeyPath) -> None:
        """They have seen a newer tree: they neither follow nor write, and go on when the right one is back."""
        current, nodes, tree = self.store.current, self.store.kept, self.trees[who]
        generation = tree.refresh()
        backup = self.backups[which % len(self.backups)]
        self.store.current, self.store.kept = backup.head, dict(backup.nodes)
        if self.store.generation() < generation:
            for ask in (tree.refresh, lambda: tree.rewrap(key_version=1), lambda: tree.paths(path.subject)):
                with pytest.raises(StaleTreeError):
                    ask()
            assert self.store.current is backup.head
        self.store.current, self.store.kept = current, nodes

    @precondition(lambda self: self.backups)
    @rule(which=st.integers(0, 9))
    def restore_an_old_database_and_the_old_vault(self, which: int) -> None:
        """Both old together open what they held then, the forgotten too: until the trims are made again."""
        backup = self.backups[which % len(self.backups)]
        vault, store = FakeTransit(), backup.store()
        vault.restore(backup.vault)
        tree = self._open(vault.tenant_key(backup.key), store)
        assert {path: tree.lookup(path) for path in backup.kept} == backup.kept
        if backup.key != self.key:
            vault.admin().destroy(backup.key)
        elif not self._replay(vault) > backup.head.record.key_version:
            return
        with pytest.raises((KeyDestroyedError, KeyMissingError)):
            self._open(vault.tenant_key(backup.key), backup.store())

    def _replay(self, vault: FakeTransit) -> int:
        """Rotate and trim a restored Vault up to the version that was trimmed last before it was lost; return that."""
        state = self.transit.admin().state(self.key)
        restored = vault.admin().state(self.key)
        assert state is not None
        assert restored is not None
        for _ in range(state.latest_version - restored.latest_version):
            vault.admin().rotate(self.key)
        vault.admin().raise_minimum(self.key, max(state.min_decryption_version, 1))
        vault.admin().trim(self.key, state.min_available_version)
        return state.min_available_version

    @invariant()
    def survivors_are_readable_and_the_forgotten_are_not(self) -> None:
        tree = self._open()
        for path in PATHS_OF_ALL:
            if path in self.kept:
                assert tree.lookup(path) == self.kept[path]
            else:
                with pytest.raises(KeyDestroyedError):
                    tree.lookup(path)

    def teardown(self) -> None:
        """Let the attacker try every key there is to find on every node that was ever stored."""
        roots = {bytes(key) for head in self.store.heads for key in self._unwrapped(head)}
        found: set[bytes] = set()
        sealed = {head.sealed for head in self.store.heads}
        for head in self.store.heads:
            bound = associated_data(TENANT, ROOT, head.record.generation)
            for key in roots:
                self._open_all(key, bound, b"", {head.sealed}, found)
        assert len(sealed) == len(self.store.heads)
        assert not found & self.forgotten
        assert found >= set(self.kept.values())

    def _unwrapped(self, head: Any) -> Iterator[bytearray]:
        for key in self.keys:
            with contextlib.suppress(KeyDestroyedError, KeyMissingError):
                yield seals.open_root_envelope(TENANT, self.transit.tenant_key(key).decrypt(head.record.wrapped))

    def _open_all(self, key: bytes, bound: bytes, prefix: bytes, nodes: Iterable[bytes], found: set[bytes]) -> None:
        for sealed in nodes:
            try:
                node = seals.open_node(key, sealed, bound)
            except NodeTamperedError:
                continue
            if not branches.is_branch(node):
                found |= {piece[3:] for run in leaves.decode(node).subjects.values() for piece in leaves.pieces(run)}
                continue
            for start, bits, ref in branches.decode(node):
                if (ref.key, ref.digest) not in self.tried:
                    self.tried.add((ref.key, ref.digest))
                    below = associated_data(TENANT, Place(prefix, start, bits))
                    self._open_all(ref.key, below, prefix + bytes((start,)), self.store.ever.values(), found)


PATHS_OF_ALL = [
    KeyPath(subject, category, period)
    for subject in SUBJECTS[::4]
    for category in ("images", "prompts")
    for period in ("2026-10", "2026-11")
]


def test_forgotten_is_unreadable_and_survivors_are_readable_over_any_sequence() -> None:
    run_state_machine_as_test(
        TreeStates,
        settings=settings(
            max_examples=150, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
