"""Run by test_streaming: kill -9 a real process in the middle of an upload, and see what the next ones find.

Each process is forked from this one, which holds the fake Vault and plays the operator; everything else is on disk.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from imagint_privacy.errors import RecordMissingError
from imagint_privacy.keys.fakes import FakeTransit
from imagint_privacy.purposes import Purpose
from imagint_privacy.records.library import Draft, Library, StorageSettings

KEY, PIECES = "tenant-acme", 20
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
transit = FakeTransit()


def opened(folder: Path, later: timedelta = timedelta()) -> Library:
    storage = StorageSettings(f"sqlite:///{folder}/records.db", f"file://{folder}/objects")
    key = transit.tenant_key(KEY)
    return Library.open("acme", storage, key, key_name=KEY, replica="one", now=lambda: NOW + later)


def in_a_process(work: Callable[[], None]) -> int:
    """Run in a process of its own; return the signal that killed it, or 0.

    Raises:
        RuntimeError: it ended by an error.
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
        return os.WTERMSIG(status)
    if os.WEXITSTATUS(status):
        raise RuntimeError("a process failed")
    return 0


def pieces(killed_at: int) -> Iterator[bytes]:
    for number in range(PIECES + 1):
        if number == killed_at:
            os.kill(os.getpid(), signal.SIGKILL)
        if number < PIECES:
            yield b"image of ann" * 87382


def upload(folder: Path, killed_at: int) -> None:
    library = opened(folder)
    for person in ("bob", "ann"):
        ticket = library.begin(library.handle(person), Purpose.GENERATE)
        content = b"image of bob" if person == "bob" else pieces(killed_at)
        library.store(ticket, [Draft(person, "images", "image/png", content, large=True)])


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "objects").rglob("*") if path.is_file())


def look(folder: Path) -> None:
    """The next process: the record is not there, the survivor is, and nothing is readable on disk."""
    library = opened(folder)
    ann, bob = library.handle("ann"), library.handle("bob")
    if library.entries(ann, Purpose.ACCESS) or library.read(bob, "bob", Purpose.DELIVER).content != b"image of bob":
        raise RuntimeError("half a record is there, or a whole one is not")
    try:
        library.read(ann, "ann", Purpose.ACCESS)
    except RecordMissingError:
        library.close()
        return
    raise RuntimeError("half a record is read")


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


def sweep(folder: Path) -> None:
    library = opened(folder)
    if library.sweep_uploads() != 0:
        raise RuntimeError("what may still be written was swept")
    library.close()
    library = opened(folder, timedelta(days=2))
    if library.sweep_uploads() != 1:
        raise RuntimeError("what was left was not swept")
    ticket = library.begin(library.handle("ann"), Purpose.GENERATE)
    library.store(ticket, [Draft("ann", "images", "image/png", pieces(-1), large=True)])
    library.delete(ticket.subject, "ann", Purpose.DELIVER)
    library.close()


def main(root: Path) -> None:
    transit.admin().ensure(KEY)
    vault = transit.snapshot()
    found = []
    for then in (erase, sweep):
        for killed_at in (0, 5, 14, PIECES):
            folder = root / f"{then.__name__}-{killed_at}"
            transit.restore(vault)
            by = in_a_process(lambda folder=folder, at=killed_at: upload(folder, at))  # type: ignore[misc]
            before = left(folder)
            in_a_process(lambda folder=folder: look(folder))  # type: ignore[misc]
            transit.admin().rotate(KEY)
            in_a_process(lambda folder=folder, then=then: then(folder))  # type: ignore[misc]
            found.append({"signal": by, "killed_at": killed_at, "before": before, "after": left(folder)})
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
