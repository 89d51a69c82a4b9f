"""Forgotten is unreadable, survivors are readable: over any sequence of what can happen to a tree.

The model is a dictionary. The attacker keeps every node and every root that was ever stored, asks Vault to unwrap each
root, and tries every key found from there on every node: no forgotten key may come out, every surviving key must.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from imagint_privacy import subjects
from imagint_privacy.errors import KeyDestroyedError, NodeTamperedError, StorageUnavailableError, TreeContendedError
from imagint_privacy.keys import branches, leaves, seals
from imagint_privacy.keys.fakes import FakeTransit, MemoryTreeStore
from imagint_privacy.keys.paths import KeyPath, Prefix
from imagint_privacy.keys.places import ROOT, Place, associated_data
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


class TreeStates(RuleBasedStateMachine):
    """Two processes on one tree, an operator who rotates and trims, and everything that can go wrong between."""

    def __init__(self) -> None:
        super().__init__()
        self.transit, self.store = FakeTransit(), MemoryTreeStore()
        self.transit.admin().ensure(KEY)
        self.kept: dict[KeyPath, bytes] = {}
        self.forgotten: set[bytes] = set()
        self.trees = [self._open(), self._open()]
        self.tried: set[tuple[bytes, bytes]] = set()
        self.backups: list[tuple[Any, dict[bytes, bytes]]] = []

    def _open(self) -> KeyTree[None]:
        options = TreeOptions(leaf_limit=300, cache_bytes=3000, cache_keys=8, sleep=lambda _: None, clock=lambda: 0.0)
        return KeyTree.open(TENANT, self.store, self.transit.tenant_key(KEY), options)

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
        version = self.transit.admin().rotate(KEY)
        self.trees[who].forget(prefixes, key_version=version)
        self._note_forgotten(prefixes)
        self.transit.admin().raise_minimum(KEY, version)
        self.transit.admin().trim(KEY, version)

    @rule(who=READERS)
    def restart(self, who: int) -> None:
        self.trees[who] = self._open()

    @rule(who=READERS, prefix=PREFIXES, moment=st.sampled_from(["before", "after"]))
    def crash_while_erasing(self, who: int, prefix: Prefix, moment: str) -> None:
        """The process dies at the commit; the operator has the step done again before it trims."""
        version = self.transit.admin().rotate(KEY)
        self._failing(moment, Crashed)
        with pytest.raises(Crashed):
            self.trees[who].forget([prefix], key_version=version)
        self.store.on_commit = lambda _: None
        self.trees[who] = self._open()
        self.trees[who].forget([prefix], key_version=version)
        self._note_forgotten([prefix])
        self.transit.admin().raise_minimum(KEY, version)
        self.transit.admin().trim(KEY, version)

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

    @rule()
    def back_up(self) -> None:
        self.backups.append((self.store.current, dict(self.store.kept)))

    @rule()
    def restore_an_old_database_beside_the_current_one(self) -> None:
        """An old tree opens only while no forgetting has come between; its data keys are then the current ones."""
        for head, nodes in self.backups:
            old = MemoryTreeStore()
            old.current, old.kept = head, dict(nodes)
            try:
                tree: KeyTree[None] = KeyTree.open(TENANT, old, self.transit.tenant_key(KEY))
            except KeyDestroyedError:
                continue
            for path in PATHS_OF_ALL:
                try:
                    assert tree.lookup(path) == self.kept.get(path)
                except KeyDestroyedError:
                    continue

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
        try:
            yield seals.open_root_envelope(TENANT, self.transit.tenant_key(KEY).decrypt(head.record.wrapped))
        except KeyDestroyedError:
            return

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
            max_examples=50, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
