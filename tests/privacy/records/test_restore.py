"""Backups taken before an erasure: good for everybody else, useless for the erased."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from imagint_privacy.errors import (
    BackupRefusedError,
    ForeignTreeError,
    KeyDestroyedError,
    RecordMissingError,
    StaleTreeError,
    StorageUnavailableError,
)
from imagint_privacy.keys.tree import KeyTree
from imagint_privacy.purposes import Purpose
from imagint_privacy.records import backups, restore
from imagint_privacy.records.copying import CopiedTree
from imagint_privacy.records.objects import Objects


def outcomes(report: restore.RestoreReport) -> dict[str, str]:
    return {line.record_id: line.outcome for line in report.lines}


def test_a_backup_taken_before_opens_for_the_survivors_alone(rig: Any, tmp_path: Path) -> None:
    library = rig.open()
    ann, _bob = rig.keep(library, "ann", "1"), rig.keep(library, "bob", "2")
    report = backups.back_up(library, tmp_path / "backup")
    assert (report.records, report.objects) == (4, 2)
    assert set(outcomes(restore.check(tmp_path / "backup", library)).values()) == {"Opens"}
    assert not restore.old_root(tmp_path / "backup", rig.transit.tenant_key("tenant-acme")).refused
    rig.erase(library, "req", ann)
    shutil.copytree(tmp_path / "backup", tmp_path / "restored")
    checked = restore.check(tmp_path / "restored", library)
    assert outcomes(checked) == {
        "gen_1": "KeyDestroyed",
        "img_1": "KeyDestroyed",
        "gen_2": "Opens",
        "img_2": "Opens",
    }
    assert (checked.opens, checked.key_destroyed, checked.damaged) == (2, 2, 0)
    assert restore.open_record(tmp_path / "restored", library, "img_2").content == b"image of bob" * 50
    with pytest.raises(KeyDestroyedError):
        restore.open_record(tmp_path / "restored", library, "img_1")
    root = restore.old_root(tmp_path / "restored", rig.transit.tenant_key("tenant-acme"))
    assert (root.refused, root.key_version) == (True, 1)
    with pytest.raises(KeyDestroyedError):
        KeyTree.open("acme", CopiedTree(Objects(f"file://{tmp_path}/restored/tree")), _key(rig))


def _key(rig: Any) -> Any:
    return rig.transit.tenant_key("tenant-acme")


def test_the_backup_of_somebody_who_came_back_does_not_open_under_the_new_keys(rig: Any, tmp_path: Path) -> None:
    library = rig.open()
    ann = rig.keep(library, "ann", "1")
    backups.back_up(library, tmp_path / "backup")
    rig.erase(library, "req", ann)
    rig.keep(library, "ann", "2")
    assert restore.check(tmp_path / "backup", library).key_destroyed == 2
    assert library.read(ann, "gen_2", Purpose.DELIVER).content == b"prompt of ann"


def test_an_old_database_put_in_place_of_the_current_one_opens_for_nobody(rig: Any, tmp_path: Path) -> None:
    library = rig.open()
    ann = rig.keep(library, "ann", "1")
    backups.back_up(library, tmp_path / "backup")
    rig.erase(library, "req", ann)
    rig.close()
    for file in rig.folder.glob("records.db*"):
        file.unlink()
    shutil.copy(tmp_path / "backup" / "records.db", rig.folder / "records.db")
    with pytest.raises(StaleTreeError, match="an old one"):
        rig.open()
    for number in (1, 2):
        shutil.rmtree(rig.folder / f"copy-{number}")
    with pytest.raises(KeyDestroyedError, match="this tree is an old one"):
        rig.open()


def test_a_tenant_whose_database_was_lost_reads_its_backup_through_a_tree_copy(rig: Any, tmp_path: Path) -> None:
    library = rig.open()
    ann, bob = rig.keep(library, "ann", "1"), rig.keep(library, "bob", "2")
    backups.back_up(library, tmp_path / "backup")
    rig.erase(library, "req", ann)
    copied: KeyTree[None] = KeyTree.open("acme", CopiedTree(library.context.copies[0]), _key(rig))
    assert [copied.lookup(path) for path in copied.paths(bob)] == [library.tree.lookup(p) for p in copied.paths(bob)]


def test_damage_in_a_backup_is_told_apart_from_destroyed_keys(rig: Any, tmp_path: Path) -> None:
    library = rig.open()
    rig.keep(library, "ann", "1")
    rig.keep(library, "bob", "2")
    backups.back_up(library, tmp_path / "backup")
    with sqlite3.connect(tmp_path / "backup" / "records.db") as raw:
        raw.execute("UPDATE records SET sealed = substr(sealed, 1, length(sealed) - 1) WHERE record_id = 'gen_1'")
        raw.execute("DELETE FROM objects WHERE record_id = 'img_1'")
    raw.close()
    next((tmp_path / "backup" / "objects").rglob("img_2")).unlink()
    checked = restore.check(tmp_path / "backup", library)
    assert outcomes(checked) == {"gen_1": "Damaged", "img_1": "Missing", "gen_2": "Opens", "img_2": "Missing"}
    assert checked.damaged == 3
    with pytest.raises(RecordMissingError):
        restore.open_record(tmp_path / "backup", library, "img_1")


def test_a_backup_is_taken_while_others_write(rig: Any, tmp_path: Path) -> None:
    library, other = rig.open(), rig.open("two")
    rig.keep(library, "ann", "1")
    backups.back_up(library, tmp_path / "backup")
    rig.keep(other, "bob", "2")
    assert set(outcomes(restore.check(tmp_path / "backup", library))) == {"gen_1", "img_1"}


def test_a_folder_in_use_is_never_written_over(rig: Any, tmp_path: Path) -> None:
    library = rig.open()
    (tmp_path / "backup").mkdir()
    (tmp_path / "backup" / "something").touch()
    with pytest.raises(BackupRefusedError):
        backups.back_up(library, tmp_path / "backup")
    with pytest.raises(StorageUnavailableError):
        backups.back_up(library, tmp_path / "backup" / "something")


def test_a_folder_without_a_backup_and_another_tenants_backup_are_refused(rig: Any, tmp_path: Path) -> None:
    library = rig.open()
    with pytest.raises(BackupRefusedError):
        restore.check(tmp_path, library)
    with pytest.raises(BackupRefusedError):
        restore.old_root(tmp_path, _key(rig))
    backups.back_up(library, tmp_path / "backup")
    with sqlite3.connect(tmp_path / "backup" / "records.db") as raw:
        raw.execute("UPDATE library SET tenant = 'other'")
    raw.close()
    with pytest.raises(ForeignTreeError):
        restore.check(tmp_path / "backup", library)
