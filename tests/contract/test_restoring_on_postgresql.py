"""Backups, copies, recovery and collection of a tenant whose database is PostgreSQL."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from imagint_privacy import subjects
from imagint_privacy.errors import BackupRefusedError, CopyFailedError, StaleTreeError
from imagint_privacy.keys.fakes import FakeTransit
from imagint_privacy.keys.paths import KeyPath, Prefix
from imagint_privacy.purposes import Purpose
from imagint_privacy.records import backups
from imagint_privacy.records.collecting import collect_copy, collect_nodes
from imagint_privacy.records.copying import sweep_copies
from imagint_privacy.records.database import Database
from imagint_privacy.records.library import Draft, Library, StorageSettings
from imagint_privacy.records.objects import Objects
from imagint_privacy.records.recovering import Lost, recover_tree
from imagint_privacy.records.reinstating import reinstate
from imagint_privacy.records.restore import Selection
from imagint_privacy.records.verifying import verify_held, verify_opening

KEY = "tenant-acme"


@pytest.fixture
def transit() -> FakeTransit:
    made = FakeTransit()
    made.admin().ensure(KEY)
    return made


def opened(transit: FakeTransit, database: str, folder: Path, replica: str = "one") -> Library:
    storage = StorageSettings(database, f"file://{folder}/objects", (f"file://{folder}/copy",))
    return Library.open("acme", storage, transit.tenant_key(KEY), key_name=KEY, replica=replica, cache_seconds=0.05)


def keep(library: Library, person: str) -> str:
    subject = library.handle(person)
    drafts = [
        Draft(f"text-{person}", "prompts", "text", person.encode()),
        Draft(f"image-{person}", "images", "image/png", person.encode() * 99, large=True),
    ]
    library.store(library.begin(subject, Purpose.GENERATE), drafts)
    return subject


def erase(library: Library, transit: FakeTransit, subject: str) -> None:
    erasures, admin = library.erasures, transit.admin()
    erasures.fence("req", subject, received_at=datetime.now(UTC))
    version = admin.rotate(KEY)
    erasures.commit("req", version)
    erasures.copies("req")
    while erasures.caches("req").state == "Waiting":
        time.sleep(0.1)
    admin.raise_minimum(KEY, version)
    admin.trim(KEY, version)
    erasures.purge("req")
    erasures.complete("req")


def test_a_lost_postgresql_comes_back_from_copies_and_a_portable_backup(
    new_database: Callable[..., str], transit: FakeTransit, tmp_path: Path
) -> None:
    library = opened(transit, new_database(), tmp_path)
    ann, bob = keep(library, "ann"), keep(library, "bob")
    backups.back_up(library, tmp_path / "backup")
    erase(library, transit, ann)
    library.close()
    lost = new_database()
    with pytest.raises(StaleTreeError, match="is empty"):
        opened(transit, lost, tmp_path)
    database = Database(lost)
    tenant = Lost("acme", database, [Objects(f"file://{tmp_path}/copy")])
    key, now = transit.tenant_key(KEY), datetime.now(UTC)
    assert recover_tree(tenant, key, now, apply=False).replaced == 0
    assert recover_tree(tenant, key, now, apply=True).applied
    with pytest.raises(BackupRefusedError):
        recover_tree(tenant, key, now, apply=True)
    database.close()
    library = opened(transit, lost, tmp_path)
    for _ in range(2):
        found = reinstate(tmp_path / "backup", library, Selection(), apply=True)
    assert found.counts == {"Held": 2, "KeyDestroyed": 2}
    assert library.read(bob, "image-bob", Purpose.DELIVER).content == b"bob" * 99
    library.close()


def test_an_sqlite_backup_goes_into_a_postgresql_tenant(
    new_database: Callable[..., str], transit: FakeTransit, tmp_path: Path
) -> None:
    first = opened(transit, f"sqlite:///{tmp_path}/records.db", tmp_path)
    keep(first, "ann")
    backups.back_up(first, tmp_path / "backup")
    first.copy_tree()
    first.close()
    moved = Database(new_database())
    tenant = Lost("acme", moved, [Objects(f"file://{tmp_path}/copy")])
    recover_tree(tenant, transit.tenant_key(KEY), datetime.now(UTC), apply=True)
    library = opened(transit, moved.engine.url.render_as_string(hide_password=False), tmp_path)
    assert reinstate(tmp_path / "backup", library, Selection(), apply=True).counts == {"Brought": 2}
    assert reinstate(tmp_path / "backup", library, Selection(), apply=True).counts == {"Held": 2}
    library.close()
    moved.close()


class Workers:
    """Threads that each do one thing over and over until told to stop; a copy that lost a race begins anew."""

    def __init__(self) -> None:
        self.failures: list[Exception] = []
        self._done = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self, work: Callable[[int], Any]) -> None:
        self._threads.append(threading.Thread(target=self._run, args=(work,)))
        self._threads[-1].start()

    def _run(self, work: Callable[[int], Any]) -> None:
        for number in itertools.count(1):
            if self._done.is_set():
                return
            try:
                work(number)
            except CopyFailedError:
                continue
            except Exception as error:
                self.failures.append(error)
                return

    def stop(self) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join(60)


def test_copies_commits_and_collectors_at_once_lose_no_node(
    new_database: Callable[..., str], transit: FakeTransit, tmp_path: Path
) -> None:
    """Two replicas copy, one commits, one collects; after all of it the copy is whole and holds the live nodes."""
    url = new_database()
    one, two, three = (opened(transit, url, tmp_path, f"replica-{number}") for number in range(3))
    database, store, collected = one.context.database, one.context.copies[0], threading.Semaphore(0)

    def commit(number: int) -> None:
        names = [subjects.handle(b"k" * 32, f"{number}-{part}") for part in range(5)]
        three.tree.ensure([KeyPath(name, "images", "2026-11") for name in names])
        if number % 3 == 0:
            three.tree.forget([Prefix(names[0])], key_version=transit.admin().rotate(KEY))

    def collect(_number: int) -> None:
        collect_copy(three.context.database, store, apply=True)
        collected.release()

    workers = Workers()
    for work in (lambda _: one.copy_tree(), lambda _: two.copy_tree(), commit, collect):
        workers.start(work)
    for _ in range(10):
        assert collected.acquire(timeout=60) or workers.failures
    workers.stop()
    assert workers.failures == []
    one.copy_tree()
    sweep_copies(one.context)
    collect_copy(database, store, apply=True)
    with database.read() as connection:
        live = {row[0].hex() for row in connection.exec_driver_sql("SELECT digest FROM tree_nodes")}
    assert {name.rsplit("/", 1)[1] for name in store.list("nodes")} == live
    assert verify_held(database, store).whole
    assert verify_opening("acme", store, transit.tenant_key(KEY)).whole
    assert collect_nodes("acme", database, one.context.guard, apply=False).garbage == 0
    for library in (one, two, three):
        library.close()
