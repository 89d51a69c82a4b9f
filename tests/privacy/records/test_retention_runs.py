"""Retention carried out: everybody's old months are forgotten and nothing else, step by step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select

from imagint_privacy.errors import (
    KeyDestroyedError,
    KeyVersionBehindError,
    PathInvalidError,
    RetentionConflictError,
    RetentionMissingError,
)
from imagint_privacy.purposes import Purpose
from imagint_privacy.records.library import Draft, Library
from imagint_privacy.records.results import as_json
from imagint_privacy.records.retention import RuleSet, Term
from imagint_privacy.records.retention_runs import RetentionRuns
from imagint_privacy.records.schema import RETENTION_RUNS

DAY = 86400
RULES = RuleSet({"images": Term(months=1), "prompts": Term(months=6)})


@pytest.fixture
def library(rig: Any) -> Library:
    """Three people: old images of ann and bob, an old prompt of ann's, new ones of everybody."""
    opened: Library = rig.open()
    rig.keep_at(opened, 300, "ann", "a-old")
    rig.keep_at(opened, 100, "bob", "b-old")
    for person in ("ann", "bob", "carol"):
        rig.keep_at(opened, 0, person, f"{person}-new")
    return opened


def ids(library: Library, *people: str) -> set[str]:
    handles = [library.handle(person) for person in people]
    return {entry.record_id for handle in handles for entry in library.entries(handle, Purpose.ACCESS)}


EVERYBODY = ("ann", "bob", "carol")
NEW = {f"{kind}_{person}-new" for person in EVERYBODY for kind in ("gen", "img")}


def test_a_run_forgets_what_is_due_of_everybody_in_one_commit_and_nothing_else(rig: Any, library: Library) -> None:
    runs, before = library.retention, library.tree.refresh()
    begun = runs.begin("run", RULES)
    assert as_json(begun.counts) == {
        "due": {"images": 2, "prompts": 1},
        "withheld": {},
        "unknown": {},
        "subjects": {"due": 2, "looked_at": 3},
    }
    version = rig.rotate()
    done = runs.commit("run", version)
    assert (done.state, done.key_version, done.forgotten_paths) == ("Committed", 2, 3)  # type: ignore[union-attr]
    assert library.tree.refresh() == before + 1
    assert {copy.generation for copy in runs.copies("run").copies} == {before + 1}
    assert runs.caches("run").state == "CachesDropped"
    for name in ("gen_a-old", "img_a-old", "img_b-old"):
        with pytest.raises(KeyDestroyedError):
            library.read(library.locate(name, Purpose.ACCESS).subject, name, Purpose.ACCESS)
    rig.trim(version)
    stores = [(store.store, store.deleted, store.remaining) for store in runs.purge("run").stores][:3]
    assert stores == [("tree", 3, 0), ("records", 3, 0), ("objects", 2, 0)]
    assert runs.complete("run").state == "Complete"
    assert ids(library, *EVERYBODY) == NEW | {"gen_b-old"}
    for name in sorted(NEW | {"gen_b-old"}):
        library.read(library.locate(name, Purpose.ACCESS).subject, name, Purpose.ACCESS)
    assert len(library.context.objects.list()) == 3


def test_the_record_of_a_run_is_what_a_certificate_needs(rig: Any, library: Library) -> None:
    rig.retain(library, "run", RULES)
    found = as_json(library.retention.status("run"))
    assert found["rules"] == {"images": {"days": 0, "months": 1}, "prompts": {"days": 0, "months": 6}}
    assert found["rules_digest"] == RULES.digest()
    assert (found["forgotten"], found["forgotten_paths"]) == ({"images": 2, "prompts": 1}, 3)
    assert (found["slices"], found["results"]["slices"]) == (
        1,
        [{"generation": found["generation"], "subjects": 2, "paths": 3}],
    )
    assert found["begun_at"] <= found["committed_at"] <= found["completed_at"]
    assert found["results"]["purge"][0] == {"store": "tree", "deleted": 3, "remaining": 0}
    assert found["results"]["caches"] == {"bound_seconds": 5.0}


def test_a_dry_run_counts_the_same_and_does_nothing(rig: Any, library: Library) -> None:
    generation, before = library.tree.refresh(), rig.bytes_on_disk()
    counted = library.retention.count(RULES)
    assert (library.tree.refresh(), rig.bytes_on_disk()) == (generation, before)
    assert library.retention.begin("run", RULES).counts == counted


def test_every_step_may_be_asked_for_again(rig: Any, library: Library) -> None:
    runs = library.retention
    rig.rotate()
    steps: dict[str, Callable[[], Any]] = {
        "begin": lambda: runs.begin("run", RULES).counts,
        "commit": lambda: runs.commit("run", 2),
        "copies": lambda: runs.copies("run"),
        "caches": lambda: runs.caches("run"),
        "purge": lambda: runs.purge("run"),
        "complete": lambda: runs.complete("run"),
    }
    answers: dict[str, Any] = {}
    for name, step in steps.items():
        answers[name] = step()
        assert {again: steps[again]() for again in answers} == answers
    assert runs.status("run").forgotten_paths == 3


def test_a_step_before_its_turn_is_refused_and_an_unknown_run_is_missing(rig: Any, library: Library) -> None:
    runs = library.retention
    steps = [runs.copies, runs.caches, runs.purge, runs.complete]
    for call in (runs.status, *steps):
        with pytest.raises(RetentionMissingError):
            call("run")
    runs.begin("run", RULES)
    with pytest.raises(KeyVersionBehindError):
        runs.commit("run", 2)
    rig.rotate()
    for number, step in enumerate([lambda name: runs.commit(name, 2), *steps]):
        for early in steps[number:]:
            with pytest.raises(RetentionConflictError):
                early("run")
        step("run")


