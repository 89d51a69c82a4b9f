"""What a tree store must do, asked of the one in memory and of the one in SQL alike."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from imagint_privacy.errors import GenerationConflictError
from imagint_privacy.keys.fakes import MemoryTreeStore
from imagint_privacy.keys.ports import RootRecord, TreeChange
from imagint_privacy.records import migrating
from imagint_privacy.records.database import Database
from imagint_privacy.records.nodes import SqlTreeStore


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    if request.param == "memory":
        yield MemoryTreeStore()
        return
    url = f"sqlite:///{tmp_path}/records.db"
    if request.param == "postgresql":
        new_database: Callable[[], str] = request.getfixturevalue("new_database")
        url = new_database()
    database = Database(url)
    with database.write() as connection:
        migrating.migrate(connection)
    yield SqlTreeStore(database)
    database.close()


def change(expected: int, fresh: dict[bytes, bytes], dead: tuple[bytes, ...] = ()) -> TreeChange:
    generation = expected + 1
    digest = b"root %d" % generation
    record = RootRecord(generation, 1, "vault:v1:x", digest)
    return TreeChange(expected, record, {**fresh, digest: b"sealed root"}, dead)


def test_an_empty_store_has_no_root(store: Any) -> None:
    assert store.head() is None
    assert store.generation() == 0


def test_a_commit_is_read_back(store: Any) -> None:
    made = change(0, {b"a": b"node a"})
    store.commit(made)
    assert store.generation() == 1
    assert store.head().record == made.root
    assert store.head().sealed == b"sealed root"
    assert dict(store.nodes([b"a", b"b"])) == {b"a": b"node a"}


def test_a_commit_drops_what_died(store: Any) -> None:
    store.commit(change(0, {b"a": b"node a", b"b": b"node b"}))
    store.commit(change(1, {b"c": b"node c"}, (b"a", b"root 1")))
    assert dict(store.nodes([b"a", b"b", b"c", b"root 1"])) == {b"b": b"node b", b"c": b"node c"}


@pytest.mark.parametrize("expected", [0, 2])
def test_a_commit_on_another_generation_is_refused_and_changes_nothing(store: Any, expected: int) -> None:
    store.commit(change(0, {b"a": b"node a"}))
    with pytest.raises(GenerationConflictError):
        store.commit(change(expected, {b"b": b"node b"}, (b"a",)))
    assert store.generation() == 1
    assert dict(store.nodes([b"a", b"b"])) == {b"a": b"node a"}


def test_what_runs_alongside_can_undo_the_commit(store: Any) -> None:
    store.commit(change(0, {}))

    def refuse(_tx: Any, _change: TreeChange) -> None:
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        store.commit(change(1, {b"b": b"node b"}), refuse)
    assert store.generation() == 1
    assert dict(store.nodes([b"b"])) == {}


def test_many_nodes_are_committed_and_read_at_once(store: Any) -> None:
    nodes = {b"%05d" % number: b"node %d" % number for number in range(5000)}
    store.commit(change(0, nodes))
    assert dict(store.nodes(nodes)) == nodes
    store.commit(change(1, {}, tuple(nodes)))
    assert dict(store.nodes(nodes)) == {}


def test_of_two_first_roots_one_is_refused(store: Any) -> None:
    store.commit(change(0, {b"a": b"node a"}))
    with pytest.raises(GenerationConflictError):
        store.commit(change(0, {b"b": b"node b"}))
    assert dict(store.nodes([b"a", b"b"])) == {b"a": b"node a"}


def test_of_two_commits_at_once_one_is_refused_and_nothing_of_it_is_kept(store: Any) -> None:
    store.commit(change(0, {}))
    together = threading.Barrier(2)
    outcomes: list[bytes | None] = []

    def commit(name: bytes) -> None:
        together.wait()
        try:
            store.commit(change(1, {name: name}))
        except GenerationConflictError:
            outcomes.append(None)
        else:
            outcomes.append(name)

    threads = [threading.Thread(target=commit, args=(name,)) for name in (b"a", b"b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (kept,) = [name for name in outcomes if name is not None]
    assert dict(store.nodes([b"a", b"b"])) == {kept: kept}
    assert store.generation() == 2
