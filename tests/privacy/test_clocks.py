"""The statutory clocks, each case beside the article that it comes from."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagint_privacy.clocks import NaiveTimeError, Regulation, breach_notification_due, deadlines

PACIFIC = timezone(timedelta(hours=-8))
PARIS = timezone(timedelta(hours=1))


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


# regulation, received, due, extended: GDPR and UK GDPR Art. 12(3), CCPA 11 CCR § 7021(b)
ANSWERS = {
    "GDPR Art. 12(3): one month is the same day of the next month": (
        "GDPR", "2026-03-10T12:00+00:00", "2026-04-10T12:00+00:00", "2026-06-10T12:00+00:00"),
    "GDPR Art. 12(3): 31 January ends on 28 February, not on 3 March": (
        "GDPR", "2026-01-31T12:00+00:00", "2026-02-28T12:00+00:00", "2026-04-30T12:00+00:00"),
    "GDPR Art. 12(3): 31 January ends on 29 February in a leap year": (
        "GDPR", "2028-01-31T12:00+00:00", "2028-02-29T12:00+00:00", "2028-04-30T12:00+00:00"),
    "GDPR Art. 12(3): 28 February runs 28 days, because a month is a month": (
        "GDPR", "2026-02-28T12:00+00:00", "2026-03-28T12:00+00:00", "2026-05-28T12:00+00:00"),
    "GDPR Art. 12(3): over the turn of the year": (
        "GDPR", "2026-12-15T12:00+00:00", "2027-01-15T12:00+00:00", "2027-03-15T12:00+00:00"),
    "GDPR Art. 12(3): the last day is a Sunday, and the clock is not moved on (Reg. 1182/71 would allow it)": (
        "GDPR", "2026-10-22T12:00+00:00", "2026-11-22T12:00+00:00", "2027-01-22T12:00+00:00"),
    "GDPR Art. 12(3): half past midnight of 29 January in Paris counts as the 29th, which runs out first": (
        "GDPR", "2026-01-29T00:30+01:00", "2026-02-27T23:30+00:00", "2026-04-28T23:30+00:00"),
    "UK GDPR Art. 12(3): as the GDPR": (
        "UKGDPR", "2026-05-31T08:00+01:00", "2026-06-30T07:00+00:00", "2026-08-31T07:00+00:00"),
    "CCPA § 7021(b): 45 calendar days from receipt, 90 when extended": (
        "CCPA", "2026-11-02T09:30+00:00", "2026-12-17T09:30+00:00", "2027-01-31T09:30+00:00"),
    "CCPA § 7021(b): February makes no difference to calendar days": (
        "CCPA", "2026-02-01T00:00+00:00", "2026-03-18T00:00+00:00", "2026-05-02T00:00+00:00"),
    "No statute: one month, never extended": (
        "Other", "2026-03-10T12:00+00:00", "2026-04-10T12:00+00:00", "2026-04-10T12:00+00:00"),
}  # fmt: skip

# CCPA 11 CCR § 7021(a): confirm within 10 business days
ACKNOWLEDGEMENTS = {
    "a Monday leads to the Monday two weeks later": ("2026-11-02T09:30-08:00", "2026-11-16T17:30+00:00"),
    "a Friday leads to the Friday two weeks later": ("2026-11-06T09:30-08:00", "2026-11-20T17:30+00:00"),
    "a Saturday counts from the Monday on": ("2026-11-07T09:30-08:00", "2026-11-20T17:30+00:00"),
    "a Sunday counts from the Monday on": ("2026-11-08T09:30-08:00", "2026-11-20T17:30+00:00"),
    "a Sunday evening in California is a Sunday, though it is Monday in UTC": (
        "2026-11-08T18:00-08:00", "2026-11-21T02:00+00:00"),
    "Thanksgiving and the day after do not stop the clock (California and federal law differ on the latter)": (
        "2026-11-20T09:30-08:00", "2026-12-04T17:30+00:00"),
    "Christmas and New Year's Day do not stop the clock": ("2026-12-21T09:30-08:00", "2027-01-04T17:30+00:00"),
    "Cesar Chavez Day (California only) does not stop the clock": (
        "2026-03-27T09:30-07:00", "2026-04-10T16:30+00:00"),
    "Columbus Day (federal only) does not stop the clock": ("2026-10-09T09:30-07:00", "2026-10-23T16:30+00:00"),
}  # fmt: skip


@pytest.mark.parametrize(("regulation", "received", "due", "extended"), ANSWERS.values(), ids=ANSWERS.keys())
@pytest.mark.clause("6.1")
def test_answer_is_due(regulation: str, received: str, due: str, extended: str) -> None:
    clocks = deadlines(regulation, at(received))
    assert (clocks.due_by, clocks.extended_due_by) == (at(due), at(extended))
    assert clocks.due_by.tzinfo is UTC


@pytest.mark.parametrize(("received", "due"), ACKNOWLEDGEMENTS.values(), ids=ACKNOWLEDGEMENTS.keys())
def test_ccpa_receipt_is_confirmed(received: str, due: str) -> None:
    assert deadlines(Regulation.CCPA, at(received)).acknowledge_by == at(due)


@pytest.mark.parametrize("regulation", ["GDPR", "UKGDPR"])
def test_gdpr_has_no_clock_for_the_acknowledgement_but_the_answers(regulation: str) -> None:
    clocks = deadlines(regulation, at("2026-03-10T12:00+00:00"))
    assert clocks.acknowledge_by == clocks.due_by


@pytest.mark.parametrize(
    ("regulation", "article"),
    [("GDPR", "Art. 12(3)"), ("UKGDPR", "UK GDPR Art. 12(3)"), ("CCPA", "§ 7021"), ("Other", "No statute")],
)
def test_each_deadline_names_where_it_is_written(regulation: str, article: str) -> None:
    articles = deadlines(regulation, at("2026-03-10T12:00+00:00")).articles
    assert article in articles.due
    assert article in articles.extension


def test_a_breach_is_reported_within_72_hours_of_awareness() -> None:
    # GDPR Art. 33(1); hours, so that neither weekends nor the change to summer time move it.
    assert breach_notification_due(at("2026-03-28T12:00+01:00")) == at("2026-03-31T11:00+00:00")


@pytest.mark.parametrize("call", [lambda t: deadlines("GDPR", t), breach_notification_due])
def test_a_time_without_its_zone_is_refused(call: object) -> None:
    assert callable(call)
    with pytest.raises(NaiveTimeError):
        call(datetime(2026, 3, 10, 12, 0))  # noqa: DTZ001 - the point of the test


def test_an_unknown_regulation_is_refused() -> None:
    with pytest.raises(ValueError, match="LGPD"):
        deadlines("LGPD", at("2026-03-10T12:00+00:00"))


MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@settings(deadline=None)
@given(regulation=st.sampled_from(Regulation), received=MOMENTS)
def test_clocks_run_forward_and_in_order(regulation: Regulation, received: datetime) -> None:
    clocks = deadlines(regulation, received)
    assert received < clocks.acknowledge_by <= clocks.due_by <= clocks.extended_due_by


@settings(deadline=None)
@given(received=MOMENTS, hours=st.integers(-4, 4))
def test_gdpr_deadline_is_never_later_than_the_corresponding_day_on_any_wall_in_the_union(
    received: datetime, hours: int
) -> None:
    zone = timezone(timedelta(hours=hours))
    local, due = received.astimezone(zone).date(), deadlines("GDPR", received).due_by.astimezone(zone).date()
    months = (due.year - local.year) * 12 + due.month - local.month
    assert (months, due.day) <= (1, local.day)


@settings(deadline=None)
@given(regulation=st.sampled_from(Regulation), received=MOMENTS, hours=st.integers(-12, 14))
def test_the_zone_in_which_a_time_is_written_changes_nothing(
    regulation: Regulation, received: datetime, hours: int
) -> None:
    elsewhere = received.astimezone(timezone(timedelta(hours=hours)))
    assert deadlines(regulation, elsewhere) == deadlines(regulation, received)


@settings(deadline=None)
@given(regulation=st.sampled_from(Regulation), received=MOMENTS, later=st.timedeltas(timedelta(0), timedelta(days=400)))
def test_who_asks_later_is_never_due_more_than_a_day_earlier(
    regulation: Regulation, received: datetime, later: timedelta
) -> None:
    """Whole months: the 29th, 30th and 31st of January are all due on the 28th of February, each at its own hour."""
    first, second = deadlines(regulation, received), deadlines(regulation, received + later)
    for name in ("acknowledge_by", "due_by", "extended_due_by"):
        assert getattr(second, name) > getattr(first, name) - timedelta(days=1)


@settings(deadline=None)
@given(received=MOMENTS)
def test_an_extension_of_the_gdpr_is_never_longer_than_two_further_months(received: datetime) -> None:
    clocks = deadlines("GDPR", received)
    assert timedelta(days=58) <= clocks.extended_due_by - clocks.due_by <= timedelta(days=63)


@settings(deadline=None)
@given(received=MOMENTS)
def test_an_extension_of_the_ccpa_is_45_days_to_the_second(received: datetime) -> None:
    clocks = deadlines("CCPA", received)
    assert clocks.extended_due_by - clocks.due_by == clocks.due_by - received == timedelta(days=45)


@settings(deadline=None)
@given(aware=MOMENTS, hours=st.integers(-12, 14))
def test_a_breach_has_72_hours_on_every_wall(aware: datetime, hours: int) -> None:
    due = breach_notification_due(aware.astimezone(timezone(timedelta(hours=hours))))
    assert due - aware == timedelta(hours=72)
    assert due == breach_notification_due(aware)


# CCPA 11 CCR § 7021(a), GDPR Art. 12(3): the ends of months, and leap years
ENDS_OF_MONTHS = {
    "29 February of a leap year is due on 29 March": ("2028-02-29T12:00+00:00", "2028-03-29T12:00+00:00"),
    "30 January is due on 28 February": ("2027-01-30T12:00+00:00", "2027-02-28T12:00+00:00"),
    "29 January of a leap year is due on 29 February": ("2028-01-29T12:00+00:00", "2028-02-29T12:00+00:00"),
    "2100 is no leap year": ("2100-01-31T12:00+00:00", "2100-02-28T12:00+00:00"),
    "2000 was one": ("2000-01-31T12:00+00:00", "2000-02-29T12:00+00:00"),
    "31 August is due on 30 September": ("2026-08-31T12:00+00:00", "2026-09-30T12:00+00:00"),
    "31 December is due on 31 January": ("2026-12-31T12:00+00:00", "2027-01-31T12:00+00:00"),
}


@pytest.mark.parametrize(("received", "due"), ENDS_OF_MONTHS.values(), ids=ENDS_OF_MONTHS.keys())
def test_months_end_where_they_end(received: str, due: str) -> None:
    assert deadlines("GDPR", at(received)).due_by == at(due)
