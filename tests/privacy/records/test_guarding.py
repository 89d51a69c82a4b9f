"""After a restore the library opens nothing until Vault, database and copies agree, and says what is wrong."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from imagint_privacy.errors import (
    KeyBehindError,
    KeyDestroyedError,
    KeyRevivedError,
    KeysUnavailableError,
    StaleTreeError,
)
from imagint_privacy.keys.moving import MovingKey
from imagint_privacy.purposes import Purpose
from imagint_privacy.records.library import Library


def witnesses(library: Any) -> list[tuple[int, int]]:
    with sqlite3.connect(library.context.database.file) as raw:
        found = raw.execute("SELECT key_version, armed FROM key_witnesses ORDER BY key_version").fetchall()
    raw.close()
    return found


def test_each_version_has_a_witness_and_the_newest_destroyed_one_is_kept(rig: Any) -> None:
    library = rig.open()
    people = [rig.keep(library, f"person {number}", str(number)) for number in range(3)]
    assert witnesses(library) == [(1, 0)]
    for number, person in enumerate(people):
        rig.erase(library, f"req-{number}", person)
    assert witnesses(library) == [(3, 1), (4, 0)]


def test_a_vault_from_before_a_trim_is_noticed_within_the_age_of_the_cache_until_it_is_trimmed_again(rig: Any) -> None:
    library = rig.open()
    ann, bob = rig.keep(library, "ann", "1"), rig.keep(library, "bob", "2")
    erasures = library.erasures
    erasures.fence("req", ann, received_at=rig.now())
    rig.rotate()
    between = rig.transit.snapshot()  # both versions are there
    erasures.commit("req", 2)
    erasures.copies("req")
    erasures.caches("req")
    rig.trim(2)
    erasures.purge("req")
    rig.transit.restore(between)
    assert library.read(bob, "gen_2", Purpose.DELIVER).content == b"prompt of bob"  # confirmed before
    rig.seconds += 6
    for _ in range(2):
        with pytest.raises(KeyRevivedError, match="version 1 of the tenant's key again"):
            library.read(bob, "gen_2", Purpose.DELIVER)
    with pytest.raises(KeyRevivedError):
        rig.open("two")
    rig.trim(2)
    assert library.read(bob, "gen_2", Purpose.DELIVER).content == b"prompt of bob"
    rig.open("two")


def test_a_vault_from_before_a_rotation_is_named_with_the_versions(rig: Any) -> None:
    library = rig.open()
    ann = rig.keep(library, "ann", "1")
    before = rig.transit.snapshot()
    rig.erase(library, "req", ann)
    rig.transit.restore(before)
    rig.seconds += 6
    with pytest.raises(KeyBehindError, match=r"under version 2 .* newest is 1; restore a vault snapshot"):
        library.beat()
    rig.rotate()  # blindly: another version 2
    with pytest.raises(KeyDestroyedError, match="no version of the tenant's key opens the root"):
        rig.open("two")


def test_an_erasure_under_way_is_not_taken_for_a_restored_vault(rig: Any) -> None:
    library = rig.open()
    ann = rig.keep(library, "ann", "1")
    library.erasures.fence("req", ann, received_at=rig.now())
    rig.rotate()
    library.erasures.commit("req", 2)
    rig.seconds += 6
    library.beat()
    rig.open("two")
    assert witnesses(library)[0] == (1, 0)


def test_a_purge_before_the_trim_arms_nothing_and_the_next_opening_does(rig: Any) -> None:
    library = rig.open()
    ann = rig.keep(library, "ann", "1")
    library.erasures.fence("req", ann, received_at=rig.now())
    rig.rotate()
    library.erasures.commit("req", 2)
    library.erasures.copies("req")
    library.erasures.caches("req")
    library.erasures.purge("req")
    assert witnesses(library) == [(1, 0), (2, 0)]
    rig.trim(2)
    rig.open("two")
    assert witnesses(library) == [(1, 1), (2, 0)]


def test_a_silent_vault_is_not_taken_for_one_that_refuses(rig: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    library = rig.open()
    rig.erase(library, "req", rig.keep(library, "ann", "1"))
    rig.seconds += 6
    rig.transit.sealed = True
    with pytest.raises(KeysUnavailableError):
        library.beat()
    rig.transit.sealed = False
    library.beat()


def test_confirming_costs_at_most_one_more_call(rig: Any) -> None:
    library = rig.open()
    rig.erase(library, "req", rig.keep(library, "ann", "1"))
    rig.seconds += 6
    rig.transit.calls.clear()
    library.beat()
    library.beat()
    assert rig.transit.calls == ["decrypt", "decrypt"]


def test_a_database_that_a_copy_has_overtaken_is_refused(rig: Any, tmp_path: Path) -> None:
    library = rig.open()
    rig.keep(library, "ann", "1")
    rig.close()
    shutil.copy(rig.folder / "records.db", tmp_path / "old.db")
    library = rig.open()
    rig.keep(library, "bob", "2")
    library.copy_tree()
    rig.close()
    for file in rig.folder.glob("records.db*"):
        file.unlink()
    shutil.copy(tmp_path / "old.db", rig.folder / "records.db")
    with pytest.raises(StaleTreeError, match=r"at generation 3, an old one, but a copy holds .* generation 4"):
        rig.open()


def test_a_tree_older_than_the_operator_allows_is_served_no_longer_than_the_cache_is_old(rig: Any) -> None:
    library = rig.open()
    ann = rig.keep(library, "ann", "1")
    library.require_key(1)
    library.require_key(2)
    library.require_key(1)
    rig.seconds += 6
    with pytest.raises(KeyRevivedError, match="below 2 was destroyed, and this tree is wrapped under 1"):
        library.read(ann, "gen_1", Purpose.DELIVER)


def test_a_tenant_that_moved_to_another_key_gets_witnesses_of_that_one(rig: Any) -> None:
    library = rig.open()
    people = [rig.keep(library, f"person {number}", str(number)) for number in range(3)]
    rig.erase(library, "req-1", people[0])
    assert witnesses(library) == [(1, 1), (2, 0)]
    rig.close()
    rig.transit.admin().ensure("tenant-moved")
    new = rig.transit.tenant_key("tenant-moved")
    moving: Any = {"key_name": "tenant-moved", "now": rig.now, "clock": lambda: rig.seconds}
    both = MovingKey(new, rig.transit.tenant_key("tenant-acme"))
    between = Library.open("acme", rig.storage, both, **moving)
    between.tree.rewrap(key_version=1)
    between.close()
    rig.transit.admin().destroy("tenant-acme")
    moved = Library.open("acme", rig.storage, new, **moving)
    assert witnesses(moved) == [(1, 0)]
    assert moved.read(people[1], "gen_1", Purpose.DELIVER).content == b"prompt of person 1"
    moved.close()
