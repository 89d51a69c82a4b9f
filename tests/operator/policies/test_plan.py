"""Editions are published once and in time, take force by the clock, and are never changed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from imagint_operator.api.base import ConditionStatus
from imagint_operator.api.policies import MOST_VERSIONS, PrivacyPolicy, VersionState
from imagint_operator.conditions import find
from imagint_operator.policies import editions
from imagint_operator.policies.observations import Observed
from imagint_operator.policies.plan import Publish, Rest, next_moment, plan, versions, wanted
from imagint_operator.policies.status import status

DAY = timedelta(days=1)
Make = Callable[..., PrivacyPolicy]


class Life:
    """A policy through its editions, with the ConfigMaps that an operator would have made."""

    def __init__(self, make: Make, start: datetime) -> None:
        self.make, self.now = make, start
        self.maps: dict[str, Any] = {}
        self.policy = make()

    def write(self, version: str, effective_in: int, change: str = "Material", **spec: Any) -> None:
        written = {"version": version, "effectiveAt": (self.now + effective_in * DAY).isoformat(), "change": change}
        made = self.make(spec=written | spec)
        self.policy = made.model_copy(update={"status": self.policy.status})

    def observed(self) -> Observed:
        return Observed({name: self.maps.get(name) for name in wanted(self.policy, self.now)}, ("acme", "zeta"))

    def look(self) -> Any:
        """One reconcile; answers the decision."""
        decision = plan(self.policy, self.observed(), self.now)
        if isinstance(decision, Publish):
            self.maps[decision.config_map] = editions.config_map(self.policy, self.now)
        seen = self.observed()
        after = status(self.policy, seen, plan(self.policy, seen, self.now), self.now)
        self.policy = self.policy.model_copy(update={"status": after})
        return decision

    def states(self) -> list[tuple[str, str]]:
        return [(version.version, version.state.value) for version in self.policy.status.versions]

    def condition(self, name: str) -> tuple[str, str]:
        found = find(self.policy.status.conditions, name)
        assert found is not None
        return found.status.value, found.reason


@pytest.fixture
def life(make_policy: Make, now: datetime) -> Life:
    return Life(make_policy, now)


def test_the_first_edition_needs_no_notice(life: Life) -> None:
    life.write("1.0.0", effective_in=0)
    assert isinstance(life.look(), Publish)
    assert life.states() == [("1.0.0", "InForce")]
    assert life.condition("Ready") == ("True", "Ready")
    assert life.condition("SubjectsNotified") == ("True", "NotNeeded")


def test_an_edition_takes_force_at_its_moment_and_not_before(life: Life) -> None:
    life.write("1.0.0", effective_in=0)
    life.look()
    life.write("1.1.0", effective_in=40, categories=[{"name": "prompts", "purposes": ["service"]}])
    life.look()
    assert life.states() == [("1.0.0", "InForce"), ("1.1.0", "Pending")]
    assert next_moment(life.policy, life.now) == life.now + 40 * DAY
    assert life.condition("SubjectsNotified") == ("False", "NoticesPending")
    before = life.policy.status.in_force
    life.now += 40 * DAY - timedelta(seconds=1)
    life.look()
    assert life.policy.status.in_force == before
    life.now += timedelta(seconds=1)
    life.look()
    assert life.states() == [("1.0.0", "Superseded"), ("1.1.0", "InForce")]
    force = life.policy.status.in_force
    assert force is not None
    assert (force.version, force.retention) == ("1.1.0", ())


NOTICE = [
    pytest.param(29, "Material", "NoticeTooShort", id="a day short"),
    pytest.param(30, "Material", "", id="to the day, the day of publication not counted"),
    pytest.param(0, "Material", "NoticeTooShort", id="at once"),
    pytest.param(-9, "Material", "NoticeTooShort", id="in the past"),
    pytest.param(0, "Editorial", "", id="words only, at once"),
]


@pytest.mark.parametrize(("days", "change", "reason"), NOTICE)
def test_a_material_edition_is_published_in_time_or_not_at_all(life: Life, days: int, change: str, reason: str) -> None:
    life.write("1.0.0", effective_in=0)
    life.look()
    life.write("1.1.0", effective_in=days, change=change)
    decision = life.look()
    assert (decision.reason if isinstance(decision, Rest) else "") == reason
    assert life.condition("Published") == (("False", reason) if reason else ("True", "Published"))
    assert ("1.1.0" in dict(life.states())) is not bool(reason)
    assert life.condition("InForce")[0] == "True"


def test_what_was_published_in_time_stays_published_when_its_notice_runs_out(life: Life) -> None:
    life.write("1.0.0", effective_in=0)
    life.look()
    life.write("1.1.0", effective_in=30)
    life.look()
    life.now += 29 * DAY
    assert life.look() == Rest()


def test_an_edition_that_is_overtaken_never_takes_force(life: Life) -> None:
    life.write("1.0.0", effective_in=0)
    life.look()
    life.write("1.1.0", effective_in=60)
    life.look()
    life.write("1.2.0", effective_in=30)
    life.look()
    life.now += 31 * DAY
    life.look()
    assert life.states() == [("1.0.0", "Superseded"), ("1.1.0", "Superseded"), ("1.2.0", "InForce")]
    life.now += 60 * DAY
    life.look()
    assert dict(life.states())["1.2.0"] == "InForce"


def test_planned_twice_nothing_is_left_to_do(life: Life) -> None:
    for number, ahead in enumerate((0, 30, 45)):
        life.write(f"1.{number}.0", effective_in=ahead)
        life.look()
        before = life.policy
        assert life.look() == Rest()
        assert life.policy == before


EDITS = st.lists(
    st.tuples(st.integers(-5, 90), st.sampled_from(["Material", "Editorial"]), st.integers(0, 50)), max_size=6
)


@given(edits=EDITS)
@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_whatever_is_written_at_most_one_edition_is_in_force_and_a_second_look_does_nothing(
    make_policy: Make, now: datetime, edits: list[tuple[int, str, int]]
) -> None:
    life = Life(make_policy, now)
    for number, (ahead, change, passing) in enumerate(edits):
        life.write(f"1.{number}.0", ahead, change)
        life.look()
        for version in life.policy.status.versions[1:]:
            notice = (version.effective_at.date() - version.published_at.date()).days
            assert version.change == "Editorial" or notice >= 30
        life.now += passing * DAY
        life.look()
        before = life.policy
        assert isinstance(life.look(), Rest)
        assert life.policy == before
        force = [version for version in before.status.versions if version.state is VersionState.IN_FORCE]
        assert len(force) <= 1
        assert all(version.effective_at <= life.now for version in force)
        assert (before.status.in_force is not None) == bool(force)


def test_a_crash_between_publication_and_status_keeps_the_moment_of_publication(life: Life) -> None:
    life.write("1.0.0", effective_in=0)
    first = life.now
    life.maps["policy-studio-1.0.0"] = editions.config_map(life.policy, first)
    life.now += timedelta(hours=5)
    assert life.look() == Rest()
    (version,) = life.policy.status.versions
    assert version.published_at == first


def test_a_published_version_is_not_published_with_other_words(life: Life) -> None:
    life.write("1.0.0", effective_in=0)
    life.look()
    life.write("1.0.0", effective_in=0, minimumAge=18)
    decision = life.look()
    assert isinstance(decision, Rest)
    assert decision.reason == "VersionTaken"


def test_a_config_map_that_was_tampered_with_binds_nobody(life: Life) -> None:
    life.write("1.0.0", effective_in=0)
    made = editions.config_map(life.policy, life.now)
    made["data"][editions.FILE] = made["data"][editions.FILE].replace("16", "13")
    life.maps["policy-studio-1.0.0"] = made
    life.look()
    assert life.condition("Published") == ("False", "VersionTaken")
    assert life.policy.status.in_force is None


def test_the_terms_in_force_stay_while_the_next_edition_cannot_be_read(life: Life) -> None:
    life.write("1.0.0", effective_in=0)
    life.look()
    life.write("1.1.0", effective_in=30)
    life.look()
    before = life.policy.status.in_force
    life.write("1.2.0", effective_in=90)
    life.look()
    del life.maps["policy-studio-1.1.0"]
    life.now += 31 * DAY
    life.look()
    assert life.policy.status.in_force == before
    assert life.condition("InForce") == (ConditionStatus.FALSE.value, "EditionUnreadable")


def test_an_edition_is_read_as_it_was_written(make_policy: Make, now: datetime) -> None:
    policy = make_policy()
    edition = editions.read(editions.config_map(policy, now))
    assert edition is not None
    assert edition.spec == policy.spec
    (rule,) = editions.terms(edition).retention
    assert rule.keep_days == 30


def test_the_states_are_those_of_the_moment(life: Life) -> None:
    life.write("1.0.0", effective_in=10)
    life.look()
    assert life.condition("InForce") == ("False", "NotYetEffective")
    (version,) = versions(life.policy, life.observed(), life.now + 10 * DAY)
    assert version.state is VersionState.IN_FORCE


def test_the_edition_in_force_is_never_dropped_for_those_that_come(make_policy: Make, now: datetime) -> None:
    life = Life(make_policy, now)
    life.write("1.0.0", 0)
    life.look()
    for number in range(2, MOST_VERSIONS + 4):
        life.write(f"{number}.0.0", 100 + number, change="Editorial")
        life.look()
    states = life.states()
    assert (len(states), states[0]) == (MOST_VERSIONS, ("1.0.0", "InForce"))
    assert life.condition("InForce") == ("True", "InForce")
