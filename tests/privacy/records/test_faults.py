"""Faults for real: a full disk, a lost connection, a killed server. The old tree works, nothing is kept by half.

After each fault the error has a name and says to come back, what was kept before opens, and the next commit works.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from imagint_dev.postgres import PostgresServer
from imagint_privacy.errors import CopyFailedError, RecordMissingError, RetryableError, StorageUnavailableError
from imagint_privacy.keys.paths import ALWAYS, KeyPath, Prefix
from imagint_privacy.purposes import Purpose
from imagint_privacy.records import database
from imagint_privacy.records.database import Database
from imagint_privacy.records.library import Draft, Library


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Gives file systems of so many MiB: real ones, so that the kernel says that they are full."""
    mounted: list[Path] = []

    def make(size: int, parent: Path = tmp_path) -> Path:
        folder = parent / f"disk-{len(mounted)}"
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}m", "imagint-test", str(folder)]
        if os.geteuid() != 0 or subprocess.run(command, capture_output=True, timeout=30, check=False).returncode:
            reason = "a small disk needs root and the right to mount"
            if os.environ.get("CI"):
                pytest.fail(reason)
            pytest.skip(reason)
        mounted.append(folder)
        return folder

    yield make
    for folder in mounted:
        subprocess.run(["umount", "-l", str(folder)], timeout=30, check=True)
        folder.rmdir()


class Ballast:
    """A file that leaves so many KiB of a disk free, until it is thrown off."""

    def __init__(self, folder: Path, leave: int) -> None:
        self._file = folder / "ballast"
        disk = shutil.disk_usage(folder)
        self._file.write_bytes(b"\0" * (disk.free - leave * 1024))

    def throw_off(self) -> None:
        self._file.unlink()


def works_as_before(rig: Any, library: Library, ann: str) -> None:
    """What was kept opens, here and in a new process, and the next commits work."""
    for opened in (library, rig.open("another")):
        assert opened.read(ann, "gen_1", Purpose.DELIVER).content == b"prompt of ann"
        assert opened.read(ann, "img_1", Purpose.DELIVER).content == b"image of ann" * 50
        assert {entry.record_id for entry in opened.entries(ann, Purpose.ACCESS)} == {"gen_1", "img_1"}
    bob = rig.keep(library, "bob", "2")
    rig.erase(library, "req", ann)
    assert library.read(bob, "img_2", Purpose.DELIVER).content == b"image of bob" * 50
    with pytest.raises(RecordMissingError):
        library.read(ann, "img_1", Purpose.DELIVER)
    assert [name.split("/")[0] for name in library.context.objects.list()] == [bob]


def fill(rig: Any, library: Library, size: int) -> RetryableError:
    """Keep rows of new people until it is refused; return how."""
    with pytest.raises(RetryableError) as refused:  # noqa: PT012
        for number in range(1000):
            subject = library.handle(f"filler {number}")
            drafts = [Draft(f"fill_{number}", "prompts", "g", b"x" * size)]
            library.store(library.begin(subject, Purpose.GENERATE), drafts)
    return refused.value


def paths_and_rows_agree(library: Library) -> None:
    """A path whose row was refused holds no row; a row that is there opens."""
    for number in range(1000):
        subject = library.handle(f"filler {number}")
        rows = library.entries(subject, Purpose.ACCESS)
        if not rows:
            return
        library.read(subject, rows[0].record_id, Purpose.DELIVER)


# -- full disks ------------------------------------------------------------------------------------------------------


def test_a_full_disk_under_sqlite_refuses_the_commit_and_keeps_the_old_tree(
    rig: Any, small_disk: Callable[..., Path]
) -> None:
    disk = small_disk(8)
    shutil.copy(rig.folder / "records.db", disk)
    rig.database = f"sqlite:///{disk}/records.db"
    library = rig.open()
    ann = rig.keep(library, "ann", "1")
    ballast = Ballast(disk, leave=512)
    assert isinstance(fill(rig, library, 20_000), StorageUnavailableError)
    assert library.read(ann, "gen_1", Purpose.DELIVER).content == b"prompt of ann", "while the disk is full"
    paths_and_rows_agree(library)
    ballast.throw_off()
    works_as_before(rig, library, ann)


