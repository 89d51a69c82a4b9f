"""Run by test_reinstating: kill -9 a real process at every write of a restore, and let the next one finish.

Each process is forked from this one, which holds the fake Vault; everything else is on disk.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sqlite3
import sys
import traceback
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from imagint_privacy.keys.fakes import FakeTransit
from imagint_privacy.purposes import Purpose
from imagint_privacy.records import backups, database, objects
from imagint_privacy.records.database import Database
from imagint_privacy.records.library import Draft, Library, StorageSettings
from imagint_privacy.records.objects import Objects
from imagint_privacy.records.recovering import Lost, held_generation, recover_tree
from imagint_privacy.records.reinstating import reinstate
from imagint_privacy.records.restore import Selection

KEY = "tenant-acme"
transit = FakeTransit()
# A killed process loses nothing that it wrote: waiting for the disk would only be slow.
objects._sync = lambda *_: None
database._PRAGMAS = (*database._PRAGMAS, "PRAGMA synchronous = OFF")  # type: ignore[assignment,misc]


def in_a_process(work: Callable[[], None]) -> bool:
    """Run in a process of its own; say whether it lived to the end.

    Raises:
        RuntimeError: it ended by an error, not by being killed.
    """
    child = os.fork()
    if not child:
        try:
            work()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return False
    if os.WEXITSTATUS(status):
        raise RuntimeError("a process failed")
    return True


def killed_at(number: int) -> None:
    """Have this process killed at its n-th point: before or after a commit or an object."""
    write, put, state = Database.write, Objects.put_stream, {"passed": 0}

    def reach() -> None:
        state["passed"] += 1
        if state["passed"] == number:
            os.kill(os.getpid(), signal.SIGKILL)

    @contextlib.contextmanager
    def writing(self: Database) -> Iterator[Any]:
        with write(self) as connection:
            yield connection
            reach()
        reach()

    def putting(self: Objects, *given: Any) -> None:
        reach()
        put(self, *given)
        reach()

    Database.write = writing  # type: ignore[method-assign]
    Objects.put_stream = putting  # type: ignore[method-assign,assignment]


def opened(folder: Path) -> Library:
    storage = StorageSettings(f"sqlite:///{folder}/records.db", f"file://{folder}/objects", (f"file://{folder}/copy",))
    return Library.open("acme", storage, transit.tenant_key(KEY), key_name=KEY, replica="one")


def begin(folder: Path, backup: Path) -> None:
    library = opened(folder)
    for person in ("ann", "bob"):
        ticket = library.begin(library.handle(person), Purpose.GENERATE)
        drafts = [
            Draft(f"{person}-{large:d}", "images", "image/png", person.encode(), large) for large in (True, False)
        ]
        library.store(ticket, drafts)
    library.copy_tree()
    backups.back_up(library, backup)
    library.close()


def restored(folder: Path, backup: Path) -> None:
    """Everything a person does whose database and objects are gone."""
    lost = Lost("acme", Database(f"sqlite:///{folder}/records.db"), [Objects(f"file://{folder}/copy")])
    if not held_generation("acme", lost.database):
        recover_tree(lost, transit.tenant_key(KEY), datetime.now(UTC), apply=True)
    lost.database.close()
    library = opened(folder)
    reinstate(backup, library, Selection(), apply=True)
    library.close()


def check(folder: Path) -> None:
    library = opened(folder)
    for person in ("ann", "bob"):
        for large in (0, 1):
            found = library.read(library.handle(person), f"{person}-{large}", Purpose.DELIVER)
            if found.content != person.encode():
                raise RuntimeError("something else came back")
    library.close()
    with contextlib.closing(sqlite3.connect(folder / "records.db")) as raw:
        rows = raw.execute("SELECT count(*), sum(stored) FROM objects").fetchone()
    if rows != (2, 2):
        raise RuntimeError(f"{rows} objects are noted")


def main(root: Path) -> None:
    transit.admin().ensure(KEY)
    start, backup, killed = root / "start", root / "backup", 0
    in_a_process(lambda: begin(start, backup))
    while True:
        folder = root / str(killed)
        folder.mkdir()
        shutil.copytree(start / "copy", folder / "copy")

        def first(folder: Path = folder, number: int = killed + 1) -> None:
            killed_at(number)
            restored(folder, backup)

        if in_a_process(first):
            break
        killed += 1
        in_a_process(lambda folder=folder: restored(folder, backup))  # type: ignore[misc]
        in_a_process(lambda folder=folder: check(folder))  # type: ignore[misc]
        shutil.rmtree(folder)
    sys.stdout.write(f"{killed} times killed\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
