"""What is due: a table over terms, months and moments."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagint_privacy.errors import PathInvalidError, RuleInvalidError
from imagint_privacy.keys.paths import KeyPath, Prefix
from imagint_privacy.records.retention import RuleSet, Sorter, Term, end_of

ANN = "subj-aaaaaaaaaaaaaaaaaaaaaaaaaa"
MONTHS = st.builds(lambda year, month: f"{year}-{month:02d}", st.integers(1990, 2090), st.integers(1, 12))
MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2080, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
TERMS = st.builds(Term, st.integers(0, 60), st.integers(1, 1000))


def due(period: str, term: Term | None, as_of: datetime) -> bool:
    return Sorter(RuleSet({"images": term}), as_of).is_due(KeyPath(ANN, "images", period))


@pytest.mark.parametrize(
    ("period", "term", "as_of", "expected"),
    [
        ("2026-10", Term(days=1), datetime(2026, 11, 1, 23, 59, 59, tzinfo=UTC), False),
        ("2026-10", Term(days=1), datetime(2026, 11, 2, tzinfo=UTC), True),
        ("2026-11", Term(days=1), datetime(2026, 11, 30, 23, tzinfo=UTC), False),
        ("2026-10", Term(months=1), datetime(2026, 11, 30, 23, 59, 59, tzinfo=UTC), False),
        ("2026-10", Term(months=1), datetime(2026, 12, 1, tzinfo=UTC), True),
        ("2025-12", Term(months=12), datetime(2026, 12, 31, tzinfo=UTC), False),
        ("2025-12", Term(months=12), datetime(2027, 1, 1, tzinfo=UTC), True),
        ("2024-01", Term(months=1, days=29), datetime(2024, 3, 31, tzinfo=UTC), True),
        ("2024-02", Term(months=1, days=29), datetime(2024, 4, 29, 12, tzinfo=UTC), False),
        ("2024-02", Term(months=1, days=29), datetime(2024, 4, 30, tzinfo=UTC), True),
        ("2026-10", Term(days=1), datetime(2026, 11, 2, 1, tzinfo=timezone(timedelta(hours=2))), False),
        ("always", Term(days=1), datetime(2999, 1, 1, tzinfo=UTC), False),
        ("1990-01", None, datetime(2999, 1, 1, tzinfo=UTC), False),
    ],
    ids=[
        "a second before the day is over",
        "when the day is over",
        "the month that is not over",
        "a second before the month is over",
        "when the month is over",
        "a year that is not over",
        "a year across the new year",
        "months and days together",
        "half a day before months and days",
        "months and days across a leap day",
        "another zone's second of November",
        "always",
        "kept until erased",
    ],
)
def test_a_month_is_due_when_its_last_moment_is_older_than_the_term(
    period: str, term: Term | None, as_of: datetime, expected: bool
) -> None:
    assert due(period, term, as_of) is expected


@given(MONTHS, TERMS, MOMENTS)
def test_due_is_the_end_of_the_month_and_the_term_and_not_a_moment_earlier(
    period: str, term: Term, as_of: datetime
) -> None:
    end = end_of(period)
    year, month = divmod(end.year * 12 + end.month - 1 + term.months, 12)
    over = datetime(year, month + 1, 1, tzinfo=UTC) + timedelta(days=term.days)
    assert due(period, term, as_of) is (over <= as_of)
    assert due(period, term, over)
    assert not due(period, term, over - timedelta(microseconds=1))


@pytest.mark.parametrize(
    ("months", "days"),
    [(0, 0), (-1, 5), (1, -1), (1201, 0), (0, 36526)],
    ids=["no time at all", "negative months", "negative days", "too many months", "too many days"],
)
def test_a_term_that_cannot_be_kept_is_refused(months: int, days: int) -> None:
    with pytest.raises(RuleInvalidError):
        Term(months, days)


def test_a_rule_for_what_is_no_category_is_refused() -> None:
    with pytest.raises(PathInvalidError):
        RuleSet({"Images": Term(1)})


def test_everything_is_due_withheld_unknown_or_kept_and_counted_so() -> None:
    rules = RuleSet({"images": Term(days=1), "prompts": Term(days=1), "profile": None})
    sorter = Sorter(rules, datetime(2026, 11, 23, tzinfo=UTC))
    paths = [
        KeyPath(ANN, category, period)
        for category in ("images", "prompts", "profile", "strange")
        for period in ("2026-09", "2026-10", "2026-11", "always")
    ]
    assert sorter.due(paths, frozenset({"prompts"})) == [
        Prefix(ANN, "images", "2026-09"),
        Prefix(ANN, "images", "2026-10"),
    ]
    assert sorter.due(paths, frozenset({"*"})) == []
    counts = sorter.counts
    assert (counts.due, counts.withheld) == ({"images": 2}, {"images": 2, "prompts": 4})
    assert (counts.unknown, counts.subjects) == ({"strange": 8}, {"due": 1, "looked_at": 2})


def test_the_digest_is_of_the_rules_and_not_of_their_order() -> None:
    one, other = {"images": Term(1), "prompts": None}, {"prompts": None, "images": Term(1)}
    assert RuleSet(one).digest() == RuleSet(other).digest() == RuleSet.of(RuleSet(one).document()).digest()
    assert RuleSet(one).digest() != RuleSet({"images": Term(2), "prompts": None}).digest()
    assert len(RuleSet({}).digest()) == 64


def test_the_digest_of_known_rules_never_changes() -> None:
    rules = RuleSet({"prompts": Term(months=6), "images": Term(months=1, days=3), "profile": None})
    assert rules.digest() == "c81e2fed655d4c0d45f66234547e7dbf88388dd3f2d1fd880503e431b3d6108a"
