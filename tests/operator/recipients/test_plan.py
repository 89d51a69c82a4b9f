"""Who is told of an erasure, how the record of each moves, and that nobody is waited for for ever."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagint_operator.api.processors import DataProcessor
from imagint_operator.api.requests import ProcessorProgress, ProcessorState
from imagint_operator.recipients import plan
from imagint_operator.recipients.plan import Answer, Ask

Make = Callable[..., DataProcessor]
DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("spec", "categories", "told"),
    [
        pytest.param({}, (), True, id="an erasure of everything"),
        pytest.param({}, ("prompts",), True, id="of a category that it received"),
        pytest.param({}, ("images",), False, id="of a category that it did not receive"),
        pytest.param({"tenants": {"selection": "Named", "names": ["acme"]}}, (), True, id="of a tenant named"),
        pytest.param({"tenants": {"selection": "Named", "names": ["zeta"]}}, (), False, id="of a tenant not named"),
    ],
)
def test_whoever_received_the_data_is_told(make_processor: Make, spec: Any, categories: Any, told: bool) -> None:
    assert bool(plan.concerned([make_processor(spec=spec)], "acme", categories)) is told


@pytest.mark.parametrize(
    ("due_days", "left", "granted"),
    [(14, 30, 14), (60, 30, 30), (14, -3, 1), (14, 0, 1)],
    ids=["its own time", "not past the request's", "a day when the request is late", "a day when it is due now"],
)
def test_each_has_its_time(make_processor: Make, now: datetime, due_days: int, left: int, granted: int) -> None:
    entry = plan.begun(make_processor(dueDays=due_days), now, now + left * DAY)
    assert entry.by == now + granted * DAY


@pytest.mark.parametrize(
    ("protocol", "state"), [("Manual", "ByHand"), ("None", "Exempt"), ("OpenDSR", "Pending"), ("Webhook", "Pending")]
)
def test_only_who_can_be_told_is_waited_for(make_processor: Make, now: datetime, protocol: str, state: str) -> None:
    entry = plan.begun(make_processor(protocol=protocol), now, None)
    assert entry.state == state
    assert plan.finished([entry]) is (state != "Pending")


def test_late_is_overdue_and_is_asked_no_more(make_processor: Make, now: datetime) -> None:
    entry = plan.begun(make_processor(), now, None)
    assert plan.timed(entry, entry.by - timedelta(seconds=1)) == entry
    late = plan.timed(entry, entry.by)
    assert (late.state, plan.ask(late, entry.by), plan.finished([late])) == (ProcessorState.OVERDUE, None, True)


def test_who_was_told_is_asked_how_far_it_is(make_processor: Make, now: datetime) -> None:
    entry = plan.begun(make_processor(), now, None)
    assert plan.ask(entry, now) is Ask.TELL
    told = plan.answered(entry, Answer(ProcessorState.TOLD), now)
    assert (told.told_at, plan.ask(told, now)) == (now, Ask.FOLLOW_UP)


def test_a_failure_says_why_and_moves_nothing(make_processor: Make, now: datetime) -> None:
    entry = plan.begun(make_processor(), now, None)
    failed = plan.answered(entry, Answer(detail="Status500"), now)
    assert (failed.state, failed.detail, failed.told_at) == (ProcessorState.PENDING, "Status500", None)


def test_a_record_outlives_its_processor(make_processor: Make, now: datetime) -> None:
    entry = plan.begun(make_processor("gone"), now, None)
    assert plan.enrolled([entry], [], now, None) == (entry,)


def test_one_that_is_told_in_another_way_begins_anew_in_the_time_it_had(make_processor: Make, now: datetime) -> None:
    entry = plan.answered(plan.begun(make_processor(), now, None), Answer(ProcessorState.TOLD), now)
    (changed,) = plan.enrolled([entry], [make_processor(protocol="OpenDSR")], now + DAY, None)
    assert (changed.protocol, changed.state, changed.by) == ("OpenDSR", ProcessorState.PENDING, entry.by)


ANSWERS = st.builds(Answer, st.none() | st.sampled_from(ProcessorState), st.just("sha256:" + "0" * 64), st.just("Why"))


@given(answers=st.lists(ANSWERS, max_size=8))
def test_no_order_of_answers_moves_a_record_back(answers: list[Answer]) -> None:
    now = datetime.fromisoformat("2026-11-23T12:00:00+00:00")
    entry = ProcessorProgress(name="desk", protocol="Webhook", by=now + DAY)
    for answer in answers:
        after = plan.answered(entry, answer, now)
        if entry.state in plan.FINAL:
            assert after == entry
        elif after.state not in plan.FINAL:
            assert plan._ORDER.index(after.state) >= plan._ORDER.index(entry.state)
        entry = after
