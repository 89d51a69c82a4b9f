"""A tenant on SQLite, a folder of objects and a true fake of Vault, with a clock that tests hold in their hands.

The tests named in `ON_POSTGRESQL` run on a tenant in PostgreSQL too: those in which what happens at once, or what is
left after a failure, depends on the database.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from imagint_dev.postgres import PostgresServer
from imagint_privacy.keys.fakes import FakeTransit
from imagint_privacy.purposes import Purpose
from imagint_privacy.records.library import Draft, Library, StorageSettings
from imagint_privacy.records.retention import RuleSet

TENANT = "acme"
KEY = "tenant-acme"
ON_POSTGRESQL = frozenset(
    {
        "test_what_is_kept_is_read_back_by_another_process",
        "test_entries_are_listed_newest_first_in_pages",
        "test_a_deleted_record_is_gone_with_its_object",
        "test_an_id_is_taken_once_and_nothing_of_the_second_is_kept",
        "test_a_write_that_began_before_an_erasure_is_refused_for_ever",
        "test_an_erasure_that_begins_while_an_object_is_written_takes_it_back",
        "test_somebody_who_comes_back_starts_anew",
        "test_many_threads_of_several_processes_keep_everything",
        "test_another_tenants_database_is_refused",
        "test_the_state_of_a_library_is_told",
        "test_a_whole_erasure_leaves_nothing_of_one_and_everything_of_the_others",
        "test_every_step_may_be_asked_for_again",
        "test_one_category_is_erased_and_the_others_stay_in_use",
        "test_several_requests_may_be_fenced_at_once",
        "test_two_requests_of_one_subject_are_both_carried_out",
        "test_a_commit_under_a_newer_version_wraps_the_root_anew_and_is_copied_again",
        "test_a_replica_that_is_silent_is_waited_for_as_long_as_its_cache_lives",
        "test_every_object_is_named_as_the_inventory_says",
        "test_no_job_writes_after_a_restriction_was_answered_whatever_runs_beside_it",
        "test_an_erasure_and_a_run_take_turns_and_both_are_carried_out",
        "test_a_run_of_more_subjects_than_one_commit_takes_is_cut_into_slices",
        "test_what_is_restricted_fenced_or_excepted_is_withheld_and_what_has_no_rule_is_reported",
        "test_everything_of_one_person_is_shown_and_nothing_of_another",
        "test_several_stack_and_each_is_lifted_by_itself",
        "test_an_erasure_that_ends_while_an_object_is_uploaded_stops_it",
        "test_a_restriction_that_begins_at_the_last_moment_is_seen_by_the_commit",
        "test_what_another_process_forgets_at_the_last_moment_is_not_counted_twice",
        "test_two_processes_that_commit_one_run_at_once_commit_it_once",
    }
)


@dataclass
class Rig:
    """One tenant in one folder; `open` gives another process's view of it."""

    folder: Path
    database: str = ""
    transit: FakeTransit = field(default_factory=FakeTransit)
    seconds: float = 0.0
    opened: list[Library] = field(default_factory=list)

    @property
    def storage(self) -> StorageSettings:
        copies = (f"file://{self.folder}/copy-1", f"file://{self.folder}/copy-2")
        database = self.database or f"sqlite:///{self.folder}/records.db"
        return StorageSettings(database, f"file://{self.folder}/objects", copies)

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


@pytest.fixture(scope="session")
def empty_postgres(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path, FakeTransit]:
    """Make a tenant once in PostgreSQL; each test starts from a copy."""
    rig = Rig(tmp_path_factory.mktemp("empty-postgres"), postgres.create("tenant_empty"))
    rig.transit.admin().ensure(KEY)
    rig.open()
    rig.close()
    return "tenant_empty", rig.folder, rig.transit


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "rig" in metafunc.fixturenames and metafunc.function.__name__ in ON_POSTGRESQL:
        metafunc.parametrize("rig", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path / "tenant")
    if getattr(request, "param", "sqlite") == "postgresql":
        template, folder, transit = request.getfixturevalue("empty_postgres")
        made.database = request.getfixturevalue("new_database")(template)
    else:
        folder, transit = request.getfixturevalue("empty_database")
    shutil.copytree(folder, made.folder)
    made.transit.restore(transit.snapshot())
    yield made
    made.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def bare_rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    """A tenant of whom nothing exists but the Vault key."""
    made = Rig(tmp_path / "bare")
    if request.param == "postgresql":
        made.database = request.getfixturevalue("new_database")()
    made.transit.admin().ensure(KEY)
    yield made
    made.close()
