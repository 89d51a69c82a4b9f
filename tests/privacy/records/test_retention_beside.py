"""A run of retention beside restrictions, erasures, writers and other processes: nobody loses what they may keep."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from imagint_privacy.errors import (
    RecordMissingError,
    RetentionConflictError,
)
from imagint_privacy.keys.paths import Prefix
from imagint_privacy.purposes import Purpose
from imagint_privacy.records.library import Library
from imagint_privacy.records.restrictions import Restrictions
from imagint_privacy.records.retention import RuleSet, Term
from imagint_privacy.records.schema import RETENTION_EXCEPTIONS as EXCEPTIONS

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


def test_what_is_restricted_fenced_or_excepted_is_withheld_and_what_has_no_rule_is_reported(rig: Any) -> None:
    library = rig.open()
    ann, bob, carol, dora = (rig.keep_at(library, 300, person, person) for person in ("ann", "bob", "carol", "dora"))
    library.restrictions.restrict("r1", ann, ("images",), received_at=rig.now())
    library.erasures.fence("e1", bob, received_at=rig.now())
    library.restrictions.object_to("o1", dora, received_at=rig.now())
    rules = RuleSet({"images": Term(months=1)})
    rig.retain(library, "run", rules, (carol,))
    with library.context.database.read() as connection:
        assert connection.execute(select(EXCEPTIONS)).all() == []
    counts = library.retention.status("run").counts
    assert (counts.due, counts.withheld, counts.unknown) == ({"images": 1}, {"images": 3}, {"prompts": 4})
    assert library.read(ann, "img_ann", Purpose.ACCESS).content == b"image of ann" * 50
    assert library.read(bob, "img_bob", Purpose.ACCESS).content == b"image of bob" * 50
    assert library.read(carol, "img_carol", Purpose.ACCESS).content == b"image of carol" * 50
    assert ids(library, "dora") == {"gen_dora"}
    library.restrictions.lift("r1")
    rig.seconds += 1
    rig.retain(library, "run-2", rules)
    assert ids(library, "ann", "carol") == {"gen_ann", "gen_carol"}, "what was withheld is taken by the next run"
    assert ids(library, "bob") == {"gen_bob", "img_bob"}, "the erasure counts what it forgets itself"


def test_a_run_that_is_known_with_other_exceptions_is_refused(rig: Any, library: Library) -> None:
    ann, bob = library.handle("ann"), library.handle("bob")
    library.retention.begin("run", RULES, (ann,))
    with pytest.raises(RetentionConflictError):
        library.retention.begin("run", RULES, (bob,))
    rig.erase(library, "req", ann)
    assert library.retention.begin("run", RULES, (ann,)).request == "run"


def test_a_restriction_that_is_lifted_during_a_run_withholds_to_its_end(rig: Any, library: Library) -> None:
    runs, ann = library.retention, library.handle("ann")
    library.restrictions.restrict("r1", ann, received_at=rig.now())
    runs.begin("run", RULES)
    rig.seconds += 1
    library.restrictions.lift("r1")
    rig.rotate()
    runs.commit("run", 2)
    runs.copies("run")
    runs.caches("run")
    assert {store.remaining for store in runs.purge("run").stores} == {0}
    assert library.read(ann, "img_a-old", Purpose.DELIVER).content == b"image of ann" * 50


def test_a_restriction_that_begins_at_the_last_moment_is_seen_by_the_commit(
    rig: Any, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs, ann = library.retention, library.handle("ann")
    runs.begin("run", RULES)
    rig.rotate()
    forget = type(library.tree).forget

    def late(*given: Any, **named: Any) -> Any:
        Restrictions(library.context).restrict("r1", ann, received_at=rig.now())
        return forget(*given, **named)

    monkeypatch.setattr(type(library.tree), "forget", late)
    assert runs.commit("run", 2).forgotten_paths == 1  # type: ignore[union-attr]
    assert library.read(ann, "img_a-old", Purpose.ACCESS).content == b"image of ann" * 50


def test_what_another_process_forgets_at_the_last_moment_is_not_counted_twice(
    rig: Any, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs, other, ann = library.retention, rig.open("two"), library.handle("ann")
    runs.begin("run", RULES)
    rig.rotate()
    forget = type(library.tree).forget

    def late(*given: Any, **named: Any) -> Any:
        forget(other.tree, [Prefix(ann, "images")], key_version=2)
        return forget(*given, **named)

    monkeypatch.setattr(type(library.tree), "forget", late)
    runs.commit("run", 2)
    found = runs.status("run")
    assert (found.slices, found.forgotten_paths, found.forgotten) == (1, 2, {"images": 1, "prompts": 1})


@pytest.mark.parametrize("rules", [RULES, RuleSet({})], ids=["something due", "nothing due"])
def test_two_processes_that_commit_one_run_at_once_commit_it_once(
    rig: Any, library: Library, monkeypatch: pytest.MonkeyPatch, rules: RuleSet
) -> None:
    runs, other = library.retention, rig.open("two")
    runs.begin("run", rules)
    rig.rotate()
    forget = type(library.tree).forget

    def late(*given: Any, **named: Any) -> Any:
        monkeypatch.setattr(type(library.tree), "forget", forget)
        other.retention.commit("run", 2)
        return forget(*given, **named)

    monkeypatch.setattr(type(library.tree), "forget", late)
    first = runs.commit("run", 2)
    assert other.retention.commit("run", 2) == first
    assert runs.status("run").slices == 1


def test_what_an_erasure_has_forgotten_is_left_for_it_to_count(rig: Any, library: Library) -> None:
    ann = library.handle("ann")
    held = library.erasures.fence("e1", ann, received_at=rig.now()).held
    library.erasures.commit("e1", rig.rotate())
    rig.retain(library, "run", RULES)
    assert library.retention.status("run").forgotten == {"images": 1}
    rig.erase(library, "e1", ann)
    purged = {store["store"]: store["deleted"] for store in library.erasures.status("e1").results["purge"]}
    assert (purged["tree"], purged["records"]) == (held.paths, sum(held.records.values()))


def test_a_fence_of_one_category_keeps_no_run_from_deleting_another(rig: Any, library: Library) -> None:
    ann = library.handle("ann")
    library.erasures.fence("e1", ann, ("prompts",), received_at=rig.now())
    rig.retain(library, "run", RuleSet({"images": Term(months=1), "prompts": Term(months=1)}))
    assert ids(library, "ann") == {"gen_a-old", "gen_ann-new", "img_ann-new"}
    assert not any("img_a-old" in name for name in library.context.objects.list())


def test_an_erasure_and_a_run_take_turns_and_both_are_carried_out(rig: Any, library: Library) -> None:
    ann = library.handle("ann")
    library.retention.begin("run", RULES)
    rig.erase(library, "e1", ann)
    rig.retain(library, "run", RULES)
    assert library.retention.status("run").forgotten == {"images": 1}
    with pytest.raises(RecordMissingError):
        library.read(ann, "img_a-old", Purpose.ACCESS)
    rig.keep_at(library, 0, "ann", "again")
    assert ids(library, "ann") == {"gen_again", "img_again"}


def test_a_write_that_is_on_its_way_when_its_month_ends_is_not_lost(rig: Any, library: Library) -> None:
    """The shortest term is a day: a record made in the last second of a month is kept through a run at midnight."""
    rig.seconds = 7 * DAY + 12 * 3600 - 1
    assert rig.now().isoformat() == "2026-11-30T23:59:59+00:00"
    dora = rig.keep(library, "dora", "late")
    rig.seconds += 2
    rig.retain(library, "run", RuleSet({"images": Term(days=1), "prompts": Term(days=1)}))
    assert library.read(dora, "img_late", Purpose.DELIVER).content == b"image of dora" * 50
