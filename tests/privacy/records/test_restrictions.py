"""Restrict and object: what they stop, what they leave, how they end, and that they are no erasures."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from imagint_privacy.errors import (
    AccessDeniedError,
    KeyDestroyedError,
    LateWriteError,
    NotObjectableError,
    ObjectedError,
    PathInvalidError,
    RecordMissingError,
    RestrictionConflictError,
    RestrictionMissingError,
    SubjectRestrictedError,
)
from imagint_privacy.purposes import ALLOWED, EVERY, OBJECTABLE, USING, Access, Purpose, decide
from imagint_privacy.records import gate
from imagint_privacy.records.library import Draft, Library

RIGHTS = (Purpose.ACCESS, Purpose.ERASE, Purpose.PROBE)


def verdict(library: Library, subject: str, purpose: Purpose, category: str = EVERY) -> type[AccessDeniedError] | None:
    try:
        with library.context.database.read() as connection:
            decide(Access(purpose, min(ALLOWED[purpose]), subject, category), gate.standing(connection, subject))
    except AccessDeniedError as error:
        return type(error)
    return None


def test_a_restriction_leaves_the_data_stored_and_stops_everything_but_the_rights(rig: Any) -> None:
    library = rig.open()
    ann, bob = rig.keep(library, "ann", "1"), rig.keep(library, "bob", "2")
    done = library.restrictions.restrict("r1", ann, received_at=rig.now())
    assert (done.kind, done.state, done.categories, done.lifted_at) == ("Restrict", "Restricted", (), None)
    assert {purpose: verdict(library, ann, purpose) for purpose in (*USING, *RIGHTS)} == {
        **dict.fromkeys(USING, SubjectRestrictedError),
        **dict.fromkeys(RIGHTS),
    }
    with pytest.raises(SubjectRestrictedError):
        library.read(ann, "img_1", Purpose.DELIVER)
    with pytest.raises(SubjectRestrictedError):
        library.begin(ann, Purpose.GENERATE)
    with pytest.raises(SubjectRestrictedError):
        library.delete(ann, "img_1", Purpose.DELIVER)
    assert library.read(ann, "img_1", Purpose.ACCESS).content == b"image of ann" * 50
    assert library.read(bob, "img_2", Purpose.DELIVER).content == b"image of bob" * 50


def test_lifting_brings_everything_back_byte_for_byte(rig: Any) -> None:
    library = rig.open()
    ann = rig.keep(library, "ann", "1")
    generation, before = library.tree.refresh(), _kept(rig)
    library.restrictions.restrict("r1", ann, received_at=rig.now())
    assert library.restrictions.lift("r1").state == "Lifted"
    assert library.read(ann, "img_1", Purpose.DELIVER).content == b"image of ann" * 50
    assert library.read(ann, "gen_1", Purpose.DELIVER).content == b"prompt of ann"
    assert (library.tree.refresh(), _kept(rig)) == (generation, before)
    rig.keep(library, "ann", "2")


def test_a_restriction_is_no_erasure_and_an_erasure_is_no_restriction(rig: Any) -> None:
    library = rig.open()
    ann, bob = rig.keep(library, "ann", "1"), rig.keep(library, "bob", "2")
    library.restrictions.restrict("r1", ann, received_at=rig.now())
    rig.erase(library, "e1", bob)
    assert library.read(ann, "gen_1", Purpose.ACCESS).content == b"prompt of ann"
    with pytest.raises((KeyDestroyedError, RecordMissingError)):
        library.read(bob, "gen_2", Purpose.ACCESS)
    assert library.erasures.holdings(ann).paths == 2
    assert library.erasures.holdings(bob).paths == 0


def test_one_category_is_restricted_and_the_others_stay_in_use(rig: Any) -> None:
    library = rig.open()
    ann = rig.keep(library, "ann", "1")
    library.restrictions.restrict("r1", ann, ("images",), received_at=rig.now())
    assert library.read(ann, "gen_1", Purpose.DELIVER).content == b"prompt of ann"
    with pytest.raises(SubjectRestrictedError):
        library.read(ann, "img_1", Purpose.DELIVER)


def test_an_objection_stops_exactly_what_it_names(rig: Any) -> None:
    library = rig.open()
    ann = rig.keep(library, "ann", "1")
    done = library.restrictions.object_to("o1", ann, [Purpose.MARKET], received_at=rig.now())
    assert (done.kind, done.state, done.purposes) == ("Object", "Objected", ("Market",))
    others = [purpose for purpose in (*USING, *RIGHTS) if purpose is not Purpose.MARKET]
    assert verdict(library, ann, Purpose.MARKET) is ObjectedError
    assert {verdict(library, ann, purpose) for purpose in others} == {None}
    library.restrictions.lift("o1")
    assert verdict(library, ann, Purpose.MARKET) is None


def test_an_objection_that_names_nothing_stops_all_that_one_can_object_to(rig: Any) -> None:
    library = rig.open()
    ann = rig.keep(library, "ann", "1")
    library.restrictions.object_to("o1", ann, categories=("prompts",), received_at=rig.now())
    assert {verdict(library, ann, purpose, "prompts") for purpose in OBJECTABLE} == {ObjectedError}
    assert {verdict(library, ann, purpose, "images") for purpose in OBJECTABLE} == {None}
    rig.keep(library, "ann", "2")


@pytest.mark.parametrize("purpose", [purpose for purpose in Purpose if purpose not in OBJECTABLE])
def test_nobody_can_object_to_the_service_itself_or_to_a_right(rig: Any, purpose: Purpose) -> None:
    library = rig.open()
    with pytest.raises(NotObjectableError):
        library.restrictions.object_to("o1", library.handle("ann"), [purpose], received_at=rig.now())


def test_several_stack_and_each_is_lifted_by_itself(rig: Any) -> None:
    library = rig.open()
    ann = rig.keep(library, "ann", "1")
    for request, categories in (("r1", ()), ("r2", ("images",))):
        library.restrictions.restrict(request, ann, categories, received_at=rig.now())
    library.restrictions.object_to("o1", ann, [Purpose.IMPROVE], received_at=rig.now())
    library.restrictions.lift("r1")
    assert verdict(library, ann, Purpose.DELIVER, "prompts") is None
    assert verdict(library, ann, Purpose.DELIVER, "images") is SubjectRestrictedError
    library.restrictions.lift("r2")
    assert verdict(library, ann, Purpose.DELIVER, "images") is None
    assert verdict(library, ann, Purpose.IMPROVE, "images") is ObjectedError
    assert [found.state for found in library.restrictions.of(ann).restrictions] == ["Objected", "Lifted", "Lifted"]


def test_they_survive_a_restart_and_hold_in_every_process(rig: Any) -> None:
    library = rig.open()
    ann = rig.keep(library, "ann", "1")
    library.restrictions.restrict("r1", ann, received_at=rig.now())
    rig.close()
    for replica in ("one", "two"):
        assert verdict(rig.open(replica), ann, Purpose.GENERATE) is SubjectRestrictedError


def test_a_purpose_that_is_named_twice_is_named_once(rig: Any) -> None:
    library = rig.open()
    ann = library.handle("ann")
    for purposes in ([Purpose.MARKET, Purpose.MARKET], [Purpose.MARKET]):
        found = library.restrictions.object_to("obj", ann, purposes, received_at=rig.now())
        assert found.purposes == (Purpose.MARKET,)


def test_every_call_may_be_made_again(rig: Any) -> None:
    library = rig.open()
    ann = library.handle("ann")

    def restrict() -> Any:
        return library.restrictions.restrict("r1", ann, ("images",), received_at=rig.now())

    first = restrict()
    rig.seconds += 5
    assert restrict() == first == library.restrictions.status("r1")
    lifted = library.restrictions.lift("r1")
    rig.seconds += 5
    assert library.restrictions.lift("r1") == lifted == restrict(), "asked again, a lifted one does not come back"


def test_what_is_known_for_something_else_is_refused(rig: Any) -> None:
    library = rig.open()
    ann, bob, at = library.handle("ann"), library.handle("bob"), rig.now()
    limits = library.restrictions
    limits.restrict("r1", ann, received_at=at)
    calls: tuple[Callable[[], Any], ...] = (
        lambda: limits.restrict("r1", bob, received_at=at),
        lambda: limits.restrict("r1", ann, ("images",), received_at=at),
        lambda: limits.object_to("r1", ann, received_at=at),
    )
    for call in calls:
        with pytest.raises(RestrictionConflictError):
            call()
    for missing in (limits.status, limits.lift):
        with pytest.raises(RestrictionMissingError):
            missing("unknown")
    for subject, category in (("system", "images"), (ann, "Images")):
        with pytest.raises(PathInvalidError):
            limits.restrict("r2", subject, (category,), received_at=at)


def test_no_job_writes_after_a_restriction_was_answered_whatever_runs_beside_it(rig: Any) -> None:
    """Four jobs write as fast as they can; what is there when the restriction is answered is all there will be."""
    library = rig.open()
    ann = library.handle("ann")
    tickets = [library.begin(ann, Purpose.GENERATE) for _ in range(4)]
    written, stopped = threading.Semaphore(0), []

    def work(worker: int) -> None:
        for number in range(10_000):
            try:
                library.store(tickets[worker], [Draft(f"w{worker}-{number}", "prompts", "generation", b"x")])
            except AccessDeniedError as error:
                stopped.append(type(error))
                return
            written.release()

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(len(tickets))]
    for thread in threads:
        thread.start()
    for _ in range(12):
        assert written.acquire(timeout=60)
    library.restrictions.restrict("r1", ann, received_at=rig.now())
    before = {entry.record_id for entry in library.entries(ann, Purpose.ACCESS)}
    library.restrictions.lift("r1")
    for thread in threads:
        thread.join(60)
    assert {entry.record_id for entry in library.entries(ann, Purpose.ACCESS)} == before
    assert len(before) >= 12
    assert len(stopped) == len(tickets)


@pytest.mark.parametrize("lifted", [False, True], ids=["while it stands", "after it was lifted"])
def test_a_job_that_began_before_a_restriction_cannot_write_after_it(rig: Any, lifted: bool) -> None:
    library = rig.open()
    ann = rig.keep(library, "ann", "1")
    tickets = library.begin(ann, Purpose.GENERATE), library.begin(ann, Purpose.GENERATE)
    library.restrictions.restrict("r1", ann, ("images",), received_at=rig.now())
    if lifted:
        library.restrictions.lift("r1")
    with pytest.raises(LateWriteError if lifted else SubjectRestrictedError):
        library.store(tickets[0], [Draft("late", "images", "image/png", b"x", large=True)])
    library.store(tickets[1], [Draft("other", "prompts", "generation", b"x")])
    assert {entry.record_id for entry in library.entries(ann, Purpose.ACCESS)} == {"gen_1", "img_1", "other"}


def test_an_erasure_works_under_a_restriction_and_leaves_nothing_of_it_but_the_tombstone(rig: Any) -> None:
    library = rig.open()
    ann = rig.keep(library, "ann", "1")
    library.restrictions.restrict("r1", ann, received_at=rig.now())
    library.restrictions.object_to("o1", ann, received_at=rig.now())
    rig.erase(library, "e1", ann)
    assert [found.state for found in library.restrictions.of(ann).restrictions] == ["Lifted", "Lifted"]
    assert library.restrictions.restrict("r1", ann, received_at=rig.now()).state == "Lifted"
    rig.keep(library, "ann", "2")


def test_an_erasure_of_one_category_lifts_what_stood_over_that_category_alone(rig: Any) -> None:
    library = rig.open()
    ann = rig.keep(library, "ann", "1")
    library.restrictions.restrict("r1", ann, ("images", "prompts"), received_at=rig.now())
    library.restrictions.restrict("r2", ann, ("images",), received_at=rig.now())
    rig.erase(library, "e1", ann, ("images",))
    states = {found.request: found.state for found in library.restrictions.of(ann).restrictions}
    assert states == {"r1": "Restricted", "r2": "Lifted"}
    assert verdict(library, ann, Purpose.DELIVER, "images") is None
    assert verdict(library, ann, Purpose.DELIVER, "prompts") is SubjectRestrictedError


def _kept(rig: Any) -> list[Any]:
    """Return every row and object that holds data or keys."""
    library = rig.opened[-1]
    with library.context.database.read() as connection:
        rows = [
            sorted(map(tuple, connection.exec_driver_sql(f"SELECT * FROM {table}").all()), key=repr)  # noqa: S608
            for table in ("records", "objects", "tree_nodes", "tree_root", "incarnations")
        ]
    return [*rows, {name: library.context.objects.get(name) for name in library.context.objects.list()}]
