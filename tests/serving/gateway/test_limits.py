"""What a tenant may spend, by the minute and by the day."""

from __future__ import annotations

import pytest

from imagint_serving.config import Limits
from imagint_serving.gateway.errors import RateLimitedError
from imagint_serving.gateway.limits import Spending

NOON = 20_000 * 86_400.0 + 43_200


def test_the_minute_slides_and_says_when_to_come_back() -> None:
    spending, limits = Spending(), Limits(requests_per_minute=2)
    spending.request(limits, NOON)
    spending.request(limits, NOON + 20)
    with pytest.raises(RateLimitedError) as refusal:
        spending.request(limits, NOON + 30)
    assert refusal.value.retry_after == pytest.approx(30)
    spending.request(limits, NOON + 60)


def test_a_lowered_limit_counts_what_was_spent_before() -> None:
    spending = Spending()
    for second in range(5):
        spending.request(Limits(requests_per_minute=10), NOON + second)
    with pytest.raises(RateLimitedError) as refusal:
        spending.request(Limits(requests_per_minute=2), NOON + 5)
    assert refusal.value.retry_after == pytest.approx(58)


def test_the_day_ends_at_midnight_utc() -> None:
    spending, limits = Spending(), Limits(images_per_day=5)
    spending.reserve(4, limits, NOON)
    with pytest.raises(RateLimitedError) as refusal:
        spending.reserve(2, limits, NOON)
    assert refusal.value.retry_after == pytest.approx(43_200)
    spending.reserve(1, limits, NOON)
    spending.reserve(5, limits, NOON + 43_200)


def test_images_that_were_not_made_are_given_back_but_not_to_another_day() -> None:
    spending, limits = Spending(), Limits(images_per_day=2)
    spending.reserve(2, limits, NOON)
    spending.give_back(2, NOON)
    spending.reserve(2, limits, NOON)
    spending.reserve(2, limits, NOON + 86_400)
    spending.give_back(2, NOON)
    with pytest.raises(RateLimitedError):
        spending.reserve(1, limits, NOON + 86_400)


def test_without_limits_nothing_is_refused() -> None:
    spending = Spending()
    for _ in range(1000):
        spending.request(Limits(), NOON)
        spending.reserve(10, Limits(), NOON)
