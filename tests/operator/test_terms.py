"""What a policy binds a tenant to: a tenant may promise more than its policy, never less."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagint_operator import terms
from imagint_operator.api.policies import PrivacyPolicy
from imagint_operator.api.requests import Category
from imagint_operator.api.retention import MOST_DAYS, MOST_MONTHS, RetentionRule
from imagint_operator.api.tenants import Tenant
from imagint_privacy.records.retention import RuleSet

PROMPTS, IMAGES = Category.PROMPTS, Category.IMAGES


def days(number: int, category: Category = PROMPTS) -> RetentionRule:
    return RetentionRule(category=category, keep_days=number)


def months(number: int, category: Category = PROMPTS) -> RetentionRule:
    return RetentionRule(category=category, keep_months=number)


CASES = [
    pytest.param((), (), (), (), id="nobody has a rule"),
    pytest.param((days(5),), (), (days(5),), (), id="the tenant alone has one"),
    pytest.param((), (days(5),), (days(5),), (), id="the policy alone has one"),
    pytest.param((days(5),), (days(9),), (days(5),), (), id="the tenant's is shorter"),
    pytest.param((days(9),), (days(5),), (days(5),), (PROMPTS,), id="the tenant's is longer"),
    pytest.param((days(5),), (days(5),), (days(5),), (), id="both are the same"),
    pytest.param((months(3),), (months(6),), (months(3),), (), id="fewer months"),
    pytest.param((months(6),), (months(3),), (months(3),), (PROMPTS,), id="more months"),
    pytest.param((days(28),), (months(1),), (days(28),), (), id="28 days are never longer than a month"),
    pytest.param((days(31),), (months(1),), (months(1),), (PROMPTS,), id="31 days are never shorter than a month"),
    pytest.param((days(30),), (months(1),), (days(28),), (PROMPTS,), id="30 days are longer than February"),
    pytest.param((months(1),), (days(30),), (days(28),), (PROMPTS,), id="a month may be longer than 30 days"),
    pytest.param((months(1),), (days(31),), (months(1),), (), id="a month is never longer than 31 days"),
    pytest.param((days(365),), (months(12),), (days(365),), (), id="365 days are never longer than a year"),
    pytest.param((days(366),), (months(12),), (months(12),), (PROMPTS,), id="366 days are longer than most years"),
    pytest.param(
        (days(5), days(9, IMAGES)),
        (days(9), days(5, IMAGES)),
        (days(5), days(5, IMAGES)),
        (IMAGES,),
        id="each category by itself",
    ),
]


@pytest.mark.parametrize(("own", "supplied", "held", "too_long"), CASES)
def test_of_each_category_the_shorter_term_holds(own: Any, supplied: Any, held: Any, too_long: Any) -> None:
    assert terms.effective(own, supplied) == terms.Effective(held, too_long)


RULE = st.builds(days, st.integers(1, MOST_DAYS)) | st.builds(months, st.integers(1, MOST_MONTHS))
MOMENT = st.datetimes(datetime(2120, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


def newest_due(rule: RetentionRule, moment: datetime) -> str:
    """The data plane's own reckoning: every month up to this one is due."""
    term = {"days": rule.keep_days or 0, "months": rule.keep_months or 0}
    return RuleSet.of({"prompts": term}).newest_due(moment)["prompts"]


@given(own=RULE, supplied=RULE, moment=MOMENT)
def test_what_holds_never_keeps_longer_than_either(
    own: RetentionRule, supplied: RetentionRule, moment: datetime
) -> None:
    (held,) = terms.effective((own,), (supplied,)).rules
    assert newest_due(held, moment) >= max(newest_due(own, moment), newest_due(supplied, moment))


@given(own=RULE, supplied=RULE)
def test_a_tenant_is_told_whenever_its_own_rule_does_not_hold(own: RetentionRule, supplied: RetentionRule) -> None:
    held = terms.effective((own,), (supplied,))
    assert held.too_long or held.rules == (own,)


@pytest.mark.parametrize(
    ("region", "regions", "inside"),
    [
        ("eu", ("eu",), True),
        ("eu-central-1", ("eu",), True),
        ("eu", ("eu-central-1",), False),
        ("us-east-1", ("eu", "us"), True),
        ("de", ("eu",), False),
    ],
)
def test_a_region_holds_what_begins_with_it(region: str, regions: tuple[str, ...], inside: bool) -> None:
    assert terms.within(region, regions) is inside


@pytest.fixture
def policy(make_policy: Callable[..., PrivacyPolicy], now: datetime) -> Callable[..., PrivacyPolicy]:
    def make(**in_force: Any) -> PrivacyPolicy:
        force = {"version": "1.0.0", "effectiveAt": now.isoformat(), "digest": "sha256:" + "0" * 64, "regions": ["eu"]}
        return make_policy(status={"inForce": force | in_force} if in_force.get("regions", True) else {})

    return make


RULES = [{"category": "prompts", "keepDays": 9}]


def test_a_tenant_without_a_reference_is_bound_by_nothing(
    make_tenant: Callable[..., Tenant], policy: Callable[..., PrivacyPolicy]
) -> None:
    assert terms.bound(make_tenant(), None) is None


@pytest.mark.parametrize(
    ("spec", "in_force", "reason"),
    [
        pytest.param({}, {}, "Bound", id="nothing to object"),
        pytest.param({}, {"regions": []}, "PolicyNotInForce", id="no edition in force yet"),
        pytest.param({}, {"regions": ["us"]}, "RegionNotInPolicy", id="another region"),
        pytest.param({"retention": RULES}, {"retention": [{"category": "prompts", "keepDays": 5}]}, "RetentionTooLong",
                     id="a term that is too long"),
        pytest.param({"retention": RULES}, {"retention": [{"category": "images", "keepDays": 5}]}, "Bound",
                     id="a term of another category"),
    ],
)  # fmt: skip
def test_the_tenant_says_what_binds_it(
    make_tenant: Callable[..., Tenant], policy: Callable[..., PrivacyPolicy], spec: Any, in_force: Any, reason: str
) -> None:
    verdict = terms.bound(make_tenant(spec=spec | {"policyRef": {"name": "studio"}}), policy(**in_force))
    assert verdict is not None
    assert (verdict.reason, verdict.holds) == (reason, reason == "Bound")


def test_a_missing_policy_leaves_the_tenants_own_rules(make_tenant: Callable[..., Tenant]) -> None:
    tenant = make_tenant(spec={"retention": RULES, "policyRef": {"name": "studio"}})
    verdict = terms.bound(tenant, None)
    assert verdict is not None
    assert verdict.reason == "PolicyMissing"
    assert terms.ruled(tenant, None) == tenant


def test_retention_is_planned_with_what_holds(
    make_tenant: Callable[..., Tenant], policy: Callable[..., PrivacyPolicy]
) -> None:
    tenant = make_tenant(spec={"policyRef": {"name": "studio"}})
    found = terms.ruled(tenant, policy(retention=RULES))
    assert found.spec.retention == (days(9),)
    assert found.metadata == tenant.metadata