def test_a_database_that_may_not_grow_refuses_the_commit_and_keeps_the_old_tree(
    rig: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = rig.open()
    ann = rig.keep(library, "ann", "1")
    rig.close()
    pages = (rig.folder / "records.db").stat().st_size // 4096 + 20
    with monkeypatch.context() as patched:
        patched.setattr(database, "_PRAGMAS", (*database._PRAGMAS, f"PRAGMA max_page_count = {pages}"))
        library = rig.open()
        refused = fill(rig, library, 5_000)
        assert isinstance(refused, StorageUnavailableError)
        assert "SQLITE_FULL" in str(refused)
        assert library.read(ann, "gen_1", Purpose.DELIVER).content == b"prompt of ann", "while the disk is full"
        paths_and_rows_agree(library)
        rig.close()
    works_as_before(rig, rig.open(), ann)


def test_a_full_disk_under_the_objects_keeps_neither_object_nor_row(rig: Any, small_disk: Callable[..., Path]) -> None:
    disk = small_disk(4)
    (rig.folder / "objects").rmdir()
    (rig.folder / "objects").symlink_to(disk)
    library = rig.open()
    ann = rig.keep(library, "ann", "1")
    ballast = Ballast(disk, leave=256)
    before = sorted(library.context.objects.list())
    drafts = [
        Draft("small", "images", "image/png", b"x" * 1000, large=True),
        Draft("big", "images", "image/png", b"x" * 1_000_000, large=True),
    ]
    with pytest.raises(StorageUnavailableError):
        library.store(library.begin(ann, Purpose.GENERATE), drafts)
    assert [name for name in sorted(library.context.objects.list()) if name != "ballast"] == [
        name for name in before if name != "ballast"
    ]
    for name in ("small", "big"):
        with pytest.raises(RecordMissingError):
            library.read(ann, name, Purpose.DELIVER)
    assert library.erasures.holdings(ann).objects == 1
    ballast.throw_off()
    works_as_before(rig, library, ann)


def test_a_full_disk_under_a_tree_copy_stops_the_erasure_before_anything_is_destroyed(
    rig: Any, small_disk: Callable[..., Path]
) -> None:
    disk = small_disk(4)
    shutil.rmtree(rig.folder / "copy-2", ignore_errors=True)
    (rig.folder / "copy-2").symlink_to(disk)
    library = rig.open()
    ann = rig.keep(library, "ann", "1")
    library.copy_tree()
    ballast = Ballast(disk, leave=0)
    rig.keep(library, "carol", "3")
    library.erasures.fence("req", ann, received_at=rig.now())
    library.erasures.commit("req", rig.rotate())
    for _ in range(2):
        with pytest.raises(CopyFailedError):
            library.erasures.copies("req")
    assert library.erasures.status("req").state == "Committed"
    ballast.throw_off()
    assert {copy.read_back for copy in library.erasures.copies("req").copies} == {True}


def test_a_full_disk_under_postgresql_refuses_the_commit_and_keeps_the_old_tree(
    rig: Any, postgres: PostgresServer, empty_postgres: Any, small_disk: Callable[..., Path]
) -> None:
    disk = small_disk(64, postgres.folder)
    postgres.lend(disk)
    with postgres.connect() as admin:
        admin.execute(f"CREATE TABLESPACE small LOCATION '{disk}'".encode())
    template, _, transit = empty_postgres
    rig.transit.restore(transit.snapshot())
    rig.database = postgres.create("on_small_disk", template=template, tablespace="small")
    library = rig.open()
    ann = rig.keep(library, "ann", "1")
    ballast = Ballast(disk, leave=512)
    refused = fill(rig, library, 100_000)
    assert isinstance(refused, StorageUnavailableError)
    assert "53100" in str(refused)
    assert library.read(ann, "gen_1", Purpose.DELIVER).content == b"prompt of ann", "while the disk is full"
    paths_and_rows_agree(library)
    ballast.throw_off()
    works_as_before(rig, library, ann)
    rig.close()
    postgres.drop("on_small_disk")
    with postgres.connect() as admin:
        admin.execute(b"DROP TABLESPACE small")


# -- lost connections and servers ------------------------------------------------------------------------------------


def _ended(server: PostgresServer) -> Callable[[Connection, Any], None]:
    """Ends the very session that commits, from outside, in the middle of its transaction."""

    def end(connection: Connection, _change: Any) -> None:
        driver: Any = connection.connection.driver_connection
        with server.connect() as admin:
            admin.execute("SELECT pg_terminate_backend(%s, 5000)", (driver.info.backend_pid,))

    return end


def _killed(server: PostgresServer) -> Callable[[Connection, Any], None]:
    return lambda _connection, _change: server.kill()


@pytest.mark.parametrize("bare_rig", ["postgresql"], indirect=True)
@pytest.mark.parametrize("forgetting", [False, True], ids=["an insertion", "a forgetting"])
def test_a_session_ended_in_the_middle_of_a_commit_changes_nothing(
    bare_rig: Any, postgres: PostgresServer, forgetting: bool
) -> None:
    library = bare_rig.open()
    ann = bare_rig.keep(library, "ann", "1")
    before = library.tree.root()
    with pytest.raises(StorageUnavailableError):
        _change(bare_rig, library, ann, forgetting, _ended(postgres))
    assert library.tree.root() == before
    works_as_before(bare_rig, library, ann)


@pytest.mark.parametrize("forgetting", [False, True], ids=["an insertion", "a forgetting"])
def test_a_server_killed_in_the_middle_of_a_commit_changes_nothing_and_is_found_again(
    tmp_path: Path, durable_postgres: PostgresServer, rig: Any, forgetting: bool
) -> None:
    made = type(rig)(tmp_path / "durable", durable_postgres.create("tenant"))
    made.transit.admin().ensure("tenant-acme")
    library = made.open()
    ann = made.keep(library, "ann", "1")
    before = library.tree.root()
    with pytest.raises(StorageUnavailableError):
        _change(made, library, ann, forgetting, _killed(durable_postgres))
    calls: tuple[Callable[[], object], ...] = (library.beat, lambda: made.keep(library, "bob", "2"), library.status)
    for call in calls:
        with pytest.raises(StorageUnavailableError):
            call()
    durable_postgres.start()
    assert library.tree.root() == before
    works_as_before(made, library, ann)
    made.close()


def _change(rig: Any, library: Library, ann: str, forgetting: bool, fault: Callable[[Connection, Any], None]) -> None:
    if forgetting:
        library.tree.forget([Prefix(ann)], key_version=rig.rotate(), alongside=fault)
    else:
        library.tree.ensure([KeyPath(library.handle("carol"), "images", ALWAYS)], fault)


@pytest.mark.parametrize("bare_rig", ["postgresql"], indirect=True)
def test_idle_sessions_that_were_ended_are_replaced_without_anybody_noticing(
    bare_rig: Any, postgres: PostgresServer
) -> None:
    library = bare_rig.open()
    ann = bare_rig.keep(library, "ann", "1")
    name = bare_rig.database.split("@/")[1].split("?")[0]
    for _ in range(3):
        with postgres.connect() as admin:
            ending = "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity WHERE datname = %s"
            (ended,) = admin.execute(ending, (name,)).fetchone() or (0,)
        assert ended
        assert library.read(ann, "gen_1", Purpose.DELIVER).content == b"prompt of ann"
    works_as_before(bare_rig, library, ann)


@pytest.mark.parametrize("bare_rig", ["postgresql"], indirect=True)
def test_sessions_ended_at_any_moment_lose_nothing_that_was_promised(bare_rig: Any, postgres: PostgresServer) -> None:
    library, over = bare_rig.open(), threading.Event()
    name = bare_rig.database.split("@/")[1].split("?")[0]

    def end_sessions() -> None:
        with postgres.connect() as admin:
            while not over.wait(0.05):
                admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))

    ending = threading.Thread(target=end_sessions)
    ending.start()
    promised, refused = [], 0
    try:
        for number in range(60):
            with contextlib.suppress(RetryableError):
                promised.append((bare_rig.keep(library, f"person {number}", str(number)), number))
                continue
            refused += 1
    finally:
        over.set()
        ending.join()
    assert promised
    for subject, number in promised:
        assert library.read(subject, f"gen_{number}", Purpose.DELIVER).content == f"prompt of person {number}".encode()
        assert library.read(subject, f"img_{number}", Purpose.DELIVER).content
    assert refused, "no session was ended in the middle of anything"


