"""Rotation without forgetting, moving to another key or Vault, and how often one root key seals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from imagint_privacy.errors import KeyDestroyedError, KeysUnavailableError
from imagint_privacy.keys.fakes import FakeTransit
from imagint_privacy.keys.moving import MovingKey
from imagint_privacy.keys.paths import KeyPath, Prefix
from imagint_privacy.keys.tree import KeyTree

Path = Callable[..., KeyPath]


def test_rewrapping_rotates_the_key_and_forgets_nothing(rig: Any, path: Path) -> None:
    tree = rig.open()
    keys = tree.ensure([path(n) for n in range(50)])
    nodes, before = set(rig.store.kept), tree.root()
    version = rig.rotate()
    done = tree.rewrap(key_version=version)
    rig.trim(version)
    assert (done.key_version, done.paths) == (version, 0)
    assert set(rig.store.kept) ^ nodes == {before.digest, tree.root().digest}
    for reader in (tree, rig.open()):
        assert {p: reader.lookup(p) for p in keys} == keys


def test_a_root_key_is_replaced_before_it_is_worn(rig: Any, path: Path) -> None:
    tree = rig.open(root_uses=5)
    sealed_under: dict[str, int] = {}
    keys: dict[KeyPath, bytes] = {}
    for n in range(23):
        keys |= tree.ensure([path(n)])
        record = rig.store.current.record
        sealed_under[record.wrapped] = sealed_under.get(record.wrapped, 0) + 1
    assert max(sealed_under.values()) <= 5
    assert len(sealed_under) >= 5
    assert {p: rig.open().lookup(p) for p in keys} == keys


def test_a_worn_root_key_without_vault_keeps_the_tree_and_takes_no_more(rig: Any, path: Path) -> None:
    tree = rig.open(root_uses=1)
    keys = tree.ensure([path(1)])
    rig.transit.unreachable = True
    with pytest.raises(KeysUnavailableError):
        tree.ensure([path(2)])
    rig.transit.unreachable = False
    assert tree.lookup(path(1)) == keys[path(1)]


def test_a_worn_root_key_is_kept_while_a_forgetting_may_move_the_root_to_a_newer_version(
    rig: Any, path: Path, subject: Callable[[int], str]
) -> None:
    tree = rig.open(root_uses=4)
    tree.ensure([path(0)])
    tree.ensure([path(1)])
    version = rig.rotate()
    keys = tree.ensure([path(2)]) | tree.ensure([path(3)]) | tree.ensure([path(4)])
    assert {head.record.key_version for head in rig.store.heads} == {1}
    tree.forget([Prefix(subject(0))], key_version=version)
    assert [head.record.key_version for head in rig.store.heads].count(version) == 1
    assert {p: tree.lookup(p) for p in keys} == keys


def test_a_root_key_is_replaced_when_it_was_used_twice_as_often_whatever_its_version(rig: Any, path: Path) -> None:
    tree = rig.open(root_uses=4)
    rig.rotate()
    for n in range(10):
        tree.ensure([path(n)])
    wrapped = [head.record.wrapped for head in rig.store.heads]
    assert max(wrapped.count(one) for one in wrapped) == 8
    assert rig.store.current.record.key_version == 2


def test_the_uses_of_a_root_key_are_counted_across_processes(rig: Any, path: Path) -> None:
    wraps = set()
    for n in range(12):
        rig.open(root_uses=5).ensure([path(n)])
        wraps.add(rig.store.current.record.wrapped)
    assert len(wraps) >= 3


def test_a_forgetting_that_comes_second_takes_the_version_of_the_first(
    rig: Any, path: Path, subject: Callable[[int], str]
) -> None:
    tree, other = rig.open(), rig.open()
    keys = tree.ensure([path(n) for n in range(9)])

    def first(_moment: str) -> None:
        rig.store.on_commit = lambda _: None
        other.forget([Prefix(subject(1))], key_version=rig.rotate())

    rig.store.on_commit = first
    done = tree.forget([Prefix(subject(2))], key_version=1)
    rig.trim(2)
    assert done.key_version == 2
    reader = rig.open()
    assert {path(n): reader.lookup(path(n)) for n in (0, *range(3, 9))} == {
        p: keys[p] for p in map(path, (0, *range(3, 9)))
    }


# -- moving ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def other_vault() -> FakeTransit:
    vault = FakeTransit()
    vault.admin().ensure("acme-in-the-other-vault")
    return vault


def test_a_tree_moves_to_another_vault_while_it_is_read(rig: Any, path: Path, other_vault: FakeTransit) -> None:
    old, new = rig.transit.tenant_key("tenant-acme"), other_vault.tenant_key("acme-in-the-other-vault")
    for _ in range(3):
        rig.rotate()
    keys = KeyTree.open("acme", rig.store, old).ensure([path(n) for n in range(20)])
    moving = MovingKey(new, old)
    readers = [KeyTree.open("acme", rig.store, moving) for _ in range(2)]
    done = readers[0].rewrap(key_version=1)
    assert done.key_version == 1
    for reader in readers:
        reader.refresh()
        assert {p: reader.lookup(p) for p in keys} == keys
    rig.transit.admin().destroy("tenant-acme")
    after = KeyTree.open("acme", rig.store, new)
    assert {p: after.lookup(p) for p in keys} == keys


def test_a_moved_tree_does_not_open_with_the_old_key_alone(rig: Any, path: Path, other_vault: FakeTransit) -> None:
    old, new = rig.transit.tenant_key("tenant-acme"), other_vault.tenant_key("acme-in-the-other-vault")
    KeyTree.open("acme", rig.store, old).ensure([path(1)])
    KeyTree.open("acme", rig.store, MovingKey(new, old)).rewrap(key_version=1)
    with pytest.raises(KeyDestroyedError):
        KeyTree.open("acme", rig.store, old)


def test_moving_again_after_a_crash_is_harmless(rig: Any, path: Path, other_vault: FakeTransit) -> None:
    old, new = rig.transit.tenant_key("tenant-acme"), other_vault.tenant_key("acme-in-the-other-vault")
    keys = KeyTree.open("acme", rig.store, old).ensure([path(1)])

    def crash(moment: str) -> None:
        if moment == "after":
            raise SystemExit

    rig.store.on_commit = crash
    with pytest.raises(SystemExit):
        KeyTree.open("acme", rig.store, MovingKey(new, old)).rewrap(key_version=1)
    rig.store.on_commit = lambda _: None
    KeyTree.open("acme", rig.store, MovingKey(new, old)).rewrap(key_version=1)
    assert KeyTree.open("acme", rig.store, new).lookup(path(1)) == keys[path(1)]


def test_what_is_forgotten_while_moving_is_gone_from_both(
    rig: Any, path: Path, subject: Callable[[int], str], other_vault: FakeTransit
) -> None:
    old, new = rig.transit.tenant_key("tenant-acme"), other_vault.tenant_key("acme-in-the-other-vault")
    KeyTree.open("acme", rig.store, old).ensure([path(1), path(2)])
    before, nodes = rig.store.current, dict(rig.store.kept)
    KeyTree.open("acme", rig.store, MovingKey(new, old)).forget([Prefix(subject(1))], key_version=1)
    rig.transit.admin().destroy("tenant-acme")
    rig.store.current, rig.store.kept = before, nodes
    with pytest.raises(KeyDestroyedError):
        KeyTree.open("acme", rig.store, MovingKey(new, old))


def test_an_old_vault_that_is_away_is_no_reason_to_call_a_key_destroyed(
    rig: Any, path: Path, other_vault: FakeTransit
) -> None:
    old, new = rig.transit.tenant_key("tenant-acme"), other_vault.tenant_key("acme-in-the-other-vault")
    KeyTree.open("acme", rig.store, old).ensure([path(1)])
    rig.transit.unreachable = True
    with pytest.raises(KeysUnavailableError):
        KeyTree.open("acme", rig.store, MovingKey(new, old))
