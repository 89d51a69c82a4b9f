"""Run by test_several_processes: one writer, reader or eraser among several processes on one tree.

`python sharing.py FOLDER ROLE NUMBER`. The folder holds `plan.json`; each process notes there what it was promised,
line by line, after the call returned. It ends with status 1 and a traceback at the first promise that is not kept.
"""

from __future__ import annotations

import fcntl
import json
import os
import pickle
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from imagint_privacy.errors import AccessDeniedError, KeyDestroyedError, RecordMissingError, RetryableError
from imagint_privacy.keys.fakes import FakeTransit
from imagint_privacy.keys.paths import KeyPath
from imagint_privacy.purposes import Purpose
from imagint_privacy.records import database, objects
from imagint_privacy.records.library import Draft, Entry, Library, StorageSettings
from imagint_privacy.vault import KeyAdmin, TenantKey, VaultSession

KEY = "tenant-shared"
CACHE_SECONDS = 0.5
LIMIT = 120.0
T = TypeVar("T")


class FileTransit:
    """The true fake of Vault, kept in a file so that processes share it."""

    def __init__(self, file: Path) -> None:
        self._file = file

    @contextmanager
    def _held(self) -> Iterator[FakeTransit]:
        with self._file.open("a+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            engine, raw = FakeTransit(), file.read()
            if raw:
                engine.restore(pickle.loads(raw))  # noqa: S301 - written by ourselves
            yield engine
            file.seek(0)
            file.truncate()
            file.write(pickle.dumps(engine.snapshot()))

    def encrypt(self, plain: bytes) -> str:
        with self._held() as engine:
            return engine.tenant_key(KEY).encrypt(plain)

    def decrypt(self, ciphertext: str) -> bytes:
        with self._held() as engine:
            return engine.tenant_key(KEY).decrypt(ciphertext)

    def ensure(self, name: str) -> None:
        with self._held() as engine:
            engine.admin().ensure(name)

    def rotate(self, name: str) -> int:
        with self._held() as engine:
            return engine.admin().rotate(name)

    def raise_minimum(self, name: str, version: int) -> None:
        with self._held() as engine:
            engine.admin().raise_minimum(name, version)

    def trim(self, name: str, version: int) -> None:
        with self._held() as engine:
            engine.admin().trim(name, version)


class Place:
    """The folder, the library in it, and the notes of everybody."""

    def __init__(self, folder: Path, replica: str) -> None:
        self.folder = folder
        self.plan: dict[str, Any] = json.loads((folder / "plan.json").read_text())
        if self.plan["vault"]:
            session = VaultSession.with_token(*self.plan["vault"])
            self.admin: Any = KeyAdmin(session)
            wrapper: Any = TenantKey(session, KEY)
        else:
            self.admin = wrapper = FileTransit(folder / "transit")
        self._deadline = time.monotonic() + LIMIT
        self.replica = replica
        storage = StorageSettings(self.plan["database"], f"file://{folder}/objects", (f"file://{folder}/copy",))
        self.admin.ensure(KEY)
        self.library = self.patiently(
            lambda: Library.open("shared", storage, wrapper, key_name=KEY, replica=replica, cache_seconds=CACHE_SECONDS)
        )

    def patiently(self, call: Callable[[], T]) -> T:
        """Ask again as long as the answer is to come back later."""
        while True:
            try:
                return call()
            except RetryableError as error:
                if time.monotonic() > self._deadline:
                    raise
                time.sleep(min(error.after, 0.05))

    def note(self, kind: str, line: str) -> None:
        with (self.folder / f"{kind}-{self.replica}.txt").open("a") as file:
            file.write(line + "\n")

    def noted(self, kind: str) -> list[str]:
        return [line for path in sorted(self.folder.glob(f"{kind}-*.txt")) for line in path.read_text().splitlines()]

    def ended(self) -> bool:
        if time.monotonic() > self._deadline:
            raise TimeoutError("the others do not come to an end")
        return (self.folder / "end").exists()


def content(record_id: str) -> bytes:
    return f"content of {record_id}".encode()


def store(place: Place, person: str, record_id: str) -> None:
    """Keep a row and an object for somebody; note them, with the erasures that were over before it began."""
    over = len(place.noted("erased"))
    library = place.library
    drafts = [
        Draft(f"{record_id}-row", "prompts", "generation", content(f"{record_id}-row")),
        Draft(f"{record_id}-obj", "images", "image/png", content(f"{record_id}-obj"), large=True),
    ]

    def keep() -> None:
        library.store(library.begin(library.handle(person), Purpose.GENERATE), drafts)

    try:
        place.patiently(keep)
    except AccessDeniedError:
        return
    for draft in drafts:
        place.note("kept", f"{person} {draft.record_id} {over}")


def write(place: Place, number: int) -> None:
    """Own people, a person whom all write for, and people who are being erased meanwhile."""
    for turn in range(place.plan["turns"]):
        store(place, f"own-{number}-{turn}", f"own-{number}-{turn}")
        store(place, "everybody", f"all-{number}-{turn}")
        store(place, f"hot-{turn % place.plan['hot']}", f"hot-{number}-{turn}")
        place.patiently(place.library.beat)
    while not place.ended():
        place.patiently(place.library.beat)
        time.sleep(0.05)


def read(place: Place, _number: int) -> None:
    """What was promised opens, and what is forgotten does not, in this process as in every other."""
    held: dict[str, KeyPath] = {}
    done: set[str] = set()
    while not place.ended():
        place.patiently(place.library.beat)
        for line in [line for line in place.noted("kept") if line not in done][:20]:
            person, record_id, _ = line.split()
            done.add(line)
            entry = read_one(place, person, record_id)
            if entry is not None and person.startswith("gone"):
                held[person] = entry.path
                place.note("held", person)
        for person in [name for name in place.noted("dropped") if name in held]:
            if still_opens(place, held.pop(person)):
                raise AssertionError(f"{person} still opens here after the caches were said to be dropped")
            place.note("seen", person)
        time.sleep(0.02)


def read_one(place: Place, person: str, record_id: str) -> Entry | None:
    """Read a record, which may be gone only if its owner is one of those who are erased."""
    subject = place.patiently(lambda: place.library.handle(person))
    try:
        opened = place.patiently(lambda: place.library.read(subject, record_id, Purpose.DELIVER))
    except (AccessDeniedError, KeyDestroyedError, RecordMissingError):
        if person.startswith(("hot", "gone")):
            return None
        raise
    assert opened.content == content(record_id), "another record's content"
    return opened.entry


def still_opens(place: Place, path: KeyPath) -> bool:
    try:
        place.patiently(lambda: place.library.tree.lookup(path))
    except KeyDestroyedError:
        return False
    return True


def erase(place: Place, _number: int) -> None:
    """Somebody new each time, who never comes back, and one of those who are written for meanwhile."""
    for turn in range(place.plan["erasures"]):
        store(place, f"gone-{turn}", f"gone-{turn}")
        while place.noted("held").count(f"gone-{turn}") < 2 * place.plan["readers"] and not place.ended():
            place.patiently(place.library.beat)
            time.sleep(0.02)
        for person in (f"gone-{turn}", f"hot-{turn % place.plan['hot']}"):
            erase_one(place, f"req-{turn}-{person}", person)


def erase_one(place: Place, request: str, person: str) -> None:
    erasures, admin = place.library.erasures, place.admin
    subject = place.patiently(lambda: place.library.handle(person))
    place.patiently(lambda: erasures.fence(request, subject, received_at=datetime.now(UTC)))
    version = admin.rotate(KEY)
    place.patiently(lambda: erasures.commit(request, version))
    place.patiently(lambda: erasures.copies(request))
    while place.patiently(lambda: erasures.caches(request)).state == "Waiting":
        time.sleep(0.05)
    place.note("dropped", person)
    admin.raise_minimum(KEY, version)
    admin.trim(KEY, version)
    place.patiently(lambda: erasures.purge(request))
    place.patiently(lambda: erasures.complete(request))
    place.note("erased", person)


ROLES: dict[str, Callable[[Place, int], None]] = {"writer": write, "reader": read, "eraser": erase}


def main(folder: Path, role: str, number: int) -> None:
    # No machine is lost here, only processes: waiting for the disk would only be slow.
    objects._sync = lambda *_: None
    database._PRAGMAS = (*database._PRAGMAS, "PRAGMA synchronous = OFF")  # type: ignore[assignment,misc]
    place = Place(folder, f"{role}-{number}")
    ROLES[role](place, number)
    place.library.close()


if __name__ == "__main__":
    os.setpriority(os.PRIO_PROCESS, 0, 5)
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