@pytest.mark.parametrize("bare_rig", ["postgresql"], indirect=True)
@pytest.mark.parametrize("answered", [False, True], ids=["before its commit", "after its commit, unanswered"])
def test_an_erasure_is_counted_once_whichever_of_its_transactions_loses_its_session(
    bare_rig: Any, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch, answered: bool
) -> None:
    library, write, state = bare_rig.open(), Database.write, {"begun": 0, "lose": 0}

    @contextlib.contextmanager
    def losing(self: Database) -> Iterator[Connection]:
        state["begun"] += 1
        mine = state["begun"] == state["lose"]
        with write(self) as connection:
            yield connection
            if mine and not answered:
                _ended(postgres)(connection, None)
        if mine and answered:
            raise StorageUnavailableError("the answer to the commit was lost")

    monkeypatch.setattr(Database, "write", losing)
    lost = 0
    while state["begun"] >= state["lose"]:
        state["lose"] = 0
        person, request = f"person {lost}", f"req-{lost}"
        subject = bare_rig.keep(library, person, str(lost))
        state.update(begun=0, lose=lost + 1)
        _erase_patiently(bare_rig, library, request, subject)
        done = library.erasures.status(request)
        assert (done.state, done.forgotten_paths) == ("Complete", 2)
        stores = {store["store"]: (store["deleted"], store["remaining"]) for store in done.results["purge"]}
        assert (stores["tree"], stores["records"], stores["objects"]) == ((2, 0), (2, 0), (1, 0)), f"lost {lost + 1}"
        lost += 1
    assert lost > 8
    state["lose"] = 0
    works_as_before(bare_rig, library, bare_rig.keep(library, "ann", "1"))


def _erase_patiently(rig: Any, library: Library, request: str, subject: str) -> None:
    """As the operator does: each step is asked for again until it is answered."""
    erasures = library.erasures

    def asked(step: Callable[[], Any]) -> Any:
        for _ in range(3):
            with contextlib.suppress(StorageUnavailableError, CopyFailedError):
                return step()
        raise AssertionError("only one session is lost")

    asked(lambda: erasures.fence(request, subject, received_at=rig.now()))
    version = rig.rotate()
    asked(lambda: erasures.commit(request, version))
    asked(lambda: erasures.copies(request))
    while asked(lambda: erasures.caches(request)).state == "Waiting":
        rig.seconds += 1
    rig.trim(version)
    asked(lambda: erasures.purge(request))
    asked(lambda: erasures.complete(request))
