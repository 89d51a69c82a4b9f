"""Key paths: their grammar, and their bytes in a leaf."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagint_privacy import subjects
from imagint_privacy.errors import PathInvalidError
from imagint_privacy.keys import paths
from imagint_privacy.keys.paths import KeyPath, Prefix

SUBJECT = "subj-aaaaaaaaaaaaaaaaaaaaaaaaaa"
PERIODS = st.one_of(st.just("always"), st.builds("{:04d}-{:02d}".format, st.integers(1000, 4999), st.integers(1, 12)))


@pytest.mark.parametrize(
    ("subject", "category", "period"),
    [
        ("ann@example.com", "images", "2026-11"),
        ("subj-short", "images", "2026-11"),
        ("root", "images", "2026-11"),
        (SUBJECT, "Images", "2026-11"),
        (SUBJECT, "", "2026-11"),
        (SUBJECT, "a/b", "2026-11"),
        (SUBJECT, "../x", "2026-11"),
        (SUBJECT, "a" * 33, "2026-11"),
        (SUBJECT, "images", "2026-13"),
        (SUBJECT, "images", "2026-1"),
        (SUBJECT, "images", "2026-11\n"),
        (SUBJECT, "images", "never"),
    ],
)
def test_a_path_outside_its_grammar_is_refused(subject: str, category: str, period: str) -> None:
    with pytest.raises(PathInvalidError):
        KeyPath(subject, category, period)


def test_a_refusal_does_not_repeat_what_it_was_given() -> None:
    with pytest.raises(PathInvalidError) as refused:
        KeyPath("ann@example.com", "images", "2026-11")
    assert "ann" not in str(refused.value)


@pytest.mark.parametrize(
    "parts",
    [("system",), ("system", "index"), (SUBJECT, None, "2026-11"), ("ann@example.com",), (SUBJECT, "Images")],
    ids=["the tenant's keys", "one of them", "a period without a category", "no handle", "a bad category"],
)
def test_a_prefix_that_may_not_be_forgotten_is_refused(parts: tuple[str, ...]) -> None:
    with pytest.raises(PathInvalidError):
        Prefix(*parts)


@pytest.mark.parametrize(
    ("prefix", "covered"),
    [
        (Prefix(SUBJECT), True),
        (Prefix(SUBJECT, "images"), True),
        (Prefix(SUBJECT, "images", "2026-11"), True),
        (Prefix(SUBJECT, "images", "2026-10"), False),
        (Prefix(SUBJECT, "prompts"), False),
        (Prefix("subj-baaaaaaaaaaaaaaaaaaaaaaaaa"), False),
    ],
)
def test_a_prefix_covers_what_lies_under_it(prefix: Prefix, covered: bool) -> None:
    assert prefix.covers(KeyPath(SUBJECT, "images", "2026-11")) is covered


@given(PERIODS)
def test_every_period_reads_back(period: str) -> None:
    assert paths.period_text(paths.period_bytes(period)) == period


@given(PERIODS, PERIODS)
def test_periods_sort_as_their_bytes(one: str, other: str) -> None:
    if "always" not in (one, other):
        assert (one < other) == (paths.period_bytes(one) < paths.period_bytes(other))


@given(st.binary(min_size=16, max_size=16), st.integers(0, 3))
def test_every_subject_reads_back(raw: bytes, spare: int) -> None:
    subject = subjects.from_bytes(raw, spare)
    assert paths.subject_text(paths.subject_bytes(subject)) == subject


def test_no_handle_has_the_bytes_of_the_tenant_itself() -> None:
    posing = subjects.from_bytes(b"system".ljust(16, b"\0"))
    assert paths.subject_bytes(posing) != paths.subject_bytes("system")
    assert paths.subject_text(paths.subject_bytes("system")) == "system"


def test_a_period_is_the_month_in_utc() -> None:
    assert paths.period_of(datetime(2026, 11, 30, 23, 59, tzinfo=UTC)) == "2026-11"
    with pytest.raises(ValueError, match="UTC"):
        paths.period_of(datetime(2026, 11, 30, 23, 59, tzinfo=timezone(timedelta(hours=2))))
    with pytest.raises(ValueError, match="UTC"):
        paths.period_of(datetime(2026, 11, 30))  # noqa: DTZ001
