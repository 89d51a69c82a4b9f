"""A whole erasure over every key service and database: what fake and SQLite promise to other tests, all keep."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from imagint_privacy.errors import KeyDestroyedError, KeysUnavailableError, StaleTreeError
from imagint_privacy.purposes import Purpose
from imagint_privacy.records import backups, restore
from imagint_privacy.records.library import Draft, Library, StorageSettings


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/data/records.db"
    new_database: Callable[[], str] = request.getfixturevalue("new_database")
    return new_database()


def opened(service: Any, folder: Path, name: str, *, database: str = "", cache_seconds: float = 5.0) -> Library:
    url = database or f"sqlite:///{folder}/records.db"
    storage = StorageSettings(url, f"file://{folder}/objects", (f"file://{folder}/copy",))
    return Library.open("acme", storage, service.tenant_key(name), key_name=name, cache_seconds=cache_seconds)


def kept(service: Any, name: str, folder: Path, database: str = "") -> Library:
    """Two people's images under a new key."""
    service.admin().destroy(name)
    service.admin().ensure(name)
    library = opened(service, folder, name, database=database)
    for person in ("ann", "bob"):
        draft = Draft(person, "images", "image/png", person.encode(), large=True)
        library.store(library.begin(library.handle(person), Purpose.GENERATE), [draft])
    return library


def forget(service: Any, name: str, library: Library) -> None:
    """The steps from the fence to the purge."""
    erasures, admin = library.erasures, service.admin()
    erasures.fence("req", library.handle("ann"), received_at=datetime.now(UTC))
    version = admin.rotate(name)
    assert erasures.commit("req", version).key_version == version
    erasures.copies("req")
    assert erasures.caches("req").state == "CachesDropped"
    admin.raise_minimum(name, version)
    admin.trim(name, version)
    erasures.purge("req")


def test_an_erased_subject_opens_nowhere_and_a_survivor_everywhere(
    key_service: Any, tmp_path: Path, database: str
) -> None:
    name = "tenant-library"
    library = kept(key_service, name, tmp_path / "data", database)
    ann, erasures = library.handle("ann"), library.erasures
    erasures.fence("req", ann, received_at=datetime.now(UTC))
    canaries = erasures.seal_canaries("req", ann, b"n" * 32)
    old = erasures.root()
    forget(key_service, name, library)
    assert key_service.prober().refused(name, old.ciphertext).reason == "too-old"
    with pytest.raises(KeyDestroyedError):
        erasures.open_canary(canaries.erased[0].sealed)
    assert erasures.open_canary(canaries.survivors[0].sealed) == b"n" * 32
    erasures.complete("req")
    library.close()
    again = opened(key_service, tmp_path / "data", name, database=database)
    assert again.read(again.handle("bob"), "bob", Purpose.DELIVER).content == b"bob"
    assert again.erasures.holdings(ann).paths == 0
    again.close()


def test_a_backup_of_before_an_erasure_opens_for_survivors_only(key_service: Any, tmp_path: Path) -> None:
    name = "tenant-backup"
    library = kept(key_service, name, tmp_path / "data")
    backups.back_up(library, tmp_path / "backup")
    forget(key_service, name, library)
    outcomes = {line.record_id: line.outcome for line in restore.check(tmp_path / "backup", library).lines}
    assert outcomes == {"ann": "KeyDestroyed", "bob": "Opens"}
    assert restore.old_root(tmp_path / "backup", key_service.tenant_key(name)).refused
    library.close()


def test_a_lost_database_is_not_quietly_begun_anew(key_service: Any, tmp_path: Path) -> None:
    name, lost = "tenant-lost", tmp_path / "records.db"
    key_service.admin().ensure(name)
    library = opened(key_service, tmp_path, name)
    draft = Draft("ann", "images", "image/png", b"ann", large=True)
    library.store(library.begin(library.handle("ann"), Purpose.GENERATE), [draft])
    library.copy_tree()
    library.close()
    lost.rename(tmp_path / "found.db")
    with pytest.raises(StaleTreeError, match="restore the database"):
        opened(key_service, tmp_path, name)
    (tmp_path / "found.db").rename(lost)
    again = opened(key_service, tmp_path, name)
    assert again.read(again.handle("ann"), "ann", Purpose.DELIVER).content == b"ann"
    again.close()


def test_a_sealed_service_closes_the_library_and_unsealing_opens_it(key_service: Any, tmp_path: Path) -> None:
    name = "tenant-sealing"
    key_service.admin().ensure(name)
    library = opened(key_service, tmp_path / "data", name, cache_seconds=0.0)
    key_service.seal()
    try:
        with pytest.raises(KeysUnavailableError):
            library.handle("ann")
    finally:
        key_service.unseal()
    assert library.handle("ann").startswith("subj-")
    library.close()
