"""Copies of the tree: complete, verified, and rid of what died."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Any

import pytest

from imagint_privacy.errors import CopyFailedError, StorageUnavailableError
from imagint_privacy.keys.paths import KeyPath
from imagint_privacy.keys.tree import KeyTree
from imagint_privacy.records.copying import CopiedTree
from imagint_privacy.records.objects import Objects


def test_a_copy_opens_as_a_tree_of_its_own_and_holds_nothing_forgotten(rig: Any) -> None:
    library = rig.open()
    ann, bob = rig.keep(library, "ann", "1"), rig.keep(library, "bob", "2")
    library.copy_tree()
    rig.erase(library, "req", ann)
    for url in rig.storage.tree_copies:
        copied: KeyTree[None] = KeyTree.open("acme", CopiedTree(Objects(url)), rig.transit.tenant_key("tenant-acme"))
        assert len(copied.paths(bob)) == 2
        assert copied.paths(ann) == ()
        with pytest.raises(StorageUnavailableError):
            copied.forget([], key_version=1)


def test_a_copy_holds_exactly_the_nodes_of_the_tree_after_each_erasure(rig: Any) -> None:
    library = rig.open()
    people = [rig.keep(library, f"person {n}", str(n)) for n in range(30)]
    for number in range(3):
        library.copy_tree()
        rig.erase(library, f"req-{number}", people[number])
        with sqlite3.connect(library.context.database.file) as raw:
            live = {digest.hex() for (digest,) in raw.execute("SELECT digest FROM tree_nodes")}
            assert raw.execute("SELECT count(*) FROM tree_dead").fetchone() == (0,)
        for store in library.context.copies:
            assert {name.rsplit("/", 1)[1] for name in store.list("nodes")} == live
            assert len(store.list("roots")) == 1


def test_only_new_nodes_are_copied_and_an_emptied_copy_is_filled_again(
    rig: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = rig.open()
    people = [library.handle(f"person {number}") for number in range(300)]
    library.tree.ensure([KeyPath(person, "images", "2026-11") for person in people])
    library.copy_tree()
    store = library.context.copies[0]
    written: list[str] = []
    put_many = store.put_many

    def noting(items: Iterable[tuple[str, bytes]]) -> int:
        listed = list(items)
        written.extend(name for name, _ in listed)
        return int(put_many(listed))

    monkeypatch.setattr(store, "put_many", noting)
    rig.keep(library, "one more", "more")
    library.copy_tree()
    assert 3 <= len(written) <= 5
    everything = store.list()
    store.delete(everything)
    written.clear()
    library.copy_tree()
    assert len(written) > 5
    assert CopiedTree(store).generation() == library.status().generation


def test_a_copy_that_does_not_read_back_stops_the_erasure(rig: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    library = rig.open()
    ann = rig.keep(library, "ann", "1")
    library.erasures.fence("req", ann, received_at=rig.now())
    rig.rotate()
    library.erasures.commit("req", 2)
    store = library.context.copies[1]
    monkeypatch.setattr(store, "get", lambda _: b"something else")
    with pytest.raises(CopyFailedError):
        library.erasures.copies("req")
    assert library.erasures.status("req").state == "Committed"
    monkeypatch.undo()
    monkeypatch.setattr(store, "put_many", lambda _: (_ for _ in ()).throw(StorageUnavailableError("full")))
    with pytest.raises(CopyFailedError):
        library.erasures.copies("req")
    monkeypatch.undo()
    assert library.erasures.copies("req").state == "Copied"
