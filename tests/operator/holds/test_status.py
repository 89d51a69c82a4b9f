"""What a hold says of itself."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from imagint_operator.api.holds import LegalHold
from imagint_operator.api.requests import DataSubjectRequest
from imagint_operator.conditions import find
from imagint_operator.holds.status import judged, seconds_to_next

Make = Callable[..., LegalHold]
Request = Callable[..., DataSubjectRequest]
ADA = "subj-" + "a" * 26
DAY = timedelta(days=1)
COMMITTED = {"name": "Commit", "state": "Done"}


def says(hold: LegalHold, type_: str, now: datetime, *requests: DataSubjectRequest) -> tuple[str, str]:
    found = find(judged(hold, requests, now).conditions, type_)
    assert found is not None
    return found.status.value, found.reason


@pytest.mark.parametrize(
    ("spec", "days", "expected"),
    [
        pytest.param({}, 0, ("True", "Active"), id="in force"),
        pytest.param({}, -1, ("False", "NotYetActive"), id="to come"),
        pytest.param({"until": 1}, 1, ("False", "Expired"), id="run out"),
        pytest.param({"until": 1}, 0.999, ("True", "Active"), id="nearly run out"),
        pytest.param({"liftedAt": 1}, 1, ("False", "Lifted"), id="lifted"),
    ],
)
def test_active_is_on_top_with_its_reason(
    make_hold: Make, now: datetime, spec: dict[str, int], days: float, expected: tuple[str, str]
) -> None:
    hold = make_hold(**{name: (now + DAY * at).isoformat() for name, at in spec.items()})
    assert judged(hold, (), now).conditions[0].type == "Active"
    assert says(hold, "Active", now + DAY * days) == expected


def test_a_review_that_is_due_is_said_and_ends_nothing(make_hold: Make, now: datetime) -> None:
    later = now + 366 * DAY
    assert says(make_hold(), "ReviewDue", now) == ("False", "NotDue")
    assert says(make_hold(), "ReviewDue", later) == ("True", "ReviewOverdue")
    assert says(make_hold(), "Active", later) == ("True", "Active")


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        pytest.param({}, "InTime", id="nothing was done yet"),
        pytest.param({"steps": [{"name": "Commit", "state": "Running"}]}, "InTime", id="its commit is only begun"),
        pytest.param({"steps": [COMMITTED]}, "AlreadyCommitted", id="its keys are forgotten"),
        pytest.param({"steps": [COMMITTED], "completedAt": "2026-11-23T12:00:01Z"}, "AlreadyCommitted",
                     id="it ended after the hold began"),
        pytest.param({"steps": [COMMITTED], "completedAt": "2026-11-22T12:00:00Z"}, "InTime",
                     id="it had ended before the hold began"),
    ],
)  # fmt: skip
def test_a_hold_that_comes_too_late_says_for_what(
    make_hold: Make, make_request: Request, now: datetime, status: dict[str, Any], expected: str
) -> None:
    request = make_request(status=status)
    assert says(make_hold(subject=ADA), "TooLateFor", now, request)[1] == expected
    assert says(make_hold(subject="subj-" + "b" * 26), "TooLateFor", now, request)[1] == "InTime"


def test_it_counts_who_waits_for_it_and_forgets_them_when_it_ends(
    make_hold: Make, make_request: Request, now: datetime
) -> None:
    held = {"type": "Complete", "status": "False", "reason": "Held", "message": "", "lastTransitionTime": now}
    requests = [make_request("a", status={"conditions": [held]}), make_request("b")]
    hold = make_hold(until=(now + DAY).isoformat())
    assert judged(hold, requests, now).holding == 1
    assert judged(hold, requests, now + DAY).holding == 0


def test_it_looks_again_exactly_when_something_changes(make_hold: Make, now: datetime) -> None:
    hold = make_hold(until=(now + 2 * DAY).isoformat())
    assert seconds_to_next(hold, now - DAY) == 86400
    assert seconds_to_next(hold, now) == 2 * 86400
    assert seconds_to_next(hold, now + 400 * DAY) is None


def test_judged_twice_changes_nothing(make_hold: Make, now: datetime) -> None:
    hold = make_hold()
    once = judged(hold, (), now)
    assert judged(hold.model_copy(update={"status": once}), (), now + timedelta(hours=1)) == once
