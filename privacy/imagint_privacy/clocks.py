"""The statutory clocks of a data subject's request and of a breach.

Pure calendar arithmetic: the time is an argument, and every answer is in UTC. Where a law leaves room, the
reading that helps the data subject is taken, so that a deadline here is never later than on any honest reading:

- A month that has no such day ends on its last day (31 January + 1 month = 28 February, never 3 March), and the
  hour of receipt counts, though the law would run to the end of that day.
- A request that arrives near midnight bears two dates. The one on which the clock runs out first counts, on the walls
  of every place where the regulation applies.
- Weekends stop a clock of business days; holidays do not. Whether a day is a holiday of the State, of the
  Union or only of the office is then never a reason to answer later.
- No clock is moved on because its last day is a holiday, though Regulation 1182/71 would allow it.

It must never guess: an unknown regulation or a time without a zone is an error.
"""

from __future__ import annotations

import calendar
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from enum import StrEnum
from typing import Final

BREACH_NOTICE: Final = timedelta(hours=72)
ACKNOWLEDGE_BUSINESS_DAYS: Final = 10
SATURDAY: Final = 5


class Regulation(StrEnum):
    """The regime under which a request was made."""

    GDPR = "GDPR"
    UKGDPR = "UKGDPR"
    CCPA = "CCPA"
    OTHER = "Other"


class NaiveTimeError(ValueError):
    """A time was given without its zone."""


@dataclass(frozen=True, slots=True)
class Articles:
    """Where each deadline is written."""

    acknowledge: str
    due: str
    extension: str


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Until when a request must be confirmed, answered, and answered at the latest once extended."""

    acknowledge_by: datetime
    due_by: datetime
    extended_due_by: datetime
    articles: Articles


def deadlines(regulation: Regulation | str, received_at: datetime) -> Deadlines:
    """Compute the clocks of a request that arrived then.

    Raises:
        ValueError: a regulation that is not known here.
        NaiveTimeError: the time has no zone.
    """
    rule = _RULES[Regulation(regulation)]
    received = _in_utc(received_at)
    return Deadlines(
        acknowledge_by=received + rule.shortest(rule.acknowledge, received),
        due_by=received + rule.shortest(rule.due, received),
        extended_due_by=received + rule.shortest(rule.extended, received),
        articles=rule.articles,
    )


def breach_notification_due(aware_at: datetime) -> datetime:
    """Until when the authority must hear of a breach: GDPR and UK GDPR Art. 33(1), 72 hours of awareness.

    Raises:
        NaiveTimeError: the time has no zone.
    """
    return _in_utc(aware_at) + BREACH_NOTICE


def _in_utc(moment: datetime) -> datetime:
    if moment.utcoffset() is None:
        raise NaiveTimeError("a statutory clock needs a time with its zone")
    return moment.astimezone(UTC)


_Span = Callable[[date], int]  # from the day of receipt: how many days the clock runs


@dataclass(frozen=True, slots=True)
class _Rule:
    acknowledge: _Span
    due: _Span
    extended: _Span
    articles: Articles
    hours_from_utc: tuple[int, ...]  # the outermost wall clocks of the places where the regulation applies

    def shortest(self, span: _Span, received: datetime) -> timedelta:
        dates = {received.astimezone(timezone(timedelta(hours=h))).date() for h in self.hours_from_utc}
        return timedelta(days=min(span(day) for day in dates))


def _months(count: int) -> _Span:
    def span(start: date) -> int:
        year, month = divmod(start.year * 12 + start.month - 1 + count, 12)
        last = calendar.monthrange(year, month + 1)[1]
        return (date(year, month + 1, min(start.day, last)) - start).days

    return span


def _days(count: int) -> _Span:
    return lambda _start: count


def _business_days(count: int) -> _Span:
    def span(start: date) -> int:
        passed, left = 0, count
        while left:
            passed += 1
            if (start + timedelta(days=passed)).weekday() < SATURDAY:
                left -= 1
        return passed

    return span


def _gdpr(name: str) -> Articles:
    return Articles(
        acknowledge=f"{name} sets no clock of its own for the acknowledgement; information on the action taken is "
        "due within the month of Art. 12(3)",
        due=f"{name} Art. 12(3): without undue delay and in any event within one month of receipt",
        extension=f"{name} Art. 12(3): by two further months where necessary, told with reasons within the first month",
    )


# The outermost regions of the Union lie between UTC-4 (Guadeloupe) and UTC+4 (Réunion).
_RULES: Final = {
    Regulation.GDPR: _Rule(_months(1), _months(1), _months(3), _gdpr("GDPR"), (-4, 0, 4)),
    Regulation.UKGDPR: _Rule(_months(1), _months(1), _months(3), _gdpr("UK GDPR"), (0, 1)),
    Regulation.CCPA: _Rule(
        _business_days(ACKNOWLEDGE_BUSINESS_DAYS),
        _days(45),
        _days(90),
        Articles(
            acknowledge="CCPA Regulations, 11 CCR § 7021(a): confirm receipt within 10 business days",
            due="CCPA, Cal. Civ. Code § 1798.130(a)(2) and 11 CCR § 7021(b): within 45 calendar days of receipt, "
            "whatever the time that verification takes",
            extension="11 CCR § 7021(b): 45 more calendar days where necessary, 90 in all, told with the reason "
            "within the first 45",
        ),
        (-8, -7, 0),
    ),
    Regulation.OTHER: _Rule(
        _business_days(ACKNOWLEDGE_BUSINESS_DAYS),
        _months(1),
        _months(1),
        Articles(
            acknowledge="No statute named: the shortest acknowledgement known here, 10 business days",
            due="No statute named: the shortest answer known here, one month",
            extension="No statute named: no extension",
        ),
        (-12, 0, 14),
    ),
}
