"""The gate says what the rules say, over any sequence of restricting, objecting, lifting, erasing and returning."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from imagint_privacy.errors import AccessDeniedError, LateWriteError, SubjectRestrictedError
from imagint_privacy.purposes import ALLOWED, EVERY, OBJECTABLE, USING, Access, Purpose, decide
from imagint_privacy.records import gate
from imagint_privacy.records.library import Draft, Library

RIGHTS = (Purpose.ACCESS, Purpose.ERASE, Purpose.PROBE)
SUBJECTS = st.sampled_from(["ann", "bob"])
SCOPES = st.sampled_from([(), ("images",), ("prompts",), ("images", "prompts")])
NAMED = st.lists(st.sampled_from(sorted(OBJECTABLE)), unique=True)
CATEGORIES = ("images", "prompts")


def verdict(library: Library, subject: str, purpose: Purpose, category: str = EVERY) -> type[AccessDeniedError] | None:
    try:
        with library.context.database.read() as connection:
            decide(Access(purpose, min(ALLOWED[purpose]), subject, category), gate.standing(connection, subject))
    except AccessDeniedError as error:
        return type(error)
    return None


class GateStates(RuleBasedStateMachine):
    """Two people whose data is restricted, objected to, lifted, erased and made again, beside a model of sets."""

    template: Path
    make: Callable[[Path], Any]

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        shutil.copytree(self.template, Path(self.folder.name) / "tenant")
        self.rig = type(self).make(Path(self.folder.name) / "tenant")
        self.library = self.rig.open()
        self.standing: dict[str, tuple[str, frozenset[str], frozenset[Purpose]]] = {}
        self.kept: dict[str, dict[str, str]] = {"ann": {}, "bob": {}}
        self.tickets: dict[str, tuple[Any, set[str]]] = {}
        self.number = 0

    def _next(self) -> str:
        self.number += 1
        return f"n{self.number}"

    def _void(self, person: str, categories: frozenset[str]) -> None:
        if person in self.tickets:
            self.tickets[person][1].update(categories)

    @rule(person=SUBJECTS, scope=SCOPES)
    def restrict(self, person: str, scope: tuple[str, ...]) -> None:
        request, covered = self._next(), frozenset(scope or CATEGORIES)
        handle = self.library.handle(person)
        self.library.restrictions.restrict(request, handle, scope, received_at=self.rig.now())
        self.standing[request] = (person, covered, frozenset(USING))
        self._void(person, covered)

    @rule(person=SUBJECTS, scope=SCOPES, purposes=NAMED)
    def object(self, person: str, scope: tuple[str, ...], purposes: list[Purpose]) -> None:
        request, handle = self._next(), self.library.handle(person)
        self.library.restrictions.object_to(request, handle, purposes, scope, received_at=self.rig.now())
        self.standing[request] = (person, frozenset(scope or CATEGORIES), frozenset(purposes or OBJECTABLE))

    @rule(which=st.integers(0, 50))
    def lift(self, which: int) -> None:
        if self.standing:
            request = sorted(self.standing)[which % len(self.standing)]
            self.library.restrictions.lift(request)
            del self.standing[request]

    @rule(person=SUBJECTS, scope=SCOPES)
    def erase(self, person: str, scope: tuple[str, ...]) -> None:
        covered = frozenset(scope or CATEGORIES)
        self.rig.erase(self.library, self._next(), self.library.handle(person), scope)
        for request, (whose, over, purposes) in list(self.standing.items()):
            if whose == person and not scope:
                del self.standing[request]
            elif whose == person and request in self._named_categories(person):
                self.standing[request] = (whose, over - covered, purposes)
        self.kept[person] = {name: category for name, category in self.kept[person].items() if category not in covered}
        self._void(person, covered)

    def _named_categories(self, person: str) -> set[str]:
        """Requests that name their categories: one that holds for all outlives the erasure of some."""
        found = self.library.restrictions.of(self.library.handle(person)).restrictions
        return {restriction.request for restriction in found if restriction.categories}

    @rule(person=SUBJECTS)
    def begin(self, person: str) -> None:
        handle = self.library.handle(person)
        if self._stopped(person, Purpose.GENERATE, EVERY):
            with pytest.raises(SubjectRestrictedError):
                self.library.begin(handle, Purpose.GENERATE)
        else:
            self.tickets[person] = self.library.begin(handle, Purpose.GENERATE), set()

    @rule(person=SUBJECTS, category=st.sampled_from(CATEGORIES))
    def write(self, person: str, category: str) -> None:
        """A job that has begun writes; a person who was erased returns."""
        if person not in self.tickets:
            return
        ticket, void = self.tickets[person]
        name = self._next()
        draft = Draft(name, category, "thing", name.encode())
        if category in void:
            with pytest.raises((LateWriteError, SubjectRestrictedError)):
                self.library.store(ticket, [draft])
        else:
            self.library.store(ticket, [draft])
            self.kept[person][name] = category

    @rule()
    def restart(self) -> None:
        self.rig.close()
        self.library = self.rig.open()

    def _stopped(self, person: str, purpose: Purpose, category: str) -> bool:
        return any(
            whose == person and purpose in purposes and bool(over if category == EVERY else category in over)
            for whose, over, purposes in self.standing.values()
        )

    @invariant()
    def the_gate_says_what_the_model_says(self) -> None:
        for person in ("ann", "bob"):
            handle = self.library.handle(person)
            for purpose in (*USING, *RIGHTS):
                for category in (EVERY, *CATEGORIES):
                    refused = verdict(self.library, handle, purpose, category) is not None
                    assert refused == self._stopped(person, purpose, category), (person, purpose, category)

    @invariant()
    def what_was_kept_is_kept_byte_for_byte(self) -> None:
        for person, kept in self.kept.items():
            handle = self.library.handle(person)
            assert {entry.record_id for entry in self.library.entries(handle, Purpose.ACCESS)} == set(kept)
            for name in kept:
                assert self.library.read(handle, name, Purpose.ACCESS).content == name.encode()

    def teardown(self) -> None:
        self.rig.close()
        self.folder.cleanup()


def test_the_gate_says_what_the_rules_say_over_any_sequence(rig: Any) -> None:
    transit = rig.transit.snapshot()

    def make(folder: Path) -> Any:
        made = type(rig)(folder)
        made.transit.restore(transit)
        return made

    machine = type("GateStatesHere", (GateStates,), {"template": rig.folder, "make": staticmethod(make)})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=25, stateful_step_count=15, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
