"""One step of an erasure asked of several processes at the same time: all answer the same, and it is done once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from imagint_privacy.errors import RetryableError
from imagint_privacy.records.library import Library

PROCESSES = 4


@pytest.fixture
def crowd(bare_rig: Any) -> list[Library]:
    return [bare_rig.open(f"replica-{number}") for number in range(PROCESSES)]


def at_once(crowd: list[Library], step: Callable[[Library], Any]) -> list[Any]:
    """Ask all of them; who is told to come back comes back."""
    together, answers = threading.Barrier(len(crowd)), []
    failed: list[BaseException] = []

    def ask(library: Library) -> None:
        together.wait()
        for _ in range(10):
            try:
                answers.append(step(library))
            except RetryableError:
                continue
            except BaseException as error:
                failed.append(error)
            return
        failed.append(TimeoutError("told to come back ten times"))

    threads = [threading.Thread(target=ask, args=(library,)) for library in crowd]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed, failed
    return answers


def test_every_step_is_done_once_and_answered_alike(bare_rig: Any, crowd: list[Library]) -> None:
    first = crowd[0]
    for turn in range(3):
        ann = bare_rig.keep(first, "ann", f"ann-{turn}")
        bob = bare_rig.keep(first, "bob", f"bob-{turn}")
        for library in crowd:
            library.beat()
        request = f"req-{turn}"
        fenced = at_once(crowd, lambda one: one.erasures.fence(request, ann, received_at=bare_rig.now()))  # noqa: B023
        assert {status.incarnation for status in fenced} == {turn + 1}
        assert {status.held.paths for status in fenced} == {2}
        version = bare_rig.rotate()
        committed = at_once(crowd, lambda one: one.erasures.commit(request, version))  # noqa: B023
        assert {done.key_version for done in committed} == {version}
        assert first.erasures.status(request).forgotten_paths == 2
        at_once(crowd, lambda one: one.erasures.copies(request))  # noqa: B023
        for library in crowd:
            library.beat()
        assert {done.state for done in at_once(crowd, lambda one: one.erasures.caches(request))} == {"CachesDropped"}  # noqa: B023
        bare_rig.trim(version)
        purged = at_once(crowd, lambda one: one.erasures.purge(request))  # noqa: B023
        for answer in purged:
            stores = {store.store: (store.deleted, store.remaining) for store in answer.stores}
            assert (stores["tree"], stores["records"], stores["objects"]) == ((2, 0), (2, 0), (1, 0))
        at_once(crowd, lambda one: one.erasures.complete(request))  # noqa: B023
        assert {library.erasures.status(request).state for library in crowd} == {"Complete"}
        assert first.erasures.holdings(bob).paths == 2


def test_several_erasures_at_once_forget_each_subject_and_nobody_else(bare_rig: Any, crowd: list[Library]) -> None:
    people = {library: bare_rig.keep(library, f"person {number}", str(number)) for number, library in enumerate(crowd)}
    bob = bare_rig.keep(crowd[0], "bob", "bob")
    at_once(crowd, lambda one: one.erasures.fence(one.context.replica, people[one], received_at=bare_rig.now()))
    version = bare_rig.rotate()
    at_once(crowd, lambda one: one.erasures.commit(one.context.replica, version))
    at_once(crowd, lambda one: one.erasures.copies(one.context.replica))
    for library in crowd:
        library.beat()
    at_once(crowd, lambda one: one.erasures.caches(one.context.replica))
    bare_rig.trim(version)
    at_once(crowd, lambda one: one.erasures.purge(one.context.replica))
    at_once(crowd, lambda one: one.erasures.complete(one.context.replica))
    for library in crowd:
        done = library.erasures.status(library.context.replica)
        assert (done.state, done.forgotten_paths) == ("Complete", 2)
        assert library.erasures.holdings(people[library]).paths == 0
        assert library.erasures.holdings(bob).paths == 2
