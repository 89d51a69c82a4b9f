"""Run by test_crashes: kill -9 a real process at every commit of what forgets, and let the next one finish.

Each process is forked from this one, which holds the fake Vault and plays the operator; everything else is on disk.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from imagint_privacy.keys.fakes import FakeTransit
from imagint_privacy.purposes import Purpose
from imagint_privacy.records import database, objects
from imagint_privacy.records.database import Database
from imagint_privacy.records.library import Draft, Library, StorageSettings
from imagint_privacy.records.retention import RuleSet, Term

KEY = "tenant-acme"
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
transit = FakeTransit()
# A killed process loses nothing that it wrote: waiting for the disk would only be slow.
objects._sync = lambda *_: None
database._PRAGMAS = (*database._PRAGMAS, "PRAGMA synchronous = OFF")  # type: ignore[assignment,misc]


def opened(folder: Path, now: datetime = NOW) -> Library:
    storage = StorageSettings(f"sqlite:///{folder}/records.db", f"file://{folder}/objects", (f"file://{folder}/copy",))
    return Library.open("acme", storage, transit.tenant_key(KEY), key_name=KEY, replica="one", now=lambda: now)


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
    """Have this process killed at its n-th point: before or after a commit."""
    write, state = Database.write, {"passed": 0}

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

    Database.write = writing  # type: ignore[method-assign]


def begin(folder: Path) -> None:
    for person, name, made in (("ann", "1", NOW - timedelta(days=100)), ("bob", "2", NOW)):
        library = opened(folder, made)
        ticket = library.begin(library.handle(person), Purpose.GENERATE)
        library.store(ticket, [Draft(name, "images", "image/png", person.encode(), large=True)])
        library.close()


def retain(folder: Path) -> None:
    library = opened(folder)
    library.retention.begin("req", RuleSet({"images": Term(months=1)}))
    library.retention.commit("req", 2)
    library.retention.copies("req")
    library.retention.caches("req")
    library.retention.purge("req")
    library.retention.complete("req")
    library.close()


def erase(folder: Path) -> None:
    library = opened(folder)
    ann = library.handle("ann")
    library.erasures.fence("req", ann, received_at=NOW)
    library.erasures.commit("req", 2)
    library.erasures.copies("req")
    library.erasures.caches("req")
    library.erasures.purge("req")
    library.erasures.complete("req")
    library.close()


def check(folder: Path, what: str) -> None:
    library = opened(folder)
    status: Any = library.erasures.status("req") if what == "erasure" else library.retention.status("req")
    if (status.state, status.forgotten_paths) != ("Complete", 1):
        raise RuntimeError(f"the {what} is {status.state}")
    if library.read(library.handle("bob"), "2", Purpose.DELIVER).content != b"bob":
        raise RuntimeError("a survivor was lost")
    if library.erasures.holdings(library.handle("ann")).paths:
        raise RuntimeError("something is left")
    library.close()


def main(root: Path, what: str) -> None:
    steps = {"erasure": erase, "retention": retain}[what]
    transit.admin().ensure(KEY)
    start = root / "start"
    in_a_process(lambda: begin(start))
    transit.admin().rotate(KEY)
    vault, killed = transit.snapshot(), 0
    while True:
        folder = root / str(killed)
        shutil.copytree(start, folder)
        transit.restore(vault)

        def first(folder: Path = folder, number: int = killed + 1) -> None:
            killed_at(number)
            steps(folder)

        if in_a_process(first):
            break
        killed += 1
        in_a_process(lambda folder=folder: steps(folder))  # type: ignore[misc]
        transit.admin().raise_minimum(KEY, 2)
        transit.admin().trim(KEY, 2)
        in_a_process(lambda folder=folder: check(folder, what))  # type: ignore[misc]
        shutil.rmtree(folder)
    sys.stdout.write(f"{killed} times killed\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
