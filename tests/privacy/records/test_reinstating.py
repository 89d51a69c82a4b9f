"""Point-in-time restore: what is missing comes back, what was forgotten never does, and a cut changes nothing."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic import command

from imagint_privacy.errors import KeyDestroyedError, RecordMissingError, StorageUnavailableError
from imagint_privacy.purposes import Purpose
from imagint_privacy.records import backups, database, migrating, objects
from imagint_privacy.records.database import Database
from imagint_privacy.records.library import Draft, Library
from imagint_privacy.records.objects import Objects
from imagint_privacy.records.recovering import Lost, recover_tree
from imagint_privacy.records.reinstating import reinstate
from imagint_privacy.records.restore import Selection

EVERYTHING = Selection()
RUNNER = Path(__file__).with_name("killing_restores.py")
TABLES = ("records", "objects", "incarnations", "fences", "erasures")


def rows(library: Library) -> dict[str, list[Any]]:
    with sqlite3.connect(str(library.context.database.file)) as raw:
        found = {table: sorted(map(repr, raw.execute(f"SELECT * FROM {table}"))) for table in TABLES}  # noqa: S608
    raw.close()
    return found | {"files": sorted(library.context.objects.list())}


def lose(library: Library, *records: str) -> None:
    """Lose records as a broken disk does: row, object and all."""
    with library.context.database.write() as connection:
        for record in records:
            for table in ("records", "objects"):
                connection.exec_driver_sql(f"DELETE FROM {table} WHERE record_id = ?", (record,))  # noqa: S608
    names = [name for name in library.context.objects.list() if name.rsplit("/", 1)[1] in records]
    library.context.objects.delete(names)


def test_what_is_missing_comes_back_as_it_was_and_what_was_erased_never_does(rig: Any, tmp_path: Path) -> None:
    library = rig.open()
    ann, bob = rig.keep(library, "ann", "1"), rig.keep(library, "bob", "2")
    rig.keep(library, "cat", "3")
    before = rows(library)
    backups.back_up(library, tmp_path / "backup")
    rig.erase(library, "req", ann)
    left = rows(library)
    lose(library, "gen_2", "img_2")
    looked = reinstate(tmp_path / "backup", library, EVERYTHING, apply=False)
    assert looked.counts == {"Opens": 2, "Held": 2, "KeyDestroyed": 2}
    with pytest.raises(RecordMissingError):
        library.read(bob, "gen_2", Purpose.DELIVER)
    steps: list[tuple[int, int]] = []
    done = reinstate(tmp_path / "backup", library, EVERYTHING, apply=True, progress=lambda *step: steps.append(step))
    assert done.counts == {"Brought": 2, "Held": 2, "KeyDestroyed": 2}
    assert steps[-1] == (6, 6)
    assert rows(library) == left
    assert set(left["records"]) < set(before["records"])
    assert library.read(bob, "img_2", Purpose.DELIVER).content == b"image of bob" * 50
    assert reinstate(tmp_path / "backup", library, EVERYTHING, apply=True).counts == {"Held": 4, "KeyDestroyed": 2}


def test_an_ended_life_is_left_out_even_where_its_key_still_opens(rig: Any, tmp_path: Path) -> None:
    library = rig.open()
    ann = rig.keep(library, "ann", "1")
    backups.back_up(library, tmp_path / "backup")
    lose(library, "gen_1", "img_1")
    library.erasures.fence("req", ann, received_at=rig.now())
    found = reinstate(tmp_path / "backup", library, EVERYTHING, apply=True)
    assert found.counts == {"Ended": 2}
    assert rows(library)["records"] == []


def test_who_is_fenced_since_the_backup_in_another_life_waits(rig: Any, tmp_path: Path) -> None:
    library = rig.open()
    ann = rig.keep(library, "ann", "1")
    rig.erase(library, "req", ann)
    library.erasures.fence("req-2", ann, ("prompts",), received_at=rig.now())
    library.erasures.complete("req-2")
    rig.keep(library, "ann", "2")
    backups.back_up(library, tmp_path / "backup")
    lose(library, "gen_2", "img_2")
    library.erasures.fence("req-3", ann, ("prompts",), received_at=rig.now())
    assert reinstate(tmp_path / "backup", library, EVERYTHING, apply=True).counts == {"Ended": 1, "Brought": 1}


def test_nothing_that_is_here_is_written_over(rig: Any, tmp_path: Path) -> None:
    library = rig.open()
    ann = rig.keep(library, "ann", "1")
    backups.back_up(library, tmp_path / "backup")
    lose(library, "gen_1", "img_1")
    rig.seconds += 60
    bob = library.handle("bob")
    library.store(library.begin(bob, Purpose.GENERATE), [Draft("gen_1", "prompts", "generation", b"newer")])
    assert reinstate(tmp_path / "backup", library, EVERYTHING, apply=True).counts == {"Taken": 1, "Brought": 1}
    assert library.read(bob, "gen_1", Purpose.DELIVER).content == b"newer"
    assert library.read(ann, "img_1", Purpose.DELIVER).content == b"image of ann" * 50


def test_an_object_that_was_lost_under_its_row_comes_back(rig: Any, tmp_path: Path) -> None:
    library = rig.open()
    ann = rig.keep(library, "ann", "1")
    backups.back_up(library, tmp_path / "backup")
    whole = rows(library)
    library.context.objects.delete(library.context.objects.list())
    assert reinstate(tmp_path / "backup", library, EVERYTHING, apply=True).counts == {"Held": 1, "Brought": 1}
    assert rows(library) == whole
    assert library.read(ann, "img_1", Purpose.DELIVER).content == b"image of ann" * 50


def test_only_what_was_selected_comes_back(rig: Any, tmp_path: Path) -> None:
    library = rig.open()
    ann = rig.keep(library, "ann", "1")
    rig.seconds += 3600
    rig.keep(library, "bob", "2")
    backups.back_up(library, tmp_path / "backup")
    lose(library, "gen_1", "img_1", "gen_2", "img_2")
    hour = rig.now() - timedelta(minutes=30)
    for selection, outcome in (
        (Selection(subjects=frozenset({ann}), categories=frozenset({"images"})), {"Brought": 1}),
        (Selection(records=frozenset({"img_1", "gen_1"})), {"Held": 1, "Brought": 1}),
        (Selection(before=hour), {"Held": 2}),
        (Selection(since=hour), {"Brought": 2}),
    ):
        assert reinstate(tmp_path / "backup", library, selection, apply=True).counts == outcome


def test_damage_in_the_backup_is_counted_and_never_brought_back(rig: Any, tmp_path: Path) -> None:
    library = rig.open()
    rig.keep(library, "ann", "1")
    backups.back_up(library, tmp_path / "backup")
    lose(library, "gen_1", "img_1")
    next((tmp_path / "backup" / "objects").rglob("img_1")).unlink()
    with sqlite3.connect(tmp_path / "backup" / "records.db") as raw:
        raw.execute("UPDATE records SET sealed = zeroblob(80) WHERE record_id = 'gen_1'")
    raw.close()
    found = reinstate(tmp_path / "backup", library, EVERYTHING, apply=True)
    assert (found.counts, found.damaged) == ({"Damaged": 1, "Missing": 1}, 2)
    assert rows(library)["records"] == []


def test_a_lost_tenant_comes_back_from_its_tree_copy_and_an_older_backup_with_its_tombstones(
    rig: Any, tmp_path: Path
) -> None:
    library = rig.open()
    ann, bob = rig.keep(library, "ann", "1"), rig.keep(library, "bob", "2")
    rig.erase(library, "req", ann)
    rig.keep(library, "ann", "3")
    rig.keep(library, "cat", "4")
    backups.back_up(library, tmp_path / "backup")
    whole, cat = rows(library), library.handle("cat")
    rig.erase(library, "req-2", cat)
    rig.close()
    for file in (*rig.folder.glob("records.db*"), *rig.folder.glob("objects")):
        shutil.rmtree(file) if file.is_dir() else file.unlink()
    lost = Lost("acme", Database(rig.storage.database), [Objects(url) for url in rig.storage.tree_copies])
    assert recover_tree(lost, rig.transit.tenant_key("tenant-acme"), rig.now(), apply=True).applied
    lost.database.close()
    library = rig.open()
    looked = reinstate(tmp_path / "backup", library, EVERYTHING, apply=False)
    assert looked.counts == {"Opens": 4, "KeyDestroyed": 2}
    done = reinstate(tmp_path / "backup", library, EVERYTHING, apply=True)
    assert done.counts == {"Brought": 4, "KeyDestroyed": 2}
    assert done.statements == 2
    now = rows(library)
    assert {name: now[name] for name in ("incarnations", "erasures", "fences")} == {
        name: whole[name] for name in ("incarnations", "erasures", "fences")
    }
    assert library.read(ann, "gen_3", Purpose.DELIVER).content == b"prompt of ann"
    assert library.read(bob, "img_2", Purpose.DELIVER).content == b"image of bob" * 50
    rig.erase(library, "req-3", ann)
    assert all(name.startswith(bob) for name in library.context.objects.list())


def age(file: Path) -> None:
    """Make a database what the first program would have written."""
    new = file.with_name("new.db")
    file.rename(new)
    with contextlib.closing(Database(f"sqlite:///{file}")) as first, first.write() as connection:
        config = migrating._config()
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
    with contextlib.closing(sqlite3.connect(file)) as raw, raw:
        raw.execute("ATTACH ? AS new", (str(new),))
        tables = [name for (name,) in raw.execute("SELECT name FROM main.sqlite_master WHERE type = 'table'")]
        for table in set(tables) - {"alembic_version"}:
            columns = ", ".join(column[1] for column in raw.execute(f"PRAGMA main.table_info({table})"))
            raw.execute(f"INSERT INTO main.{table} ({columns}) SELECT {columns} FROM new.{table}")  # noqa: S608
    new.unlink()


def test_a_backup_of_an_earlier_program_is_read_through_a_migrated_copy(rig: Any, tmp_path: Path) -> None:
    library = rig.open()
    rig.keep(library, "ann", "1")
    backups.back_up(library, tmp_path / "backup")
    age(tmp_path / "backup" / "records.db")
    lose(library, "gen_1")
    assert reinstate(tmp_path / "backup", library, EVERYTHING, apply=True).counts == {"Brought": 1, "Held": 1}
    with contextlib.closing(sqlite3.connect(tmp_path / "backup" / "records.db")) as raw:
        assert raw.execute("SELECT version_num FROM alembic_version").fetchone() == ("0001",)


class Crashed(BaseException):
    """The process is gone."""


class Points:
    """Counts the writes of a restore, and crashes at one of them."""

    def __init__(self) -> None:
        self.passed = 0
        self.crash_at = 0

    def reach(self) -> None:
        self.passed += 1
        if self.passed == self.crash_at:
            raise Crashed


@pytest.fixture
def points(monkeypatch: pytest.MonkeyPatch) -> Points:
    monkeypatch.setattr(objects, "_sync", lambda *_: None)
    monkeypatch.setattr(database, "_PRAGMAS", (*database._PRAGMAS, "PRAGMA synchronous = OFF"))
    found, write, put = Points(), Database.write, Objects.put_stream

    @contextlib.contextmanager
    def writing(self: Database) -> Iterator[Any]:
        with write(self) as connection:
            yield connection
            found.reach()
        found.reach()

    def putting(*given: Any) -> None:
        found.reach()
        put(*given)
        found.reach()

    monkeypatch.setattr(Database, "write", writing)
    monkeypatch.setattr(Objects, "put_stream", putting)
    return found


def _restored(library: Library, folder: Path, points: Points, at: int) -> bool:
    """Run a restore that may crash; say whether it came to its end."""
    points.passed, points.crash_at = 0, at
    try:
        reinstate(folder, library, EVERYTHING, apply=True)
    except Crashed:
        return False
    finally:
        points.crash_at = 0
    return True


def test_a_restore_that_is_cut_off_at_any_write_ends_the_same_when_it_is_run_again(
    rig: Any, tmp_path: Path, points: Points
) -> None:
    library = rig.open()
    for number in range(3):
        rig.keep(library, f"person {number}", str(number))
    rig.erase(library, "req", library.handle("person 0"))
    backups.back_up(library, tmp_path / "backup")
    whole = rows(library)
    lose(library, *(f"{kind}_{number}" for kind in ("gen", "img") for number in (1, 2)))
    with library.context.database.write() as connection:
        connection.exec_driver_sql("DELETE FROM incarnations")
        connection.exec_driver_sql("DELETE FROM erasures")
    rig.close()
    before = tmp_path / "before"
    shutil.copytree(rig.folder, before)
    crashed, finished = 0, False
    while not finished:
        shutil.rmtree(rig.folder)
        shutil.copytree(before, rig.folder)
        library = rig.open()
        finished = _restored(library, tmp_path / "backup", points, crashed + 1)
        crashed += not finished
        assert _restored(library, tmp_path / "backup", points, 0)
        assert rows(library) == whole
        rig.close()
    assert crashed > 12


def test_a_restore_that_is_killed_at_any_write_is_finished_by_the_next_process(tmp_path: Path) -> None:
    """The tree and the data, with real processes and kill -9: see killing_restores.py."""
    command_line = [sys.executable, "-W", "error", str(RUNNER), str(tmp_path)]
    done = subprocess.run(command_line, capture_output=True, text=True, timeout=250, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[0]) > 15


@pytest.mark.parametrize("full", ["database", "objects"], ids=["the database is full", "the object store is full"])
def test_a_full_disk_stops_the_restore_and_making_room_finishes_it(
    rig: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, full: str
) -> None:
    library = rig.open()
    subject = library.handle("ann")
    drafts = [Draft(f"p{number}", "prompts", "text", b"x" * 30_000) for number in range(20)]
    library.store(library.begin(subject, Purpose.GENERATE), drafts)
    rig.keep(library, "bob", "2")
    backups.back_up(library, tmp_path / "backup")
    whole = rows(library)
    lose(library, "img_2", *(draft.record_id for draft in drafts))
    if full == "database":
        rig.close()
        with sqlite3.connect(rig.folder / "records.db") as raw:
            raw.execute("VACUUM")
            (pages,) = raw.execute("PRAGMA page_count").fetchone()
        raw.close()
        monkeypatch.setattr(database, "_PRAGMAS", (*database._PRAGMAS, f"PRAGMA max_page_count = {pages + 20}"))
        library = rig.open()
    else:
        refusing: Callable[..., Any] = lambda *_: (_ for _ in ()).throw(StorageUnavailableError("full"))  # noqa: E731
        monkeypatch.setattr(library.context.objects, "put_stream", refusing)
    with pytest.raises(StorageUnavailableError):
        reinstate(tmp_path / "backup", library, EVERYTHING, apply=True)
    monkeypatch.undo()
    rig.close()
    library = rig.open()
    reinstate(tmp_path / "backup", library, EVERYTHING, apply=True)
    assert rows(library) == whole


def test_the_portable_copy_of_rows_holds_every_row(rig: Any, tmp_path: Path) -> None:
    """What a backup of PostgreSQL uses; here over SQLite, where it can be compared."""
    library = rig.open()
    ann = rig.keep(library, "ann", "1")
    rig.keep(library, "bob", "2")
    rig.erase(library, "req", ann)
    backups.copy_rows(library.context.database, tmp_path / "records.db")
    for table in (*TABLES, "tree_nodes", "tree_root", "library", "copies", "replicas", "key_witnesses"):
        found = []
        for file in (library.context.database.file, tmp_path / "records.db"):
            with sqlite3.connect(str(file)) as raw:
                found.append(sorted(map(repr, raw.execute(f"SELECT * FROM {table}"))))  # noqa: S608
            raw.close()
        assert found[0] == found[1]
    assert found[0]


def test_a_forgotten_record_is_never_read_through_a_restored_backup(rig: Any, tmp_path: Path) -> None:
    library = rig.open()
    ann = rig.keep(library, "ann", "1")
    backups.back_up(library, tmp_path / "backup")
    rig.erase(library, "req", ann)
    shutil.copytree(tmp_path / "backup" / "objects", rig.folder / "objects", dirs_exist_ok=True)
    with sqlite3.connect(rig.folder / "records.db") as raw:
        raw.execute("ATTACH ? AS old", (str(tmp_path / "backup" / "records.db"),))
        raw.execute("INSERT INTO records SELECT * FROM old.records")
        raw.execute("INSERT INTO objects SELECT * FROM old.objects")
    raw.close()
    for record in ("gen_1", "img_1"):
        with pytest.raises(KeyDestroyedError):
            library.read(ann, record, Purpose.ACCESS)
