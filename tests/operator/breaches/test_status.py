"""The 72 hours of a breach, what is owed to whom, and the draft of the report."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from imagint_operator.api.breaches import BreachIncident
from imagint_operator.breaches import report
from imagint_operator.breaches.status import judged, seconds_to_next
from imagint_operator.conditions import find

Make = Callable[..., BreachIncident]
HOUR = timedelta(hours=1)
AT = {"at": "2026-11-24T12:00:00Z"}
REPORTED = {"authorityNotice": AT | {"reference": "file 7"}}
LATE = {"authorityNotice": {"at": "2026-11-27T12:00:00Z", "reference": "file 7", "delayReason": "Investigation"}}


def says(incident: BreachIncident, type_: str, now: datetime) -> tuple[str, str]:
    found = find(judged(incident, report.reference(incident), now).conditions, type_)
    assert found is not None
    return found.status.value, found.reason


@pytest.mark.parametrize(
    ("spec", "hours", "expected"),
    [
        pytest.param({}, 0, ("False", "Due"), id="discovered now"),
        pytest.param({}, 47.9, ("False", "Due"), id="more than a day is left"),
        pytest.param({}, 48, ("False", "DueSoon"), id="a day is left"),
        pytest.param({}, 72, ("False", "DueSoon"), id="the last moment"),
        pytest.param({}, 72.001, ("False", "Overdue"), id="too late"),
        pytest.param(REPORTED, 99, ("True", "Done"), id="reported in time"),
        pytest.param(LATE, 99, ("True", "DoneLate"), id="reported late, with a reason"),
        pytest.param({"risk": "Unlikely"}, 99, ("True", "NotRequired"), id="a risk is unlikely (33(1))"),
        pytest.param({"risk": "HighRisk"}, 73, ("False", "Overdue"), id="a high risk"),
    ],
)
def test_the_authority_hears_within_72_hours(
    make_breach: Make, now: datetime, spec: dict[str, Any], hours: float, expected: tuple[str, str]
) -> None:
    incident, look = make_breach(**spec), now + HOUR * hours
    assert says(incident, "AuthorityNotified", look) == expected
    assert says(incident, "Overdue", look)[0] == str(expected[1] == "Overdue")


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        pytest.param({}, ("True", "NotRequired"), id="the risk is not high"),
        pytest.param({"risk": "HighRisk"}, ("False", "Due"), id="the risk is high (34(1))"),
        pytest.param({"risk": "HighRisk", "subjectNotice": AT}, ("True", "Done"), id="they were told"),
        pytest.param({"risk": "HighRisk", "subjectNotice": {"exemption": "RiskRemoved"}}, ("True", "Exempt"),
                     id="they need not be told (34(3))"),
    ],
)  # fmt: skip
def test_the_people_hear_when_the_risk_is_high(
    make_breach: Make, now: datetime, spec: dict[str, Any], expected: tuple[str, str]
) -> None:
    assert says(make_breach(**spec), "SubjectsInformed", now) == expected


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        pytest.param({"risk": "Unlikely"}, ("True", "ObligationsMet"), id="nothing is owed"),
        pytest.param({}, ("False", "Due"), id="the report is owed"),
        pytest.param(REPORTED, ("True", "ObligationsMet"), id="the report is made"),
        pytest.param(REPORTED | {"risk": "HighRisk"}, ("False", "Due"), id="the people are not told"),
    ],
)
def test_complete_means_that_nothing_is_owed(
    make_breach: Make, now: datetime, spec: dict[str, Any], expected: tuple[str, str]
) -> None:
    assert says(make_breach(**spec), "Complete", now) == expected


@pytest.mark.parametrize("type_", ["SubjectsFound", "KeysRewrapped"])
def test_what_nobody_does_yet_is_never_called_done(make_breach: Make, now: datetime, type_: str) -> None:
    assert says(make_breach(**REPORTED), type_, now) == ("Unknown", "NotYetExecutable")


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(hours=st.floats(-10, 200))
def test_it_is_looked_at_again_before_it_says_something_else(make_breach: Make, now: datetime, hours: float) -> None:
    incident, look = make_breach(), now + HOUR * hours
    pause = seconds_to_next(incident, look)
    just_before = look + timedelta(seconds=(pause or 1e6) - 1.5)
    if just_before > look:
        assert says(incident, "AuthorityNotified", just_before) == says(incident, "AuthorityNotified", look)
    assert (pause is None) == (hours * 3600 >= 72 * 3600 + 1)


def test_judged_twice_changes_nothing(make_breach: Make, now: datetime) -> None:
    incident = make_breach()
    once = judged(incident, report.reference(incident), now)
    stored = incident.model_copy(update={"status": once})
    assert judged(stored, report.reference(stored), now + HOUR) == once


def test_the_draft_has_what_33_3_asks_for_and_another_name_once_it_changes(make_breach: Make) -> None:
    incident = make_breach()
    draft = json.loads(report.text(incident))
    assert set(draft["article33(3)"]) == {"a", "b", "c", "d"}
    assert draft["article33(3)"]["a"]["affected"] == {"extent": "AllTenants", "approximateSubjects": 40}
    assert draft["notifyBy"] == "2026-11-26T12:00:00Z"
    assert report.reference(incident) == report.reference(make_breach())
    assert report.reference(incident) != report.reference(make_breach(measures="others"))


def test_the_draft_is_immutable_and_somebody_elses_is_not_taken_for_it(make_breach: Make) -> None:
    incident = make_breach()
    made = report.config_map(incident, report.reference(incident))
    assert report.belongs(made, incident)
    assert not report.belongs(made | {"immutable": False}, incident)
    assert not report.belongs(made | {"data": {"report.json": "{}"}}, incident)
