"""Backups that were cut off, lie where nobody can write, are damaged or were tampered with."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from imagint_privacy.errors import BackupRefusedError, StorageUnavailableError
from imagint_privacy.purposes import Purpose
from imagint_privacy.records import backups, restore
from imagint_privacy.records.database import Database
from imagint_privacy.records.library import Library
from imagint_privacy.records.objects import Objects
from imagint_privacy.records.reinstating import reinstate
from imagint_privacy.records.restore import Selection

EVERYTHING = Selection()


def change(folder: Path, statement: str) -> None:
    with sqlite3.connect(folder / "records.db") as raw:
        raw.execute(statement)
    raw.close()


def lose_everything(library: Library) -> None:
    with library.context.database.write() as connection:
        connection.exec_driver_sql("DELETE FROM records")
        connection.exec_driver_sql("DELETE FROM objects")
    library.context.objects.delete(library.context.objects.list())


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param("subject = '../../x'", id="a subject that climbs out"),
        pytest.param("subject = 5", id="a subject that is a number"),
        pytest.param("record_id = '../../x'", id="an id that climbs out"),
        pytest.param("category = 'No'", id="no category"),
        pytest.param("period = 'x/../y'", id="no period"),
        pytest.param("kind = '€'", id="a kind of other letters"),
        pytest.param("kind = printf('%.*c', 2000000, 'x')", id="a kind without end"),
        pytest.param("created_at = 'garbage'", id="no moment"),
        pytest.param("created_at = 5", id="a moment that is a number"),
        pytest.param("size = 'x'", id="a size that is text"),
        pytest.param("size = 9223372036854775807", id="a huge size"),
        pytest.param("size = -1", id="a size below zero"),
        pytest.param("incarnation = 'x'", id="a life that is text"),
        pytest.param("sealed = 'hello'", id="sealed bytes that are text"),
        pytest.param("sealed = zeroblob(80)", id="other sealed bytes"),
        pytest.param("kind = 'other'", id="another kind"),
    ],
)
def test_a_row_that_was_changed_counts_as_damaged_and_costs_no_other(rig: Any, tmp_path: Path, changed: str) -> None:
    library = rig.open()
    rig.keep(library, "ann", "1")
    bob = rig.keep(library, "bob", "2")
    backups.back_up(library, tmp_path / "backup")
    lose_everything(library)
    change(tmp_path / "backup", f"UPDATE records SET {changed} WHERE record_id = 'gen_1'")  # noqa: S608
    found = reinstate(tmp_path / "backup", library, EVERYTHING, apply=True)
    assert found.counts == {"Damaged": 1, "Brought": 3}
    assert restore.check(tmp_path / "backup", library).damaged == 1
    assert library.read(bob, "gen_2", Purpose.DELIVER).content == b"prompt of bob"


@pytest.mark.parametrize("column", ["subject", "sealed"])
def test_a_row_swapped_with_somebody_elses_opens_for_nobody(rig: Any, tmp_path: Path, column: str) -> None:
    library = rig.open()
    rig.keep(library, "ann", "1")
    rig.keep(library, "bob", "2")
    backups.back_up(library, tmp_path / "backup")
    lose_everything(library)
    other = f"(SELECT {column} FROM records WHERE record_id = 'gen_2')"  # noqa: S608
    change(tmp_path / "backup", f"UPDATE records SET {column} = {other} WHERE record_id = 'gen_1'")  # noqa: S608
    found = reinstate(tmp_path / "backup", library, EVERYTHING, apply=True)
    assert found.counts == {"KeyDestroyed": 1, "Brought": 3}  # sealed under another key than its path's


@pytest.mark.parametrize("place", ["../../../../etc/passwd", "", "a//b", "/etc/passwd"])
def test_an_object_said_to_be_elsewhere_is_not_looked_for(rig: Any, tmp_path: Path, place: str) -> None:
    library = rig.open()
    rig.keep(library, "ann", "1")
    rig.keep(library, "bob", "2")
    backups.back_up(library, tmp_path / "backup")
    lose_everything(library)
    change(tmp_path / "backup", f"UPDATE objects SET location = '{place}' WHERE record_id = 'img_1'")  # noqa: S608
    assert reinstate(tmp_path / "backup", library, EVERYTHING, apply=True).counts == {"Damaged": 1, "Brought": 3}


@pytest.mark.parametrize(
    "kept",
    [
        pytest.param(lambda whole: b"x" * len(whole), id="no database at all"),
        pytest.param(lambda whole: whole[:8192], id="a database cut short"),
        pytest.param(lambda whole: whole[: len(whole) // 2], id="half a database"),
    ],
)
def test_a_database_that_cannot_be_read_is_refused_and_not_tried_again(rig: Any, tmp_path: Path, kept: Any) -> None:
    library = rig.open()
    rig.keep(library, "ann", "1")
    backups.back_up(library, tmp_path / "backup")
    file = tmp_path / "backup" / "records.db"
    file.write_bytes(kept(file.read_bytes()))
    with pytest.raises(BackupRefusedError):
        reinstate(tmp_path / "backup", library, EVERYTHING, apply=True)


@pytest.mark.parametrize("point", ["_copy_any", "_copy_objects", "_copy_tree"])
def test_a_backup_that_was_cut_off_is_refused_and_the_same_command_ends_it(
    rig: Any, tmp_path: Path, point: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = rig.open()
    rig.keep(library, "ann", "1")
    real = getattr(backups, point)

    def full(*arguments: Any) -> None:
        real(*arguments)
        raise OSError(28, "no space left")

    with monkeypatch.context() as patched:
        patched.setattr(backups, point, full)
        with pytest.raises(StorageUnavailableError):
            backups.back_up(library, tmp_path / "backup")
    with pytest.raises(BackupRefusedError, match="cut off"):
        reinstate(tmp_path / "backup", library, EVERYTHING, apply=False)
    assert backups.back_up(library, tmp_path / "backup").records == 2
    assert reinstate(tmp_path / "backup", library, EVERYTHING, apply=False).counts == {"Held": 2}
    with pytest.raises(BackupRefusedError, match="not empty"):
        backups.back_up(library, tmp_path / "backup")


def test_a_backup_is_never_begun_over_one_being_written_nor_over_anything_else(rig: Any, tmp_path: Path) -> None:
    library = rig.open()
    folder = tmp_path / "backup"
    folder.mkdir()
    with (folder / backups.UNFINISHED).open("w") as mark:
        fcntl.flock(mark, fcntl.LOCK_EX)
        (folder / "records.db").write_text("of the other")
        with pytest.raises(BackupRefusedError, match="another process"):
            backups.back_up(library, folder)
    assert (folder / "records.db").read_text() == "of the other"
    (folder / "letter").write_text("mine")
    with pytest.raises(BackupRefusedError, match="something else"):
        backups.back_up(library, folder)
    assert (folder / "letter").read_text() == "mine"
    assert (folder / "records.db").exists()


def test_a_backup_is_read_where_nobody_can_write_and_stays_as_it_is(
    rig: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = rig.open()
    rig.keep(library, "ann", "1")
    backups.back_up(library, tmp_path / "backup")
    lose_everything(library)
    real = os.access

    def database(url: str) -> Database:
        assert str(tmp_path / "backup") not in url, "SQLite would write beside it"
        return Database(url)

    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK and real(path, mode))
    monkeypatch.setattr("imagint_privacy.records.restore.Database", database)
    assert reinstate(tmp_path / "backup", library, EVERYTHING, apply=True).counts == {"Brought": 2}


def test_an_object_being_brought_back_is_not_swept_for_its_true_age(
    rig: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = rig.open()
    ann = rig.keep_at(library, 30, "ann", "1")
    backups.back_up(library, tmp_path / "backup")
    before = library.entries(ann, Purpose.DELIVER)
    lose_everything(library)
    real = Objects.put_stream

    def slow(store: Objects, *arguments: Any) -> None:
        real(store, *arguments)
        assert library.sweep_uploads() == 0

    with monkeypatch.context() as patched:
        patched.setattr(Objects, "put_stream", slow)
        assert reinstate(tmp_path / "backup", library, EVERYTHING, apply=True).counts == {"Brought": 2}
    assert library.entries(ann, Purpose.DELIVER) == before
    assert library.read(ann, "img_1", Purpose.DELIVER).content == b"image of ann" * 50
    assert library.sweep_uploads() == 0


def test_an_object_swept_away_while_it_came_back_is_tried_again_and_never_a_row_without_it(
    rig: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = rig.open()
    ann = rig.keep(library, "ann", "1")
    backups.back_up(library, tmp_path / "backup")
    lose_everything(library)
    real = Objects.put_stream

    def swept(store: Objects, *arguments: Any) -> None:
        real(store, *arguments)
        library.sweep_uploads(timedelta(seconds=-1))

    with monkeypatch.context() as patched:
        patched.setattr(Objects, "put_stream", swept)
        with pytest.raises(StorageUnavailableError):
            reinstate(tmp_path / "backup", library, EVERYTHING, apply=True)
    assert [entry.record_id for entry in library.entries(ann, Purpose.DELIVER)] == []
    assert reinstate(tmp_path / "backup", library, EVERYTHING, apply=True).counts == {"Brought": 2}
    assert library.read(ann, "img_1", Purpose.DELIVER).content == b"image of ann" * 50
