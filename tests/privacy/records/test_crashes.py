"""A crash at every write and every call of Vault: the old or the new state, never neither, and it can be finished.

`Points` numbers everything an erasure does that could be its last: the moment before and after each commit of the
database, each write or delete of an object, each call of Vault. The whole erasure is run once for each point.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from imagint_privacy.errors import AccessDeniedError, KeyDestroyedError, RecordMissingError
from imagint_privacy.keys.fakes import FakeTenantKey
from imagint_privacy.purposes import Purpose
from imagint_privacy.records import database, objects
from imagint_privacy.records.database import Database
from imagint_privacy.records.library import Draft, Library
from imagint_privacy.records.objects import Objects
from imagint_privacy.records.retention import RuleSet, Term
from imagint_privacy.records.retention_runs import RetentionRuns

RUNNER = Path(__file__).with_name("killing.py")


class Crashed(BaseException):
    """The process is gone."""


class Points:
    """Counts the points passed, and crashes at one of them."""

    def __init__(self) -> None:
        self.passed = 0
        self.crash_at = 0

    def reach(self) -> None:
        self.passed += 1
        if self.passed == self.crash_at:
            raise Crashed


@pytest.fixture
def points(monkeypatch: pytest.MonkeyPatch) -> Points:
    found = Points()
    write = Database.write

    @contextlib.contextmanager
    def writing(self: Database) -> Iterator[Any]:
        with write(self) as connection:
            yield connection
            found.reach()
        found.reach()

    def around(call: Callable[..., Any]) -> Callable[..., Any]:
        def surrounded(*given: Any) -> Any:
            found.reach()
            result = call(*given)
            found.reach()
            return result

        return surrounded

    monkeypatch.setattr(Database, "write", writing)
    for kind, name in (
        (Objects, "put_many"),
        (Objects, "put_stream"),
        (Objects, "delete"),
        (FakeTenantKey, "encrypt"),
        (FakeTenantKey, "decrypt"),
    ):
        monkeypatch.setattr(kind, name, around(getattr(kind, name)))
    monkeypatch.setattr(objects, "_sync", lambda *_: None)
    monkeypatch.setattr(database, "_PRAGMAS", (*database._PRAGMAS, "PRAGMA synchronous = OFF"))
    return found


def _erase(rig: Any, library: Library, ann: str) -> None:
    """The whole erasure, by an operator who remembers nothing but what Vault and the data plane tell."""
    erasures = library.erasures
    status = erasures.fence("req", ann, received_at=rig.now())
    state = rig.transit.admin().state("tenant-acme")
    version = max(state.latest_version, 2)
    if state.latest_version == 1 and status.state == "Fenced":
        version = rig.rotate()
    erasures.commit("req", version)
    erasures.copies("req")
    while erasures.caches("req").state == "Waiting":
        rig.seconds += 1
    rig.trim(version)
    erasures.purge("req")
    erasures.complete("req")


def _check(library: Library, ann: str, bob: str) -> None:
    """One is gone, the other is there, and the records say so exactly once."""
    done = library.erasures.status("req")
    assert (done.state, done.forgotten_paths) == ("Complete", 2)
    stores = {store["store"]: (store["deleted"], store["remaining"]) for store in done.results["purge"]}
    assert (stores["tree"], stores["records"], stores["objects"]) == ((2, 0), (2, 0), (1, 0))
    assert library.erasures.holdings(ann).paths == 0
    assert library.read(bob, "gen_2", Purpose.DELIVER).content == b"prompt of bob"
    assert library.read(bob, "img_2", Purpose.DELIVER).content == b"image of bob" * 50
    assert all(name.startswith(bob) for name in library.context.objects.list())
    with pytest.raises(RecordMissingError):
        library.read(ann, "gen_1", Purpose.ACCESS)


def test_an_erasure_that_crashes_at_any_point_is_finished_by_the_next_process(
    rig: Any, points: Points, tmp_path: Path
) -> None:
    library = rig.open()
    ann, bob = rig.keep(library, "ann", "1"), rig.keep(library, "bob", "2")
    library.copy_tree()
    rig.close()
    before, vault = tmp_path / "before", rig.transit.snapshot()
    shutil.copytree(rig.folder, before)
    crashed = 0
    while True:
        shutil.rmtree(rig.folder)
        shutil.copytree(before, rig.folder)
        rig.transit.restore(vault)
        points.passed, points.crash_at = 0, crashed + 1
        try:
            _erase(rig, rig.open("first"), ann)
        except Crashed:
            crashed += 1
        else:
            break
        rig.close()
        points.crash_at = 0
        library = rig.open("second")
        assert library.read(bob, "img_2", Purpose.DELIVER).content == b"image of bob" * 50, "lost between"
        _erase(rig, library, ann)
        _check(library, ann, bob)
        rig.close()
    assert crashed > 40


def test_a_write_that_crashes_at_any_point_is_there_or_not_there(rig: Any, points: Points, tmp_path: Path) -> None:
    library = rig.open()
    ann = rig.keep(library, "ann", "1")
    rig.close()
    before, vault = tmp_path / "before", rig.transit.snapshot()
    shutil.copytree(rig.folder, before)
    crashed = 0
    while True:
        shutil.rmtree(rig.folder)
        shutil.copytree(before, rig.folder)
        rig.transit.restore(vault)
        points.passed, points.crash_at = 0, 0
        library = rig.open("first")
        ticket = library.begin(ann, Purpose.GENERATE)
        points.passed, points.crash_at = 0, crashed + 1
        drafts = [Draft("new", "images", "image/png", b"new", large=True), Draft("row", "prompts", "g", b"row")]
        try:
            library.store(ticket, drafts)
        except Crashed:
            crashed += 1
        else:
            break
        rig.close()
        points.crash_at = 0
        library = rig.open("second")
        found = [entry.record_id for entry in library.entries(ann, Purpose.ACCESS)]
        if "new" in found:
            assert library.read(ann, "new", Purpose.DELIVER).content == b"new"
            assert library.read(ann, "row", Purpose.DELIVER).content == b"row"
        else:
            assert "row" not in found
        rig.erase(library, "req", ann)
        assert library.context.objects.list() == []
        with pytest.raises((KeyDestroyedError, RecordMissingError, AccessDeniedError)):
            library.read(ann, "new", Purpose.ACCESS)
        rig.close()
    assert crashed >= 6


def _retain(rig: Any, library: Library) -> None:
    """A whole run of retention in slices of one person, by an operator who remembers nothing."""
    runs = RetentionRuns(library.context, slice_subjects=1)
    begun = runs.begin("run", RuleSet({"images": Term(days=1), "prompts": Term(days=1)}))
    state = rig.transit.admin().state("tenant-acme")
    version = max(state.latest_version, 2)
    if state.latest_version == 1 and begun.state == "Begun":
        version = rig.rotate()
    while runs.commit("run", version).state == "Waiting":
        pass
    runs.copies("run")
    while runs.caches("run").state == "Waiting":
        rig.seconds += 1
    rig.trim(version)
    runs.purge("run")
    runs.complete("run")


def test_a_run_of_retention_that_crashes_at_any_point_is_finished_by_the_next_process(
    rig: Any, points: Points, tmp_path: Path
) -> None:
    rig.seconds = -100 * 86400
    library = rig.open()
    for person in ("ann", "bob"):
        rig.keep(library, person, person)
    library.copy_tree()
    rig.seconds = 0
    carol = rig.keep(library, "carol", "carol")
    rig.close()
    before, vault = tmp_path / "before", rig.transit.snapshot()
    shutil.copytree(rig.folder, before)
    crashed = 0
    while True:
        shutil.rmtree(rig.folder)
        shutil.copytree(before, rig.folder)
        rig.transit.restore(vault)
        points.passed, points.crash_at = 0, crashed + 1
        try:
            _retain(rig, rig.open("first"))
        except Crashed:
            crashed += 1
        else:
            break
        rig.close()
        points.crash_at = 0
        library = rig.open("second")
        assert library.read(carol, "img_carol", Purpose.DELIVER).content == b"image of carol" * 50, "lost between"
        _retain(rig, library)
        done = library.retention.status("run")
        assert (done.state, done.slices, done.forgotten) == ("Complete", 2, {"images": 2, "prompts": 2})
        stores = {store["store"]: (store["deleted"], store["remaining"]) for store in done.results["purge"]}
        assert (stores["tree"], stores["records"], stores["objects"]) == ((4, 0), (4, 0), (2, 0))
        assert library.read(carol, "img_carol", Purpose.DELIVER).content == b"image of carol" * 50
        assert all(name.startswith(carol) for name in library.context.objects.list())
        rig.close()
    assert crashed > 40


@pytest.mark.parametrize("what", ["erasure", "retention"])
def test_a_process_killed_at_any_commit_leaves_what_the_next_one_finishes(tmp_path: Path, what: str) -> None:
    """The same with real processes and kill -9: see killing.py."""
    done = subprocess.run(
        [sys.executable, "-W", "error", RUNNER, tmp_path, what],
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    killed = int(done.stdout.split()[0])
    assert killed >= 8
