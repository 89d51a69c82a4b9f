"""A tenant on SQLite, a folder of objects and a true fake of Vault, with a clock that tests hold in their hands."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from imagint_privacy.keys.fakes import FakeTransit
from imagint_privacy.purposes import Purpose
from imagint_privacy.records.library import Draft, Library, StorageSettings
from imagint_privacy.records.retention import RuleSet

TENANT = "acme"
KEY = "tenant-acme"


@dataclass
class Rig:
    """One tenant in one folder; `open` gives another process's view of it."""

    folder: Path
    transit: FakeTransit = field(default_factory=FakeTransit)
    seconds: float = 0.0
    opened: list[Library] = field(default_factory=list)

    @property
    def storage(self) -> StorageSettings:
        copies = (f"file://{self.folder}/copy-1", f"file://{self.folder}/copy-2")
        return StorageSettings(f"sqlite:///{self.folder}/records.db", f"file://{self.folder}/objects", copies)

    def now(self) -> datetime:
        return datetime(2026, 11, 23, 12, tzinfo=UTC) + timedelta(seconds=self.seconds)

    def open(self, replica: str = "one", **around: Any) -> Library:
        given: Any = {"cache_seconds": 5.0, "now": self.now, "clock": lambda: self.seconds} | around
        wrapper = self.transit.tenant_key(KEY)
        library = Library.open(TENANT, self.storage, wrapper, key_name=KEY, replica=replica, **given)
        self.opened.append(library)
        return library

    def close(self) -> None:
        while self.opened:
            self.opened.pop().close()

    def keep(self, library: Library, person: str, name: str) -> str:
        """Keep a prompt and an image for a person and return the person's handle."""
        subject = library.handle(person)
        drafts = [
            Draft(f"gen_{name}", "prompts", "generation", f"prompt of {person}".encode()),
            Draft(f"img_{name}", "images", "image/png", f"image of {person}".encode() * 50, large=True),
        ]
        library.store(library.begin(subject, Purpose.GENERATE), drafts)
        return subject

    def rotate(self) -> int:
        return self.transit.admin().rotate(KEY)

    def trim(self, version: int) -> None:
        self.transit.admin().raise_minimum(KEY, version)
        self.transit.admin().trim(KEY, version)

    def erase(self, library: Library, request: str, subject: str, categories: tuple[str, ...] = ()) -> None:
        """Carry a whole erasure out, as the operator does."""
        erasures = library.erasures
        erasures.fence(request, subject, categories, received_at=self.now())
        version = self.rotate()
        erasures.commit(request, version)
        erasures.copies(request)
        while erasures.caches(request).state == "Waiting":
            self.seconds += 1
        self.trim(version)
        erasures.purge(request)
        erasures.complete(request)

    def keep_at(self, library: Library, days_ago: int, person: str, name: str) -> str:
        """Keep a prompt and an image as if that many days ago."""
        self.seconds, now = -days_ago * 86400, self.seconds
        subject = self.keep(library, person, name)
        self.seconds = now
        return subject

    def retain(self, library: Library, request: str, rules: RuleSet, excepted: tuple[str, ...] = ()) -> None:
        """Carry a whole run of retention out, as the operator does."""
        runs = library.retention
        runs.begin(request, rules, excepted)
        version = self.rotate()
        while runs.commit(request, version).state == "Waiting":
            pass
        runs.copies(request)
        while runs.caches(request).state == "Waiting":
            self.seconds += 1
        self.trim(version)
        runs.purge(request)
        runs.complete(request)

    def bytes_on_disk(self) -> bytes:
        """Return everything in every file."""
        return b"\0".join(path.read_bytes() for path in sorted(self.folder.rglob("*")) if path.is_file())


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, FakeTransit]:
    """Make a tenant once; each test starts from a copy, because migrating takes longer than most tests."""
    rig = Rig(tmp_path_factory.mktemp("empty"))
    rig.transit.admin().ensure(KEY)
    rig.open()
    rig.close()
    return rig.folder, rig.transit


@pytest.fixture
def rig(tmp_path: Path, empty_database: tuple[Path, FakeTransit]) -> Iterator[Rig]:
    folder, transit = empty_database
    shutil.copytree(folder, tmp_path / "tenant")
    made = Rig(tmp_path / "tenant")
    made.transit.restore(transit.snapshot())
    yield made
    made.close()


@pytest.fixture
def bare_rig(tmp_path: Path) -> Iterator[Rig]:
    """A tenant of whom nothing exists but the Vault key."""
    made = Rig(tmp_path / "bare")
    made.transit.admin().ensure(KEY)
    yield made
    made.close()
