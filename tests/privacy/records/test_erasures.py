"""The data plane's side of an erasure, step by step."""

from __future__ import annotations

import base64
import sqlite3
from collections.abc import Callable
from typing import Any

import pytest

from imagint_privacy.errors import (
    CopyFailedError,
    ErasureConflictError,
    ErasureMissingError,
    KeyDestroyedError,
    KeyVersionBehindError,
    PathInvalidError,
    RecordTamperedError,
    StorageUnavailableError,
    SubjectFencedError,
)
from imagint_privacy.purposes import Purpose
from imagint_privacy.records import copying
from imagint_privacy.records.library import Draft
from imagint_privacy.records.nodes import SqlTreeStore
from imagint_privacy.records.results import as_json

NONCE = bytes(range(32))


def test_a_whole_erasure_leaves_nothing_of_one_and_everything_of_the_others(rig: Any) -> None:
    library = rig.open()
    ann, bob = rig.keep(library, "ann", "1"), rig.keep(library, "bob", "2")
    erasures = library.erasures
    status = erasures.fence("req", ann, received_at=rig.now())
    assert as_json(status.held) == {"paths": 2, "records": {"images": 1, "prompts": 1}, "objects": 1}
    assert (status.state, status.incarnation, status.key_version) == ("Fenced", 1, 1)
    canaries = erasures.seal_canaries("req", ann, NONCE)
    assert [canary.category for canary in canaries.erased] == ["images", "prompts"]
    assert len(canaries.survivors) == 2
    assert {erasures.open_canary(canary.sealed) for canary in (*canaries.erased, *canaries.survivors)} == {NONCE}
    old = erasures.root()
    version = rig.rotate()
    done = erasures.commit("req", version)
    assert (done.state, done.key_version, done.forgotten_paths) == ("Committed", 2, 2)
    copied = erasures.copies("req")
    assert [copy.generation for copy in copied.copies] == [done.generation] * 2
    assert erasures.caches("req").state == "CachesDropped"
    rig.trim(version)
    assert rig.transit.prober().refused("tenant-acme", old.ciphertext).refused
    purged = erasures.purge("req")
    assert [(store.store, store.deleted, store.remaining) for store in purged.stores][:3] == [
        ("tree", 2, 0),
        ("records", 2, 0),
        ("objects", 1, 0),
    ]
    for canary in canaries.erased:
        with pytest.raises(KeyDestroyedError):
            erasures.open_canary(canary.sealed)
    assert {erasures.open_canary(canary.sealed) for canary in canaries.survivors} == {NONCE}
    assert erasures.complete("req").state == "Complete"
    assert as_json(erasures.holdings(ann)) == {"paths": 0, "records": {}, "objects": 0}
    assert library.read(bob, "img_2", Purpose.DELIVER).content == b"image of bob" * 50
    assert len(library.context.objects.list()) == 1


def test_every_step_may_be_asked_for_again(rig: Any) -> None:
    library = rig.open()
    ann = rig.keep(library, "ann", "1")
    erasures, version = library.erasures, 2
    fenced = erasures.fence("req", ann, received_at=rig.now())
    rig.rotate()
    steps: tuple[Callable[[], Any], ...] = (
        lambda: erasures.fence("req", ann, received_at=rig.now()),
        lambda: erasures.commit("req", version),
        lambda: erasures.copies("req"),
        lambda: erasures.caches("req"),
        lambda: erasures.purge("req"),
        lambda: erasures.complete("req"),
    )
    done: list[tuple[Callable[[], Any], Any]] = []
    for step in steps:
        done.append((step, step()))
        assert [again() for again, _ in done[1:]] == [first for _, first in done[1:]]
    assert erasures.fence("req", ann, received_at=rig.now()).held == fenced.held
    assert erasures.status("req").state == "Complete"


def test_a_step_before_its_turn_is_refused(rig: Any) -> None:
    library = rig.open()
    ann = rig.keep(library, "ann", "1")
    erasures = library.erasures
    erasures.fence("req", ann, received_at=rig.now())
    rig.rotate()
    later = [erasures.copies, erasures.caches, erasures.purge, erasures.complete]
    for number, step in enumerate([lambda r: erasures.commit(r, 2), *later]):
        for early in later[number:]:
            with pytest.raises(ErasureConflictError):
                early("req")
        step("req")


