"""Any sequence of what happens to a library: kept, read, deleted, erased with a crash somewhere, come back, backed up.

The model is a dictionary of records and a set of those whose keys are gone. Everything is real but Vault, which is the
true fake; a crash is an exception that nothing of ours catches, at a random commit, object or call of Vault.
"""

from __future__ import annotations

import contextlib
import itertools
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from imagint_privacy.errors import KeyDestroyedError, LateWriteError, RecordMissingError
from imagint_privacy.keys.fakes import FakeTenantKey
from imagint_privacy.purposes import Purpose
from imagint_privacy.records import backups, database, objects, restore
from imagint_privacy.records.database import Database
from imagint_privacy.records.library import Draft, Library, Ticket
from imagint_privacy.records.objects import Objects

KEY, CATEGORIES = "tenant-acme", ("images", "prompts")
PEOPLE = st.sampled_from(["ann", "bob", "carol"])
SCOPES = st.sampled_from([(), ("images",), ("prompts",), ("images", "prompts")])
POINTS = st.one_of(st.just(0), st.integers(1, 45))


class Crashed(BaseException):
    """The process is gone."""


class Points:
    """Everything that could be a process's last: it crashes at the n-th from now, if `left` is set."""

    left = 0

    @classmethod
    def reach(cls) -> None:
        if cls.left:
            cls.left -= 1
            if not cls.left:
                raise Crashed

    @classmethod
    def install(cls, patch: pytest.MonkeyPatch) -> None:
        write = Database.write

        @contextlib.contextmanager
        def writing(self: Database) -> Iterator[Any]:
            with write(self) as connection:
                yield connection
                cls.reach()
            cls.reach()

        def around(call: Callable[..., Any]) -> Callable[..., Any]:
            def surrounded(*given: Any) -> Any:
                cls.reach()
                result = call(*given)
                cls.reach()
                return result

            return surrounded

        patch.setattr(Database, "write", writing)
        for kind, names in ((Objects, ("put_many", "put_stream", "delete")), (FakeTenantKey, ("encrypt", "decrypt"))):
            for name in names:
                patch.setattr(kind, name, around(getattr(kind, name)))
        patch.setattr(objects, "_sync", lambda *_: None)
        patch.setattr(database, "_PRAGMAS", (*database._PRAGMAS, "PRAGMA synchronous = OFF"))


@dataclass(frozen=True)
class Kept:
    """One record of the model."""

    person: str
    category: str
    content: bytes
    large: bool


