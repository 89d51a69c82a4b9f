"""What of a tree is in memory: wiped when it is dropped or forgotten, and within its bounds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from imagint_privacy.errors import StorageUnavailableError
from imagint_privacy.keys.paths import KeyPath, Prefix

Path = Callable[..., KeyPath]


def test_dropping_wipes_every_buffer(rig: Any, path: Path) -> None:
    tree = rig.open()
    tree.ensure([path(n) for n in range(50)])
    tree.lookup(path(1))
    nodes = list(tree._view.nodes._nodes.values())
    keys = list(tree._view.keys._keys.values())
    opened = tree._view.open
    assert opened is not None
    assert nodes
    assert keys
    tree.drop()
    assert not any(any(buffer) for buffer in (*nodes, *keys, opened.key, opened.root))


def test_forgetting_wipes_what_was_open_of_the_forgotten(rig: Any, path: Path, subject: Callable[[int], str]) -> None:
    tree = rig.open()
    keys = tree.ensure([path(n) for n in range(50)])
    nodes, held = dict(tree._view.nodes._nodes), dict(tree._view.keys._keys)
    key, root = tree._view.open.key, tree._view.open.root
    tree.forget([Prefix(subject(1)), Prefix(subject(2), "images")], key_version=1)
    assert not any(key)
    assert not any(root)
    dead = set(nodes) - set(rig.store.kept)
    assert dead
    assert not any(any(nodes[digest]) for digest in dead)
    assert not any(any(held[path(n)]) for n in (1, 2))
    assert not any(keys[path(n)] in bytes(node) for n in (1, 2) for node in tree._view.nodes._nodes.values())


def test_forgetting_leaves_what_survives_in_memory(rig: Any, path: Path, subject: Callable[[int], str]) -> None:
    tree = rig.open()
    keys = tree.ensure([path(n) for n in range(500)])
    tree.forget([Prefix(subject(1))], key_version=1)
    rig.store.kept = {}
    assert {path(n): tree.lookup(path(n)) for n in range(2, 500)} == {path(n): keys[path(n)] for n in range(2, 500)}
    assert set(tree._view.nodes._nodes) <= set(rig.store.ever)


def test_the_caches_stay_within_their_bounds_and_the_tree_stays_right(rig: Any, path: Path) -> None:
    tree = rig.open(cache_bytes=2000, cache_keys=5)
    paths = [path(n) for n in range(200)]
    keys = {p: key for at in range(0, 200, 10) for p, key in tree.ensure(paths[at : at + 10]).items()}
    assert {p: tree.lookup(p) for p in paths} == keys
    assert tree._view.nodes._bytes <= 2000
    assert len(tree._view.keys) <= 5


def test_forgetting_leaves_nothing_of_what_another_process_replaced(
    rig: Any, path: Path, subject: Callable[[int], str]
) -> None:
    tree, other = rig.open(), rig.open()
    key = tree.ensure([path(1)])[path(1)]
    other.ensure([path(n) for n in range(2, 6)])
    tree.refresh()
    tree.forget([Prefix(subject(1))], key_version=1)
    assert not any(key in bytes(node) for node in tree._view.nodes._nodes.values())


def test_following_a_store_that_does_not_answer_drops_what_was_open(
    rig: Any, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = rig.open()
    tree.ensure([path(1)])

    def fail() -> None:
        raise StorageUnavailableError("the database does not answer")

    monkeypatch.setattr(rig.store, "generation", fail)
    monkeypatch.setattr(rig.store, "head", fail)
    rig.time += 60
    with pytest.raises(StorageUnavailableError):
        tree.refresh()
    assert (tree._view.open, len(tree._view.nodes), len(tree._view.keys)) == (None, 0, 0)