@pytest.mark.parametrize("step", ["status", "commit", "copies", "caches", "purge", "complete"])
def test_an_unknown_erasure_is_missing(rig: Any, step: str) -> None:
    call = getattr(rig.open().erasures, step)
    with pytest.raises(ErasureMissingError):
        call("unknown", *([1] if step == "commit" else []))


def test_a_request_that_is_known_for_somebody_else_is_refused(rig: Any) -> None:
    library = rig.open()
    ann, bob = rig.keep(library, "ann", "1"), rig.keep(library, "bob", "2")
    library.erasures.fence("req", ann, received_at=rig.now())
    for subject, categories in ((bob, ()), (ann, ("images",))):
        with pytest.raises(ErasureConflictError):
            library.erasures.fence("req", subject, categories, received_at=rig.now())


@pytest.mark.parametrize(
    ("request_id", "subject", "categories"),
    [("req", "system", ()), ("req", "ann@example.com", ()), ("../req", "", ()), ("req", "", ("Images",))],
    ids=["the tenant itself", "an address", "a bad request", "a bad category"],
)
def test_what_cannot_be_erased_is_refused(rig: Any, request_id: str, subject: str, categories: tuple[str, ...]) -> None:
    library = rig.open()
    with pytest.raises(PathInvalidError):
        library.erasures.fence(request_id, subject or library.handle("ann"), categories, received_at=rig.now())


def test_somebody_of_whom_nothing_is_held_is_completed_from_the_fence(rig: Any) -> None:
    library = rig.open()
    nobody = library.handle("nobody")
    status = library.erasures.fence("req", nobody, received_at=rig.now())
    assert as_json(status.held) == {"paths": 0, "records": {}, "objects": 0}
    assert library.erasures.complete("req").state == "Complete"
    rig.keep(library, "nobody", "1")


def test_one_category_is_erased_and_the_others_stay_in_use(rig: Any) -> None:
    library = rig.open()
    ann = rig.keep(library, "ann", "1")
    library.erasures.fence("req", ann, ("images",), received_at=rig.now())
    assert library.read(ann, "gen_1", Purpose.DELIVER).content == b"prompt of ann"
    with pytest.raises(SubjectFencedError):
        library.read(ann, "img_1", Purpose.DELIVER)
    rig.erase(library, "req", ann, ("images",))
    assert as_json(library.erasures.holdings(ann)) == {"paths": 1, "records": {"prompts": 1}, "objects": 0}
    assert library.read(ann, "gen_1", Purpose.DELIVER).content == b"prompt of ann"
    library.store(library.begin(ann, Purpose.GENERATE), [Draft("again", "images", "image/png", b"x", large=True)])
    rig.erase(library, "req-2", ann)
    assert as_json(library.erasures.holdings(ann)) == {"paths": 0, "records": {}, "objects": 0}


def test_several_requests_may_be_fenced_at_once(rig: Any) -> None:
    library = rig.open()
    ann, bob = rig.keep(library, "ann", "1"), rig.keep(library, "bob", "2")
    carol = rig.keep(library, "carol", "3")
    library.erasures.fence("req-a", ann, received_at=rig.now())
    library.erasures.fence("req-b", bob, received_at=rig.now())
    canaries = library.erasures.seal_canaries("req-a", ann, NONCE)
    assert len(canaries.survivors) == 2, "carol and the tenant: bob is being erased himself"
    rig.erase(library, "req-a", ann)
    with pytest.raises(SubjectFencedError):
        library.begin(bob, Purpose.GENERATE)
    rig.erase(library, "req-b", bob)
    assert library.read(carol, "gen_3", Purpose.DELIVER).content == b"prompt of carol"


def test_two_requests_of_one_subject_are_both_carried_out(rig: Any) -> None:
    library = rig.open()
    ann = rig.keep(library, "ann", "1")
    for request in ("req-1", "req-2"):
        library.erasures.fence(request, ann, received_at=rig.now())
    rig.erase(library, "req-1", ann)
    with pytest.raises(SubjectFencedError):
        library.begin(ann, Purpose.GENERATE)
    rig.erase(library, "req-2", ann)
    library.begin(ann, Purpose.GENERATE)


