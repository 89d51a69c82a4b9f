"""Garbage in copies and in the database is found and goes; nothing that a root needs ever does.

The state machine copies, commits, forgets, sweeps and collects with two processes in turn, lets one act in the middle
of the other's copy, and kills copies at any write. After every step each copy's newest root must open whole; when all
is quiet, a copy and a collection leave exactly the live nodes.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from imagint_privacy import subjects
from imagint_privacy.errors import CopyFailedError, NodeTamperedError
from imagint_privacy.keys.fakes import FakeTransit
from imagint_privacy.keys.paths import KeyPath, Prefix
from imagint_privacy.records import database, objects
from imagint_privacy.records.collecting import collect_copy, collect_nodes
from imagint_privacy.records.copying import copy_tree, sweep_copies
from imagint_privacy.records.library import Library, StorageSettings
from imagint_privacy.records.objects import Objects
from imagint_privacy.records.verifying import verify_held, verify_opening

KEY = "tenant-acme"


def live(library: Library) -> set[str]:
    with sqlite3.connect(str(library.context.database.file)) as raw:
        found = {digest.hex() for (digest,) in raw.execute("SELECT digest FROM tree_nodes")}
    raw.close()
    return found


def held(store: Objects) -> set[str]:
    return {name.rsplit("/", 1)[1] for name in store.list("nodes")}


def test_left_overs_of_every_kind_are_found_and_only_deleted_when_asked(rig: Any) -> None:
    library = rig.open()
    rig.keep(library, "ann", "1")
    library.copy_tree()
    store = library.context.copies[0]
    whole = set(store.list())
    store.put(f"nodes/ab/ab{'0' * 62}", b"never recorded")
    store.put("roots/00000000000000000001.json", b"of an older generation")
    staged = store.folder / "nodes" / "ab" / f"ab{'1' * 62}#1"
    staged.write_bytes(b"half written")
    assert collect_copy(library.context.database, store, apply=False).garbage == 2
    os.utime(staged, (time.time() - 90_000,) * 2)
    assert collect_copy(library.context.database, store, apply=False).garbage == 3
    assert staged.exists()
    found = collect_copy(library.context.database, store, apply=True)
    assert (found.garbage, found.deleted, staged.exists()) == (3, 3, False)
    assert set(store.list()) == whole
    assert collect_copy(library.context.database, store, apply=True).garbage == 0


def test_a_copy_that_the_database_does_not_know_is_not_touched(rig: Any) -> None:
    library = rig.open()
    rig.keep(library, "ann", "1")
    store = library.context.copies[0]
    with pytest.raises(CopyFailedError, match="copy the tree first"):
        collect_copy(library.context.database, store, apply=True)
    library.copy_tree()
    newest = max(store.list("roots"))
    store.put("roots/00000000000000000099.json", store.get(newest))  # another database was ahead
    with pytest.raises(CopyFailedError, match="copy the tree first"):
        collect_copy(library.context.database, store, apply=True)


def test_a_node_that_died_since_stays_as_long_as_the_copys_own_root_needs_it(rig: Any) -> None:
    library = rig.open()
    ann = rig.keep(library, "ann", "1")
    library.copy_tree()
    store = library.context.copies[0]
    rig.rotate()
    library.tree.forget([Prefix(ann)], key_version=2)
    assert collect_copy(library.context.database, store, apply=True).garbage == 0
    assert verify_opening("acme", store, rig.transit.tenant_key(KEY)).whole


def test_a_stray_node_in_the_database_is_found_and_a_damaged_tree_is_left_alone(rig: Any) -> None:
    library = rig.open()
    rig.keep(library, "ann", "1")
    wrapper = library.context.guard
    assert collect_nodes("acme", library.context.database, wrapper, apply=True).garbage == 0
    with library.context.database.write() as connection:
        connection.exec_driver_sql("INSERT INTO tree_nodes VALUES (?, ?, 1)", (b"s" * 32, b"stray"))
    assert collect_nodes("acme", library.context.database, wrapper, apply=False).garbage == 1
    assert collect_nodes("acme", library.context.database, wrapper, apply=True).deleted == 1
    assert collect_nodes("acme", library.context.database, wrapper, apply=True).garbage == 0
    with library.context.database.write() as connection:
        connection.exec_driver_sql("UPDATE tree_nodes SET sealed = substr(sealed, 2)")
    with pytest.raises(NodeTamperedError):
        collect_nodes("acme", library.context.database, wrapper, apply=True)


def test_a_whole_copy_is_verified_with_and_without_keys_and_damage_is_told_apart(rig: Any) -> None:
    library = rig.open()
    people = [library.handle(f"person {number}") for number in range(300)]
    library.tree.ensure([KeyPath(person, "images", "2026-11") for person in people])
    store, key = library.context.copies[0], rig.transit.tenant_key(KEY)
    assert not verify_held(library.context.database, store).whole
    assert not verify_opening("acme", store, key).whole
    library.copy_tree()
    seen: list[int] = []
    opened = verify_opening("acme", store, key, seen.append)
    assert (opened.whole, opened.subjects, opened.nodes) == (True, 301, len(live(library)))
    assert seen[-1] == opened.nodes
    assert verify_held(library.context.database, store).nodes == opened.nodes
    root = library.tree.root().digest.hex()
    first, second = [name for name in store.list("nodes") if not name.endswith(root)][:2]
    store.delete([first])
    store.put(second, b"\1" + bytes(60))
    for found in (verify_opening("acme", store, key), verify_held(library.context.database, store)):
        assert (found.missing, found.damaged, found.whole) == (1, 1, False)


class Cut(BaseException):
    """The process is gone."""


class TwoCopiers(RuleBasedStateMachine):
    """Two processes on one tenant with one copy."""

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.transit = FakeTransit()
        self.transit.admin().ensure(KEY)
        self.version, self.people = 1, 0
        self.libraries = [self.opened("one"), self.opened("two")]

    def opened(self, replica: str) -> Library:
        place = self.folder
        storage = StorageSettings(f"sqlite:///{place}/records.db", f"file://{place}/objects", (f"file://{place}/copy",))
        return Library.open("acme", storage, self.transit.tenant_key(KEY), key_name=KEY, replica=replica)

    def store(self, who: int) -> Objects:
        return self.libraries[who].context.copies[0]

    def act(self, who: int, action: str) -> None:
        library = self.libraries[who]
        with suppress(CopyFailedError):
            match action:
                case "insert":
                    self.people += 1
                    name = subjects.handle(b"k" * 32, str(self.people))
                    library.tree.ensure([KeyPath(name, "images", "2026-11")])
                case "forget":
                    name = subjects.handle(b"k" * 32, str(self.people))
                    self.version = self.transit.admin().rotate(KEY)
                    library.tree.forget([Prefix(name)], key_version=self.version)
                case "copy":
                    copy_tree(library.context)
                case "sweep":
                    sweep_copies(library.context)
                case "collect":
                    collect_copy(library.context.database, self.store(who), apply=True)

    @rule(who=st.integers(0, 1), action=st.sampled_from(["insert", "forget", "copy", "sweep", "collect"]))
    def alone(self, who: int, action: str) -> None:
        self.act(who, action)

    @rule(
        who=st.integers(0, 1),
        at=st.integers(1, 8),
        actions=st.lists(st.sampled_from(["insert", "forget", "copy", "sweep", "collect"]), max_size=4),
        cut=st.booleans(),
    )
    def in_the_middle_of_a_copy(self, who: int, at: int, actions: list[str], cut: bool) -> None:
        store, passed = self.store(who), 0

        def between(call: Callable[..., Any]) -> Callable[..., Any]:
            def called(*given: Any) -> Any:
                nonlocal passed
                passed += 1
                if passed == at:
                    for action in actions:
                        self.act(1 - who, action)
                    if cut:
                        raise Cut
                return call(*given)

            return called

        def one_by_one(items: Iterable[tuple[str, bytes]]) -> int:
            return sum(put([item]) for item in items)

        put, get = between(store.put_many), between(store.get)
        store.put_many = one_by_one  # type: ignore[assignment,method-assign]
        store.get = get  # type: ignore[method-assign]
        try:
            self.act(who, "copy")
        except Cut:
            self.libraries[who] = self.opened(f"again-{passed}")
        finally:
            vars(store).pop("put_many"), vars(store).pop("get")

    @invariant()
    def the_copys_newest_root_opens_whole(self) -> None:
        if not hasattr(self, "libraries"):
            return
        store = self.store(0)
        if store.list("roots"):
            found = verify_opening("acme", store, self.transit.tenant_key(KEY))
            assert found.whole, found

    def teardown(self) -> None:
        if not hasattr(self, "libraries"):
            return
        library, store = self.libraries[0], self.store(0)
        copy_tree(library.context)
        sweep_copies(library.context)
        collect_copy(library.context.database, store, apply=True)
        assert held(store) == live(library)
        assert len(store.list("roots")) == 1
        assert verify_held(library.context.database, store).whole
        assert collect_nodes("acme", library.context.database, library.context.guard, apply=False).garbage == 0
        for opened in self.libraries:
            opened.close()
        shutil.rmtree(self.folder)


def test_whatever_two_processes_do_a_copy_opens_whole_and_its_garbage_goes_to_zero(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(objects, "_sync", lambda *_: None)
    monkeypatch.setattr(database, "_PRAGMAS", (*database._PRAGMAS, "PRAGMA synchronous = OFF"))
    TwoCopiers.TestCase.settings = settings(
        max_examples=int(os.environ.get("IMAGINT_TEST_EXAMPLES", "25")),
        stateful_step_count=25,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    TwoCopiers.TestCase().runTest()
