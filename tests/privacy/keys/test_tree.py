"""The key tree on true fakes: what is forgotten is gone, what is not stays, and nothing else is believed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from imagint_privacy.errors import (
    ForeignTreeError,
    GenerationConflictError,
    KeyDestroyedError,
    KeysUnavailableError,
    KeyVersionBehindError,
    NodeTamperedError,
    StaleTreeError,
    StorageUnavailableError,
    TreeContendedError,
)
from imagint_privacy.keys.paths import KeyPath, Prefix
from imagint_privacy.keys.ports import Head
from imagint_privacy.keys.tree import KeyTree, TreeOptions

Path = Callable[..., KeyPath]


def test_a_key_is_random_and_stays_the_same(rig: Any, path: Path) -> None:
    tree = rig.open()
    one, other = path(1), path(2)
    keys = tree.ensure([one, other])
    assert len(set(keys.values())) == 2
    assert all(len(key) == 32 for key in keys.values())
    assert tree.ensure([one]) == {one: keys[one]}
    assert rig.open().lookup(one) == keys[one]


def test_what_never_was_has_no_key(rig: Any, path: Path) -> None:
    with pytest.raises(KeyDestroyedError):
        rig.open().lookup(path(1))


def test_a_thousand_subjects_are_found_listed_and_counted(rig: Any, path: Path, subject: Callable[[int], str]) -> None:
    tree = rig.open()
    paths = [path(n, category) for n in range(1000) for category in ("images", "prompts")]
    keys = {key: value for at in range(0, 2000, 250) for key, value in tree.ensure(paths[at : at + 250]).items()}
    again = rig.open()
    assert {p: again.lookup(p) for p in paths} == keys
    assert again.count() == 1000
    assert set(again.subjects(2000)) == {subject(n) for n in range(1000)}
    assert len(again.subjects(7, start=b"\xf0\x00")) == 7
    assert again.paths(subject(3)) == (path(3, "images"), path(3, "prompts"))
    assert again.paths(subject(1001)) == ()


def test_listing_from_the_end_goes_on_from_the_beginning(rig: Any, path: Path) -> None:
    tree = rig.open()
    tree.ensure([path(n) for n in range(10)])
    assert len(tree.subjects(10, start=b"\xff" * 16)) == 10


@pytest.mark.parametrize(
    ("prefix", "gone"),
    [
        (("images", "2026-11"), {("images", "2026-11")}),
        (("images",), {("images", "2026-11"), ("images", "2026-12")}),
        ((), {("images", "2026-11"), ("images", "2026-12"), ("prompts", "2026-11")}),
    ],
    ids=["one period", "one category", "everything"],
)
def test_forgetting_takes_exactly_what_was_named(
    rig: Any, path: Path, subject: Callable[[int], str], prefix: tuple[str, ...], gone: set[tuple[str, str]]
) -> None:
    tree = rig.open()
    parts = [("images", "2026-11"), ("images", "2026-12"), ("prompts", "2026-11")]
    keys = tree.ensure([path(n, *part) for n in range(50) for part in parts])
    version = rig.rotate()
    done = tree.forget([Prefix(subject(7), *prefix)], key_version=version)
    assert (done.paths, done.key_version) == (len(gone), version)
    for reader in (tree, rig.open()):
        for known, key in keys.items():
            if known.subject == subject(7) and (known.category, known.period) in gone:
                with pytest.raises(KeyDestroyedError):
                    reader.lookup(known)
            else:
                assert reader.lookup(known) == key


def test_a_subject_who_comes_back_gets_another_key(rig: Any, path: Path, subject: Callable[[int], str]) -> None:
    tree = rig.open()
    before = tree.ensure([path(1)])
    tree.forget([Prefix(subject(1))], key_version=1)
    assert tree.ensure([path(1)]) != before


def test_forgetting_everybody_leaves_an_empty_tree(rig: Any, path: Path, subject: Callable[[int], str]) -> None:
    tree = rig.open()
    tree.ensure([path(n) for n in range(100)])
    assert tree.forget([Prefix(subject(n)) for n in range(100)], key_version=1).paths == 100
    assert (tree.count(), len(rig.store.kept)) == (0, 1)
    tree.ensure([path(1)])
    assert tree.count() == 1


def test_forgetting_what_is_not_there_still_wraps_a_fresh_root(rig: Any, subject: Callable[[int], str]) -> None:
    tree = rig.open()
    before = tree.root()
    version = rig.rotate()
    assert tree.forget([Prefix(subject(1))], key_version=version).paths == 0
    after = tree.root()
    assert (after.key_version, after.generation) == (version, before.generation + 1)
    assert after.wrapped != before.wrapped


def test_only_the_root_is_ever_wrapped_and_inserting_asks_vault_for_nothing(rig: Any, path: Path) -> None:
    tree = rig.open()
    rig.transit.calls.clear()
    tree.ensure([path(n) for n in range(100)])
    assert rig.transit.calls == []


def test_a_version_that_does_not_exist_yet_is_refused_and_nothing_changes(
    rig: Any, path: Path, subject: Callable[[int], str]
) -> None:
    tree = rig.open()
    keys = tree.ensure([path(1)])
    with pytest.raises(KeyVersionBehindError):
        tree.forget([Prefix(subject(1))], key_version=2)
    assert tree.lookup(path(1)) == keys[path(1)]


def test_every_node_key_on_the_way_is_fresh_and_the_others_stay(
    rig: Any, path: Path, subject: Callable[[int], str]
) -> None:
    tree = rig.open()
    tree.ensure([path(n) for n in range(500)])
    before = set(rig.store.kept)
    tree.forget([Prefix(subject(1))], key_version=1)
    after = set(rig.store.kept)
    assert 2 <= len(before - after) <= 4
    assert len(after - before) <= len(before - after)


# -- several processes -----------------------------------------------------------------------------------------------


def test_two_processes_insert_without_losing_either(rig: Any, path: Path) -> None:
    one, other = rig.open(), rig.open()
    keys = dict(one.ensure([path(1)]))
    keys |= other.ensure([path(2)])
    keys |= one.ensure([path(3)])
    for tree in (one, other, rig.open()):
        assert {p: tree.lookup(p) for p in keys} == keys


def test_two_processes_that_ensure_the_same_path_get_the_same_key(rig: Any, path: Path) -> None:
    one, other = rig.open(), rig.open()
    assert one.ensure([path(1)]) == other.ensure([path(1)])


def test_another_process_forgets_within_the_age_of_its_cache(
    rig: Any, path: Path, subject: Callable[[int], str]
) -> None:
    one, other = rig.open(), rig.open()
    one.ensure([path(1)])
    other.lookup(path(1))
    one.forget([Prefix(subject(1))], key_version=1)
    other.lookup(path(1))
    rig.time = 5.0
    with pytest.raises(KeyDestroyedError):
        other.lookup(path(1))


def test_another_process_forgets_at_once_when_it_refreshes(rig: Any, path: Path, subject: Callable[[int], str]) -> None:
    one, other = rig.open(), rig.open()
    one.ensure([path(1)])
    other.lookup(path(1))
    done = one.forget([Prefix(subject(1))], key_version=1)
    assert other.refresh() == done.generation
    with pytest.raises(KeyDestroyedError):
        other.lookup(path(1))


def test_a_process_follows_an_insertion_under_a_forgotten_root(
    rig: Any, path: Path, subject: Callable[[int], str]
) -> None:
    one, other = rig.open(), rig.open()
    one.ensure([path(1), path(2)])
    version = rig.rotate()
    one.forget([Prefix(subject(1))], key_version=version)
    rig.trim(version)
    keys = other.ensure([path(3)])
    assert one.lookup(path(3)) == keys[path(3)]
    with pytest.raises(KeyDestroyedError):
        other.lookup(path(1))


def test_a_writer_who_always_comes_second_gives_up_by_name(rig: Any, path: Path) -> None:
    tree = rig.open()

    def always_second(_moment: str) -> None:
        raise GenerationConflictError("somebody was first")

    rig.store.on_commit = always_second
    with pytest.raises(TreeContendedError):
        tree.ensure([path(1)])


# -- Vault -----------------------------------------------------------------------------------------------------------


def test_without_vault_everything_stops_when_the_age_of_the_cache_is_over(rig: Any, path: Path) -> None:
    tree = rig.open()
    keys = tree.ensure([path(1)])
    rig.transit.sealed = True
    rig.time = 4.9
    assert tree.lookup(path(1)) == keys[path(1)]
    rig.time = 5.0
    for call in (lambda: tree.lookup(path(1)), lambda: tree.ensure([path(2)]), tree.refresh, tree.root):
        with pytest.raises(KeysUnavailableError):
            call()
    rig.transit.sealed = False
    assert tree.lookup(path(1)) == keys[path(1)]


def test_a_vault_that_fails_while_forgetting_leaves_the_old_tree(
    rig: Any, path: Path, subject: Callable[[int], str]
) -> None:
    tree = rig.open()
    keys = tree.ensure([path(1)])
    rig.transit.unreachable = True
    with pytest.raises(KeysUnavailableError):
        tree.forget([Prefix(subject(1))], key_version=1)
    rig.transit.unreachable = False
    assert tree.lookup(path(1)) == keys[path(1)]


def test_an_old_tree_opens_for_nobody_after_the_trim(rig: Any, path: Path, subject: Callable[[int], str]) -> None:
    tree = rig.open()
    tree.ensure([path(1)])
    old, nodes = rig.store.current, dict(rig.store.kept)
    version = rig.rotate()
    tree.forget([Prefix(subject(1))], key_version=version)
    rig.trim(version)
    rig.store.current, rig.store.kept = old, nodes
    with pytest.raises(KeyDestroyedError):
        rig.open()
    with pytest.raises(StaleTreeError):
        tree.refresh()


# -- a store that lies or fails --------------------------------------------------------------------------------------


def _cut(sealed: bytes) -> bytes:
    return sealed[:-1]


def _flipped(sealed: bytes) -> bytes:
    return sealed[:-1] + bytes([sealed[-1] ^ 1])


@pytest.mark.parametrize("change", [_cut, _flipped, lambda _: b"", lambda _: b"\2" + bytes(60)])
def test_a_changed_node_is_refused_by_name(rig: Any, path: Path, change: Callable[[bytes], bytes]) -> None:
    rig.open().ensure([path(n) for n in range(100)])
    root = rig.store.current.record.digest
    for digest in rig.store.kept:
        if digest != root:
            rig.store.kept[digest] = change(rig.store.kept[digest])
    with pytest.raises(NodeTamperedError):
        rig.open().lookup(path(1))


@pytest.mark.parametrize("change", [_cut, _flipped, lambda _: b""])
def test_a_changed_root_is_refused_by_name(rig: Any, path: Path, change: Callable[[bytes], bytes]) -> None:
    rig.open().ensure([path(1)])
    rig.store.current = Head(rig.store.current.record, change(rig.store.current.sealed))
    with pytest.raises(NodeTamperedError):
        rig.open()


def test_two_nodes_swapped_are_refused_by_name(rig: Any, path: Path) -> None:
    rig.open().ensure([path(n) for n in range(100)])
    one, other = [digest for digest in rig.store.kept if digest != rig.store.current.record.digest][:2]
    rig.store.kept[one], rig.store.kept[other] = rig.store.kept[other], rig.store.kept[one]
    tree = rig.open()
    with pytest.raises(NodeTamperedError):
        [tree.lookup(path(n)) for n in range(100)]


def test_an_older_root_under_a_newer_generation_is_refused_by_name(rig: Any, path: Path) -> None:
    tree = rig.open()
    tree.ensure([path(1)])
    old = rig.store.current
    tree.ensure([path(2)])
    record = replace(old.record, generation=rig.store.current.record.generation)
    rig.store.current = Head(record, old.sealed)
    with pytest.raises(NodeTamperedError):
        rig.open()


def test_another_tenants_tree_is_refused_by_name(rig: Any, path: Path) -> None:
    rig.open().ensure([path(1)])
    with pytest.raises(ForeignTreeError):
        KeyTree.open("other", rig.store, rig.transit.tenant_key("tenant-acme"))


@pytest.mark.parametrize("act", ["look up", "insert", "forget"])
def test_a_node_that_is_gone_for_good_is_named_at_once(rig: Any, path: Path, act: str) -> None:
    rig.open().ensure([path(1)])
    tree, calls = rig.open(), len(rig.transit.calls)
    for digest in set(rig.store.kept) - {rig.store.current.record.digest}:
        del rig.store.kept[digest]
    acts: dict[str, Callable[[], object]] = {
        "look up": lambda: tree.lookup(path(1)),
        "insert": lambda: tree.ensure([path(1)]),
        "forget": lambda: tree.forget([Prefix(path(1).subject)], key_version=1),
    }
    with pytest.raises(NodeTamperedError, match=r"node [0-9a-f]{16} is not in the store"):
        acts[act]()
    assert len(rig.transit.calls) - calls < 8


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_store_that_fails_in_a_commit_leaves_the_old_or_the_new_tree(
    rig: Any, path: Path, subject: Callable[[int], str], moment: str
) -> None:
    tree = rig.open()
    keys = tree.ensure([path(1), path(2)])

    def fail(now: str) -> None:
        if now == moment:
            raise StorageUnavailableError("the disk is full")

    rig.store.on_commit = fail
    with pytest.raises(StorageUnavailableError):
        tree.forget([Prefix(subject(1))], key_version=1)
    rig.store.on_commit = lambda _: None
    for reader in (tree, rig.open()):
        assert reader.lookup(path(2)) == keys[path(2)]
        if moment == "before":
            assert reader.lookup(path(1)) == keys[path(1)]
        else:
            with pytest.raises(KeyDestroyedError):
                reader.lookup(path(1))


def test_what_runs_alongside_a_commit_can_undo_it(rig: Any, path: Path) -> None:
    tree = rig.open()

    def refuse(_tx: None, _change: object) -> None:
        raise KeyDestroyedError("fenced")

    with pytest.raises(KeyDestroyedError, match="fenced"):
        tree.ensure([path(1)], refuse)
    with pytest.raises(KeyDestroyedError, match="no key"):
        tree.lookup(path(1))


def test_the_default_options_hold_real_time_and_randomness(rig: Any, path: Path) -> None:
    tree = KeyTree.open("acme", rig.store, rig.transit.tenant_key("tenant-acme"), TreeOptions())
    assert tree.ensure([path(1)]) == {path(1): tree.lookup(path(1))}