def test_a_version_that_vault_does_not_have_yet_is_refused(rig: Any) -> None:
    library = rig.open()
    ann = rig.keep(library, "ann", "1")
    library.erasures.fence("req", ann, received_at=rig.now())
    with pytest.raises(KeyVersionBehindError):
        library.erasures.commit("req", 2)
    assert library.erasures.status("req").state == "Fenced"


def test_a_commit_under_a_newer_version_wraps_the_root_anew_and_is_copied_again(rig: Any) -> None:
    library = rig.open()
    ann = rig.keep(library, "ann", "1")
    library.erasures.fence("req", ann, received_at=rig.now())
    rig.rotate()
    first = library.erasures.commit("req", 2)
    library.erasures.copies("req")
    rig.rotate()
    second = library.erasures.commit("req", 3)
    assert (second.key_version, second.forgotten_paths) == (3, first.forgotten_paths)
    assert library.erasures.status("req").state == "Committed"
    assert {copy.generation for copy in library.erasures.copies("req").copies} == {second.generation}
    rig.trim(3)
    assert rig.open("two").handle("ann") == ann


def test_a_replica_that_is_silent_is_waited_for_as_long_as_its_cache_lives(rig: Any) -> None:
    library, _silent = rig.open(), rig.open("silent")
    ann = rig.keep(library, "ann", "1")
    library.erasures.fence("req", ann, received_at=rig.now())
    rig.rotate()
    library.erasures.commit("req", 2)
    library.erasures.copies("req")
    waits = 0
    while (answer := library.erasures.caches("req")).state == "Waiting":
        assert 0 < answer.retry_after <= 1
        rig.seconds += answer.retry_after
        waits += 1
    assert 5 <= waits <= 7
    assert answer.bound_seconds == 5.0


def test_a_silent_replica_is_waited_for_from_when_the_commit_was_made_not_from_when_it_began(rig: Any) -> None:
    library, _silent = rig.open(), rig.open("silent")
    ann = rig.keep(library, "ann", "1")
    library.erasures.fence("req", ann, received_at=rig.now())
    rig.rotate()
    commit = SqlTreeStore.commit

    def slow(store: Any, change: Any, alongside: Any = None) -> None:
        def noted_long_before(connection: Any, made: Any) -> None:
            alongside(connection, made)
            rig.seconds += 20

        commit(store, change, noted_long_before)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SqlTreeStore, "commit", slow)
        library.erasures.commit("req", 2)
    library.erasures.copies("req")
    assert library.erasures.caches("req").state == "Waiting"


