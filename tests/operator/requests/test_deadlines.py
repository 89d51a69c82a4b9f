"""The clock of a request, as its status shows it: never lost, extended once and in time, loud when it has run out."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from imagint_operator.api.requests import DataSubjectRequest
from imagint_operator.requests import deadlines

Make = Callable[..., DataSubjectRequest]
DAY = timedelta(days=1)
TOLD = {"reason": "Complexity", "informedAt": "2026-12-01T12:00:00Z"}


def clocked(request: DataSubjectRequest, now: datetime) -> DataSubjectRequest:
    return request.model_copy(update={"status": deadlines.clocked(request, now)})


@pytest.mark.parametrize(
    ("law", "due", "extended"),
    [
        pytest.param("GDPR", "2026-12-23", "2027-02-23", id="GDPR 12(3): one month, and two further"),
        pytest.param("UKGDPR", "2026-12-23", "2027-02-23", id="UK GDPR 12(3): the same"),
        pytest.param("CCPA", "2027-01-07", "2027-02-21", id="CCPA 7021(b): 45 days, and 45 more"),
    ],
)
def test_each_law_has_its_clock(make_request: Make, now: datetime, law: str, due: str, extended: str) -> None:
    request = make_request(spec={"type": "Access", "regulation": law, "extension": TOLD})
    status = clocked(request, now).status
    assert status.due_by is not None
    assert status.extended_due_by is not None
    assert (status.due_by.date().isoformat(), status.extended_due_by.date().isoformat()) == (due, extended)


@pytest.mark.parametrize(
    ("told", "seen", "granted"),
    [
        pytest.param("2026-12-01T12:00:00Z", 10, True, id="told and seen within the first term"),
        pytest.param("2026-12-24T12:00:00Z", 10, False, id="told after it"),
        pytest.param("2026-12-01T12:00:00Z", 40, False, id="written down after it, whatever it says"),
    ],
)
def test_an_extension_counts_only_within_the_first_term(
    make_request: Make, now: datetime, told: str, seen: int, granted: bool
) -> None:
    request = make_request(spec={"extension": TOLD | {"informedAt": told}})
    assert (clocked(request, now + DAY * seen).status.extended_due_by is not None) is granted


def test_an_extension_that_was_granted_stays(make_request: Make, now: datetime) -> None:
    once = clocked(make_request(spec={"extension": TOLD}), now)
    assert clocked(once, now + DAY * 60).status == once.status


@pytest.mark.parametrize(
    ("days", "spec", "complete", "expected"),
    [
        pytest.param(0, {}, False, ("False", "InTime"), id="just received"),
        pytest.param(23, {}, False, ("False", "DueSoon"), id="a week is left"),
        pytest.param(30, {}, False, ("False", "DueSoon"), id="the last moment"),
        pytest.param(30.001, {}, False, ("True", "Overdue"), id="late"),
        pytest.param(60, {"extension": TOLD}, False, ("False", "InTime"), id="extended"),
        pytest.param(60, {}, True, ("False", "Answered"), id="answered"),
        pytest.param(0, {"type": "Access", "receivedAt": "2026-01-01T00:00:00Z"}, False, ("True", "Overdue"),
                     id="what we cannot carry out is late too"),
    ],
)  # fmt: skip
def test_what_is_late_is_said(
    make_request: Make, now: datetime, days: float, spec: dict[str, Any], complete: bool, expected: tuple[str, str]
) -> None:
    status = clocked(make_request(spec=spec), now).status
    found = deadlines.verdict(status, now + DAY * days, complete=complete)
    assert (found.status.value, found.reason) == expected


def test_an_answer_after_its_time_is_remembered_as_late(make_request: Make, now: datetime) -> None:
    status = clocked(make_request(), now).status.model_copy(update={"completed_at": now + DAY * 31})
    assert deadlines.verdict(status, now + DAY * 40, complete=True).reason == "AnsweredLate"


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(days=st.floats(-10, 80), extended=st.booleans())
def test_it_is_looked_at_again_before_it_says_something_else(
    make_request: Make, now: datetime, days: float, extended: bool
) -> None:
    status = clocked(make_request(spec={"extension": TOLD} if extended else {}), now).status
    look = now + DAY * days
    pause = deadlines.seconds_to_next(status, look)
    just_before = look + timedelta(seconds=(pause or 1e7) - 1.5)
    if just_before > look:
        first, second = (deadlines.verdict(status, at, complete=False) for at in (look, just_before))
        assert first == second