class LibraryStates(RuleBasedStateMachine):
    """One library, an operator, and everything that can go wrong between them."""

    new_rig: ClassVar[Any]

    def __init__(self) -> None:
        super().__init__()
        Points.left = 0
        self.rig = self.new_rig()
        self.library: Library = self.rig.open()
        self.kept: dict[str, Kept] = {}
        self.ever: dict[str, Kept] = {}
        self.gone: set[str] = set()
        self.tickets: list[tuple[str, Ticket, int]] = []
        self.erasures: Counter[str] = Counter()
        self.backups: list[tuple[Path, frozenset[str]]] = []
        self.made = 0

    def _restarted(self, replica: str = "one") -> None:
        Points.left = 0
        self.rig.close()
        self.rig.seconds += 1
        self.library = self.rig.open(replica)

    def _number(self) -> int:
        self.made += 1
        return self.made

    def _drafts(self, person: str, count: int) -> dict[str, Kept]:
        made = {}
        for _ in range(count):
            number = self._number()
            large = bool(number % 2)
            content = f"{number} of {person}".encode() * (300 if large else 1)
            made[f"r{number}"] = Kept(person, CATEGORIES[number // 2 % 2], content, large)
        return made

    def _store(self, ticket: Ticket, made: dict[str, Kept]) -> None:
        drafts = [Draft(name, kept.category, "kind", kept.content, kept.large) for name, kept in made.items()]
        self.library.store(ticket, drafts)

    def _note(self, made: dict[str, Kept]) -> None:
        self.kept |= made
        self.ever |= made

    # -- what people do ------------------------------------------------------------------------------------------------

    @rule(person=PEOPLE, count=st.integers(1, 4), crash=POINTS)
    def store(self, person: str, count: int, crash: int) -> None:
        """All of these are kept or none is, also when the process dies while it keeps them."""
        made = self._drafts(person, count)
        ticket = self.library.begin(self.library.handle(person), Purpose.GENERATE)
        Points.left = crash
        try:
            self._store(ticket, made)
        except Crashed:
            self._restarted()
            self.library.sweep_uploads(timedelta())
            found = {entry.record_id for entry in self.library.entries(self.library.handle(person), Purpose.ACCESS)}
            assert found & made.keys() in (set(), made.keys())
            if not found & made.keys():
                return
        Points.left = 0
        self._note(made)

    @rule(person=PEOPLE)
    def begin(self, person: str) -> None:
        ticket = self.library.begin(self.library.handle(person), Purpose.GENERATE)
        self.tickets.append((person, ticket, self.erasures[person]))

    @precondition(lambda self: self.tickets)
    @rule()
    def write_late(self) -> None:
        """Who began before an erasure of the person is refused for ever; everybody else is not."""
        person, ticket, erased = self.tickets.pop()
        made = {name: Kept(person, "images", kept.content, True) for name, kept in self._drafts(person, 1).items()}
        if self.erasures[person] > erased:
            with pytest.raises(LateWriteError):
                self._store(ticket, made)
        else:
            self._store(ticket, made)
            self._note(made)

    @precondition(lambda self: self.kept)
    @rule(which=st.integers(0, 50))
    def delete(self, which: int) -> None:
        name = sorted(self.kept)[which % len(self.kept)]
        self.library.delete(self.library.handle(self.kept[name].person), name, Purpose.DELIVER)
        del self.kept[name]

    @rule(person=PEOPLE, scope=SCOPES, crash=POINTS)
    def erase(self, person: str, scope: tuple[str, ...], crash: int) -> None:
        """An erasure that dies anywhere is finished by the next process, which asks for every step again."""
        self.begin(person)
        request = f"req-{self._number()}"
        state = self.rig.transit.admin().state(KEY)
        Points.left = crash
        try:
            self._erase(request, person, scope, state.latest_version)
        except Crashed:
            self._restarted()
            self._erase(request, person, scope, state.latest_version)
        Points.left = 0
        lost = {
            name for name, kept in self.ever.items() if kept.person == person and (not scope or kept.category in scope)
        }
        self.gone |= lost
        for name in lost & self.kept.keys():
            del self.kept[name]
        self.erasures[person] += not scope or "images" in scope

    def _erase(self, request: str, person: str, scope: tuple[str, ...], before: int) -> None:
        erasures, admin = self.library.erasures, self.rig.transit.admin()
        erasures.fence(request, self.library.handle(person), scope, received_at=self.rig.now())
        if admin.state(KEY).latest_version == before:
            admin.rotate(KEY)
        erasures.commit(request, before + 1)
        erasures.copies(request)
        while erasures.caches(request).state == "Waiting":
            self.rig.seconds += 1
        admin.raise_minimum(KEY, before + 1)
        admin.trim(KEY, before + 1)
        erasures.purge(request)
        erasures.complete(request)

    # -- what operators do ---------------------------------------------------------------------------------------------

    @rule(replica=st.sampled_from(["one", "two"]))
    def restart(self, replica: str) -> None:
        self._restarted(replica)

    @rule()
    def copy_tree(self) -> None:
        assert len({copy.generation for copy in self.library.copy_tree()}) == 1

    @precondition(lambda self: len(self.backups) < 3)
    @rule()
    def back_up(self) -> None:
        folder = self.rig.folder.parent / f"backup-{len(self.backups)}"
        backups.back_up(self.library, folder)
        self.backups.append((folder, frozenset(self.kept)))

    @precondition(lambda self: self.backups)
    @rule(which=st.integers(0, 20))
    def check_a_restored_backup(self, which: int) -> None:
        """It opens for all whose keys are in the current tree, deleted records included, and for nobody else."""
        folder, names = self.backups[which % len(self.backups)]
        outcomes = {line.record_id: line.outcome for line in restore.check(folder, self.library).lines}
        assert outcomes == {name: "KeyDestroyed" if name in self.gone else "Opens" for name in names}
        for name in names:
            if name not in self.gone:
                assert restore.open_record(folder, self.library, name).content == self.ever[name].content

    # -- what holds always ---------------------------------------------------------------------------------------------

    @invariant()
    def the_library_is_what_the_model_says(self) -> None:
        for person in ("ann", "bob", "carol"):
            subject = self.library.handle(person)
            mine = {name: kept for name, kept in self.kept.items() if kept.person == person}
            assert {entry.record_id for entry in self.library.entries(subject, Purpose.ACCESS)} == mine.keys()
            held = self.library.erasures.holdings(subject)
            assert dict(held.records) == dict(Counter(kept.category for kept in mine.values()))
            assert held.objects == sum(kept.large for kept in mine.values())
            for name, kept in mine.items():
                assert self.library.read(subject, name, Purpose.DELIVER).content == kept.content
            lost = [name for name in self.gone if self.ever[name].person == person]
            for name in lost[-3:]:
                with pytest.raises((RecordMissingError, KeyDestroyedError)):
                    self.library.read(subject, name, Purpose.ACCESS)
        large = sum(kept.large for kept in self.kept.values())
        assert len(self.library.context.objects.list()) == large
        assert not self.library.context.objects.unfinished()

    def teardown(self) -> None:
        self.rig.close()
        shutil.rmtree(self.rig.folder.parent)


def test_any_sequence_with_crashes_ends_as_the_model_says(
    rig: Any, empty_database: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Points.install(monkeypatch)
    folder, transit = empty_database
    numbers = itertools.count()

    def copied() -> Any:
        place = tmp_path / f"tenant-{next(numbers)}"
        shutil.copytree(folder, place / "data")
        made = type(rig)(place / "data")
        made.transit.restore(transit.snapshot())
        return made

    monkeypatch.setattr(LibraryStates, "new_rig", staticmethod(copied), raising=False)
    run_state_machine_as_test(
        LibraryStates,
        settings=settings(
            max_examples=32, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