def test_a_copy_of_a_tree_that_was_wrapped_anew_meanwhile_does_not_count(
    rig: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    library, copy_tree = rig.open(), copying.copy_tree
    ann = rig.keep(library, "ann", "1")
    library.erasures.fence("req", ann, received_at=rig.now())
    rig.rotate()
    library.erasures.commit("req", 2)

    def overtaken(context: Any) -> Any:
        monkeypatch.undo()
        made = copy_tree(context)
        rig.rotate()
        library.erasures.commit("req", 3)
        return made

    monkeypatch.setattr(copying, "copy_tree", overtaken)
    with pytest.raises(CopyFailedError):
        library.erasures.copies("req")
    assert library.erasures.status("req").state == "Committed"
    library.erasures.copies("req")
    root = library.erasures.root()
    assert {copy.generation for copy in library.status().copies} == {root.generation}


def test_a_replica_that_beats_is_not_waited_for(rig: Any) -> None:
    library, other = rig.open(), rig.open("two")
    ann = rig.keep(library, "ann", "1")
    library.erasures.fence("req", ann, received_at=rig.now())
    rig.rotate()
    library.erasures.commit("req", 2)
    library.erasures.copies("req")
    assert library.erasures.caches("req").state == "Waiting"
    other.beat()
    assert library.erasures.caches("req").state == "CachesDropped"


def test_a_silent_replica_is_waited_for_to_the_bound_since_it_may_serve_all_the_same(rig: Any) -> None:
    library, _dead = rig.open(), rig.open("dead")
    rig.seconds += 60
    library.beat()
    ann = rig.keep(library, "ann", "1")
    library.erasures.fence("req", ann, received_at=rig.now())
    rig.rotate()
    library.erasures.commit("req", 2)
    library.erasures.copies("req")
    assert library.erasures.caches("req").state == "Waiting"
    rig.seconds += library.context.cache_seconds + 1
    library.beat()
    assert library.erasures.caches("req").state == "CachesDropped"
    rig.seconds += 600
    library.beat()
    assert [replica.id for replica in library.status().replicas] == ["one"]


def test_canaries_are_only_for_the_subject_of_the_request_and_before_its_commit(rig: Any) -> None:
    library = rig.open()
    ann, bob = rig.keep(library, "ann", "1"), rig.keep(library, "bob", "2")
    library.erasures.fence("req", ann, received_at=rig.now())
    with pytest.raises(ErasureConflictError):
        library.erasures.seal_canaries("req", bob, NONCE)
    rig.rotate()
    library.erasures.commit("req", 2)
    with pytest.raises(ErasureConflictError):
        library.erasures.seal_canaries("req", ann, NONCE)


def _changed(envelope: str) -> str:
    raw = bytearray(base64.b64decode(envelope))
    raw[-1] ^= 1
    return base64.b64encode(bytes(raw)).decode()


@pytest.mark.parametrize("change", [_changed, lambda _: "?", lambda _: "", lambda e: e[:20], lambda _: "AgAAAAA="])
def test_a_changed_canary_is_refused_by_name(rig: Any, change: Callable[[str], str]) -> None:
    library = rig.open()
    ann = rig.keep(library, "ann", "1")
    library.erasures.fence("req", ann, received_at=rig.now())
    sealed = library.erasures.seal_canaries("req", ann, NONCE).survivors[0].sealed
    with pytest.raises(RecordTamperedError):
        library.erasures.open_canary(change(sealed))


def test_a_returning_subject_cannot_open_the_canary_of_the_life_before(rig: Any) -> None:
    library = rig.open()
    ann = rig.keep(library, "ann", "1")
    library.erasures.fence("req", ann, received_at=rig.now())
    sealed = library.erasures.seal_canaries("req", ann, NONCE).erased[0].sealed
    rig.erase(library, "req", ann)
    rig.keep(library, "ann", "2")
    with pytest.raises(KeyDestroyedError):
        library.erasures.open_canary(sealed)


# -- bytes on disk ---------------------------------------------------------------------------------------------------


def test_no_sealed_byte_of_the_erased_is_left_in_any_file(rig: Any) -> None:
    library = rig.open()
    ann, bob = rig.keep(library, "ann", "1"), rig.keep(library, "bob", "2")
    with sqlite3.connect(library.context.database.file) as raw:
        sealed = dict(raw.execute("SELECT record_id, sealed FROM records WHERE sealed IS NOT NULL"))
        nodes = [node for (node,) in raw.execute("SELECT sealed FROM tree_nodes")]
    raw.close()
    image = library.context.objects.get(next(n for n in library.context.objects.list() if n.startswith(ann)))
    wrapped = library.erasures.root().ciphertext.encode()
    library.copy_tree()
    before = rig.bytes_on_disk()
    hunted = [sealed["gen_1"], image[:64], wrapped, *(node[:64] for node in nodes)]
    assert all(piece in before for piece in hunted)
    rig.erase(library, "req", ann)
    after = rig.bytes_on_disk()
    assert [piece for piece in hunted if piece in after] == []
    assert sealed["gen_2"] in after
    assert ann.encode() in after, "the tombstone stays"
    assert library.read(bob, "gen_2", Purpose.DELIVER).content == b"prompt of bob"


def test_readers_that_keep_the_log_busy_delay_the_purge_and_do_not_lose_it(
    rig: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imagint_privacy.records.purging.time.sleep", lambda _: None)
    library = rig.open()
    ann = rig.keep(library, "ann", "1")
    reader = sqlite3.connect(library.context.database.file, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM records").fetchall()
    with pytest.raises(StorageUnavailableError, match="busy"):
        rig.erase(library, "req", ann)
    reader.close()
    purged = library.erasures.purge("req")
    assert [(store.store, store.deleted) for store in purged.stores][1] == ("records", 2)
