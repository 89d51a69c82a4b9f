"""Threads that want keys at once share a commit, and none of them answers for another."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from imagint_privacy.errors import (
    KeyDestroyedError,
    LateWriteError,
    NodeTamperedError,
    StorageUnavailableError,
    TreeLimitError,
)
from imagint_privacy.keys import leaves
from imagint_privacy.keys.groups import Group, Insertion, Waiting
from imagint_privacy.keys.paths import KeyPath

Path = Callable[..., KeyPath]
THREADS = 16


class Held:
    """Holds the first commit until everybody else waits for the tree, then lets all go."""

    def __init__(self, tree: Any, store: Any, waiting: int) -> None:
        self._queue, self._waiting = tree._waiting._queue, waiting
        self.commits = 0
        store.on_commit = self

    def __call__(self, moment: str) -> None:
        if moment == "before":
            self.commits += 1
            if self.commits == 1:
                pause = threading.Event()
                for _ in range(1000):
                    if len(self._queue) >= self._waiting:
                        return
                    pause.wait(0.005)


def run(tree: Any, wishes: list[tuple[list[KeyPath], Any]]) -> list[Any]:
    """Let one thread ensure something alone, then all others at once; give each one's keys or error."""

    def one(wish: tuple[list[KeyPath], Any]) -> Any:
        try:
            return tree.ensure(*wish)
        except Exception as error:
            return error

    with ThreadPoolExecutor(THREADS + 1) as pool:
        return list(pool.map(one, wishes))


def test_threads_that_wait_share_one_commit(rig: Any, path: Path) -> None:
    tree = rig.open()
    held = Held(tree, rig.store, THREADS)
    answers = run(tree, [([path(n), path(n, "prompts")], None) for n in range(THREADS + 1)])
    assert held.commits == 2
    assert rig.store.generation() == 3
    again = rig.open()
    assert all(again.lookup(p) == key for keys in answers for p, key in keys.items())
    assert len({key for keys in answers for key in keys.values()}) == 2 * (THREADS + 1)


def test_threads_that_want_the_same_path_get_the_same_key(rig: Any, path: Path) -> None:
    tree = rig.open()
    Held(tree, rig.store, THREADS)
    answers = run(tree, [([path(0)], None)] + [([path(1)], None)] * THREADS)
    assert len({answer[path(1)] for answer in answers[1:]}) == 1


def test_who_is_refused_alongside_is_refused_alone(rig: Any, path: Path) -> None:
    tree = rig.open()

    def refuse(_tx: None, _change: object) -> None:
        raise LateWriteError("an erasure began after this job")

    Held(tree, rig.store, THREADS)
    answers = run(tree, [([path(n)], refuse if n % 4 == 3 else None) for n in range(THREADS + 1)])
    for n, answer in enumerate(answers):
        if n % 4 == 3:
            assert isinstance(answer, LateWriteError)
            with pytest.raises(KeyDestroyedError):
                rig.open().lookup(path(n))
        else:
            assert answer == {path(n): rig.open().lookup(path(n))}


def test_what_a_group_runs_alongside_sees_the_change_of_the_whole_group(rig: Any, path: Path) -> None:
    tree, seen = rig.open(), []
    Held(tree, rig.store, THREADS)
    run(tree, [([path(n)], lambda _tx, change: seen.append(change.root.generation)) for n in range(THREADS + 1)])
    assert sorted(seen) == [2] + [3] * THREADS


def test_a_member_that_cannot_be_served_does_not_take_the_others_along(
    rig: Any, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encode = leaves.encode

    def limited(leaf: leaves.Leaf) -> bytes:
        if "too-many" in leaf.categories:
            raise TreeLimitError("a leaf holds at most 65535 paths")
        return encode(leaf)

    monkeypatch.setattr(leaves, "encode", limited)
    tree = rig.open()
    Held(tree, rig.store, THREADS)
    wishes: list[tuple[list[KeyPath], Any]] = [([path(n)], None) for n in range(THREADS)]
    answers = run(tree, [*wishes, ([path(99, "too-many")], None)])
    assert isinstance(answers[-1], TreeLimitError)
    assert [set(answer) for answer in answers[:-1]] == [{path(n)} for n in range(THREADS)]


@pytest.mark.parametrize("error", [StorageUnavailableError("the disk is full"), NodeTamperedError("cut")])
def test_a_commit_that_fails_is_told_to_every_member(rig: Any, path: Path, error: Exception) -> None:
    tree = rig.open()
    held = Held(tree, rig.store, THREADS)
    first = held.__call__

    def fail(moment: str) -> None:
        first(moment)
        if held.commits > 1 and moment == "before":
            raise error

    rig.store.on_commit = fail
    answers = run(tree, [([path(n)], None) for n in range(THREADS + 1)])
    assert sum(isinstance(answer, dict) for answer in answers) == 1
    assert all(isinstance(answer, dict | type(error)) for answer in answers)
    rig.store.on_commit = lambda _: None
    assert set(tree.ensure([path(n) for n in range(THREADS + 1)])) == {path(n) for n in range(THREADS + 1)}


def test_a_leader_that_is_stopped_tells_those_who_wait(rig: Any, path: Path) -> None:
    tree = rig.open()

    class Stopped(BaseException):
        pass

    held = Held(tree, rig.store, THREADS)

    def stop(moment: str) -> None:
        held(moment)
        if held.commits == 1:
            raise Stopped

    rig.store.on_commit = stop
    stopped: list[BaseException] = []

    def one(number: int) -> Any:
        try:
            return tree.ensure([path(number)])
        except Stopped as error:
            stopped.append(error)
            return None

    with ThreadPoolExecutor(THREADS + 1) as pool:
        answers = list(pool.map(one, range(THREADS + 1)))
    assert len(stopped) == 1
    assert sum(answer is None for answer in answers) == 1
    assert all(rig.open().lookup(path(n)) == answer[path(n)] for n, answer in enumerate(answers) if answer)


def test_a_leader_that_is_stopped_while_it_tries_each_alone_tells_those_who_wait() -> None:
    waiting: Waiting[None] = Waiting()
    others = [Insertion[None](()) for _ in range(3)]
    waiting._queue.extend(others)

    def commit(group: Group[None]) -> None:
        raise ValueError if len(group.members) > 1 else KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        waiting.serve(Insertion(()), commit)
    assert all(isinstance(other.error, StorageUnavailableError) for other in others)


def test_warm_keys_are_found_while_a_commit_is_under_way(rig: Any, path: Path) -> None:
    tree = rig.open()
    keys = tree.ensure([path(1)])
    found: list[bytes] = []

    def look(moment: str) -> None:
        if moment == "before":
            reader = threading.Thread(target=lambda: found.append(tree.lookup(path(1))))
            reader.start()
            reader.join(5)

    rig.store.on_commit = look
    tree.ensure([path(2)])
    assert found == [keys[path(1)]]