def test_a_run_is_not_begun_again_with_other_rules_or_for_what_is_no_handle(library: Library) -> None:
    runs = library.retention
    runs.begin("run", RULES)
    for rules, excepted in ((RuleSet({}), ()), (RULES, (library.handle("ann"),))):
        with pytest.raises(RetentionConflictError):
            runs.begin("run", rules, excepted)
    for request, excepted in (("../run", ()), ("other", ("system",)), ("other", ("ann",))):
        with pytest.raises(PathInvalidError):
            runs.begin(request, RULES, excepted)


def test_a_run_of_more_subjects_than_one_commit_takes_is_cut_into_slices(rig: Any) -> None:
    library = rig.open()
    for number in range(7):
        rig.keep_at(library, 300, f"person {number}", f"old-{number}")
    runs, before = RetentionRuns(library.context, slice_subjects=3), library.tree.refresh()
    runs.begin("run", RULES)
    rig.rotate()
    states, walked = [], []
    for _ in range(3):
        states.append(runs.commit("run", 2).state)
        with library.context.database.read() as connection:
            walked.append(connection.execute(select(RETENTION_RUNS.c.walked)).scalar_one())
    assert states == ["Waiting", "Waiting", "Committed"]
    assert walked[0] < walked[1]
    assert walked[2] is None
    found = runs.status("run")
    assert (found.slices, found.forgotten_paths, library.tree.refresh()) == (3, 14, before + 3)
    assert [part["subjects"] for part in found.results["slices"]] == [3, 3, 1]
    runs.copies("run")
    runs.caches("run")
    runs.purge("run")
    assert library.context.objects.list() == []


def test_a_slice_that_is_just_full_is_the_last_one(rig: Any) -> None:
    library = rig.open()
    for number in range(4):
        rig.keep_at(library, 300, f"person {number}", f"old-{number}")
    runs = RetentionRuns(library.context, slice_subjects=2)
    runs.begin("run", RULES)
    rig.rotate()
    assert [runs.commit("run", 2).state for _ in range(2)] == ["Waiting", "Committed"]


def test_a_call_that_has_looked_at_enough_subjects_is_asked_again(rig: Any) -> None:
    library = rig.open()
    for number in range(9):
        rig.keep_at(library, 300 if number in {1, 5} else 0, f"person {number}", f"name-{number}")
    runs, before = RetentionRuns(library.context, look_subjects=2), library.tree.refresh()
    states = [runs.begin("run", RULES).state for _ in range(5)]
    assert states == ["Counting"] * 4 + ["Begun"]
    counts = runs.status("run").counts
    assert (counts.due, counts.subjects) == ({"images": 2, "prompts": 2}, {"due": 2, "looked_at": 9})
    assert counts == library.retention.count(RULES)
    rig.rotate()
    states = [runs.commit("run", 2).state for _ in range(5)]
    assert states == ["Waiting"] * 4 + ["Committed"]
    found = runs.status("run")
    assert found.forgotten_paths == 4
    assert library.tree.refresh() == before + found.slices
    assert found.slices <= 3, "what looked in vain made no commit"


def test_a_run_that_finds_nothing_due_is_completed_as_it_was_begun(rig: Any) -> None:
    library = rig.open()
    rig.keep_at(library, 0, "ann", "new")
    begun = library.retention.begin("run", RULES)
    assert (begun.counts.due, library.retention.complete("run").state) == ({}, "Complete")
    assert ids(library, "ann") == {"gen_new", "img_new"}


def test_a_commit_under_a_newer_version_wraps_the_root_anew_and_is_copied_again(rig: Any, library: Library) -> None:
    runs = library.retention
    runs.begin("run", RULES)
    rig.rotate()
    runs.commit("run", 2)
    runs.copies("run")
    rig.rotate()
    assert runs.commit("run", 3).key_version == 3  # type: ignore[union-attr]
    assert (runs.status("run").state, runs.status("run").forgotten_paths) == ("Committed", 3)
    runs.copies("run")
    rig.trim(3)
    assert ids(rig.open("two"), "carol") == {"gen_carol-new", "img_carol-new"}


def test_an_object_that_no_record_names_goes_with_its_month(rig: Any) -> None:
    library = rig.open()
    rig.seconds = -100 * DAY
    ann = library.handle("ann")
    put, objects = type(library.context.objects).put_stream, library.context.objects

    def killed(*given: Any) -> None:
        put(*given)
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(type(objects), "put_stream", killed)
        patched.setattr("imagint_privacy.records.writing._withdraw", lambda *_: None)
        with pytest.raises(KeyboardInterrupt):
            library.store(library.begin(ann, Purpose.GENERATE), [Draft("img", "images", "image/png", b"x", large=True)])
    assert len(objects.list()) == 1
    rig.seconds = 0
    rig.retain(library, "run", RULES)
    assert objects.list() == []


def test_the_tree_is_walked_in_pages_that_meet_everybody_once(rig: Any) -> None:
    library = rig.open()
    handles = {library.handle(str(number)) for number in range(300)}
    for handle in handles:
        library.store(library.begin(handle, Purpose.GENERATE), [Draft(handle, "prompts", "generation", b"x")])
    seen: list[str] = []
    after = b""
    while page := library.tree.paths_from(7, after=after):
        seen += [paths[0].subject for _, paths in page]
        assert [place for place, _ in page] == sorted(place for place, _ in page)
        after = page[-1][0]
    assert len(seen) == len(set(seen)) == 301
    assert set(seen) == handles | {"system"}
