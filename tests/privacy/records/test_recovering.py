"""A tenant whose database is lost or old is brought back from its tree copies, and nothing newer is written over."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from imagint_privacy.errors import (
    BackupRefusedError,
    ForeignTreeError,
    KeyBehindError,
    KeyDestroyedError,
    NodeTamperedError,
)
from imagint_privacy.keys.paths import KeyPath
from imagint_privacy.records.copying import CopiedTree, node_name
from imagint_privacy.records.database import Database
from imagint_privacy.records.objects import Objects
from imagint_privacy.records.recovering import Lost, recover_tree

KEY = "tenant-acme"


@pytest.fixture
def people(rig: Any) -> Iterator[list[str]]:
    """A tree of several leaves in both copies."""
    library = rig.open()
    found = [library.handle(f"person {number}") for number in range(200)]
    library.tree.ensure([KeyPath(person, "images", "2026-11") for person in found])
    library.copy_tree()
    rig.close()
    yield found
    rig.close()


def lose_database(rig: Any) -> None:
    for file in rig.folder.glob("records.db*"):
        file.unlink()


def recover(rig: Any, *, apply: bool = True, tenant: str = "acme") -> Any:
    lost = Lost(tenant, Database(rig.storage.database), [Objects(url) for url in rig.storage.tree_copies])
    try:
        return recover_tree(lost, rig.transit.tenant_key(KEY), rig.now(), apply=apply)
    finally:
        lost.database.close()


def test_a_lost_database_gets_the_whole_tree_back(rig: Any, people: list[str]) -> None:
    lose_database(rig)
    looked = recover(rig, apply=False)
    assert (looked.subjects, looked.replaced, looked.applied) == (201, 0, False)
    assert not (rig.folder / "records.db").exists()
    done = recover(rig)
    assert (done.nodes, done.generation, done.subjects) == (looked.nodes, looked.generation, 201)
    library = rig.open()
    assert all(len(library.tree.paths(person)) == 1 for person in people)
    assert library.handle("person 3") == people[3]
    rig.erase(library, "req", people[0])
    for store in library.context.copies:
        assert len(store.list("roots")) == 1


def test_an_old_database_is_brought_on_and_keeps_its_rows(rig: Any, people: list[str], tmp_path: Path) -> None:
    library = rig.open()
    ann = rig.keep(library, "ann", "1")
    rig.close()
    shutil.copy(rig.folder / "records.db", tmp_path / "old.db")
    library = rig.open()
    rig.erase(library, "req", people[0])
    rig.close()
    lose_database(rig)
    shutil.copy(tmp_path / "old.db", rig.folder / "records.db")
    assert recover(rig).replaced > 0
    library = rig.open()
    assert [entry.record_id for entry in library.entries(ann, "Access")] == ["img_1", "gen_1"]
    assert library.read(ann, "gen_1", "Access").content == b"prompt of ann"
    assert library.tree.paths(people[0]) == ()


def test_a_database_with_the_same_or_a_newer_tree_is_refused(rig: Any, people: list[str]) -> None:
    with pytest.raises(BackupRefusedError, match="nothing to bring back"):
        recover(rig)
    rig.keep(rig.open(), "ann", "1")
    rig.close()
    with pytest.raises(BackupRefusedError, match="nothing to bring back"):
        recover(rig, apply=False)


def test_another_tenants_copy_and_database_are_refused(rig: Any, people: list[str]) -> None:
    with pytest.raises(ForeignTreeError):
        recover(rig, tenant="other")
    lose_database(rig)
    with pytest.raises(ForeignTreeError):
        recover(rig, tenant="other")


def test_what_one_copy_lacks_comes_from_the_other_and_what_both_lack_stops_everything(
    rig: Any, people: list[str]
) -> None:
    lose_database(rig)
    first, second = (Objects(url) for url in rig.storage.tree_copies)
    head = CopiedTree(first).head()
    root = node_name(head.record.digest) if head else ""
    leaves = [name for name in first.list("nodes") if name != root]
    first.delete([root, *leaves[:2]])
    second.delete(leaves[2:4])
    first.put(leaves[4], b"damaged")
    assert recover(rig, apply=False).subjects == 201
    second.delete(leaves[:1])
    with pytest.raises(NodeTamperedError, match="missing in every copy"):
        recover(rig)
    lost = Database(rig.storage.database)
    with lost.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM tree_nodes").scalar_one() == 0
    lost.close()
    second.put(leaves[0], b"damaged")
    second.delete([root])
    with pytest.raises(NodeTamperedError, match="newest root"):
        recover(rig)
    first.put(root, head.sealed if head else b"")
    with pytest.raises(NodeTamperedError, match="damaged in every copy"):
        recover(rig)


def test_old_copies_and_an_old_vault_are_told_apart(rig: Any, people: list[str], tmp_path: Path) -> None:
    for number in (1, 2):
        shutil.copytree(rig.folder / f"copy-{number}", tmp_path / f"old-{number}")
    before = rig.transit.snapshot()
    rig.erase(rig.open(), "req", people[0])
    rig.close()
    lose_database(rig)
    now = rig.transit.snapshot()
    rig.transit.restore(before)
    with pytest.raises(KeyBehindError, match="vault is behind the tree"):
        recover(rig)
    rig.transit.restore(now)
    for number in (1, 2):
        shutil.rmtree(rig.folder / f"copy-{number}")
        shutil.copytree(tmp_path / f"old-{number}", rig.folder / f"copy-{number}")
    with pytest.raises(KeyDestroyedError, match="this tree is an old one"):
        recover(rig)


def test_without_a_copy_there_is_nothing_to_recover_from(bare_rig: Any) -> None:
    with pytest.raises(BackupRefusedError, match="no copy"):
        recover(bare_rig)
