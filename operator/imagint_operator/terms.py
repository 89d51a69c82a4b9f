"""Pure: what a tenant's privacy policy binds it to. A tenant may promise more than its policy, never less.

A term of days and one of months cannot be ordered for every month of the calendar: 30 days are longer than February
and shorter than March. Then neither promise may be broken, so the shorter is the days that hold in every month.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from imagint_operator.api.policies import PrivacyPolicy, Terms
from imagint_operator.api.requests import Category
from imagint_operator.api.retention import RetentionRule, RetentionRules
from imagint_operator.api.tenants import Tenant
from imagint_operator.conditions import Verdict, no, yes
from imagint_operator.kube.resources import ObjectKey

BINDING = "PolicyBinding"
POLICY_BOUND = "PolicyBound"
REGION_NOT_IN_POLICY = "RegionNotInPolicy"


@dataclass(frozen=True, slots=True)
class Effective:
    """The rules that hold, and the categories for which the tenant asked for more time than the policy gives."""

    rules: RetentionRules
    too_long: tuple[Category, ...] = ()


def binding_of(tenant: str) -> ObjectKey:
    """The key in the work queue under which a tenant's policy is looked at."""
    return ObjectKey(BINDING, "", tenant)


def effective(own: RetentionRules, supplied: RetentionRules) -> Effective:
    """The rules that hold: of each category the shorter term. A category with one rule has that one."""
    mine, theirs = ({rule.category: rule for rule in rules} for rules in (own, supplied))
    held = tuple(_shorter(mine.get(name), theirs.get(name)) for name in Category if name in mine or name in theirs)
    too_long = tuple(
        category for category, rule in mine.items() if category in theirs and _longer(rule, theirs[category])
    )
    return Effective(held, too_long)


def ruled(tenant: Tenant, policy: PrivacyPolicy | None) -> Tenant:
    """The Tenant with the retention that holds for it; without a policy in force, that is its own."""
    terms = terms_of(policy)
    if terms is None or not terms.retention:
        return tenant
    rules = effective(tenant.spec.retention, terms.retention).rules
    return tenant.model_copy(update={"spec": tenant.spec.model_copy(update={"retention": rules})})


def terms_of(policy: PrivacyPolicy | None) -> Terms | None:
    """What a policy binds to now."""
    return policy.status.in_force if policy is not None else None


def bound(tenant: Tenant, policy: PrivacyPolicy | None) -> Verdict | None:
    """What to say of a tenant and its policy; nothing when it refers to none."""
    if tenant.spec.policy_ref is None:
        return None
    name = tenant.spec.policy_ref.name
    if policy is None:
        return no(POLICY_BOUND, "PolicyMissing", f"there is no PrivacyPolicy {name}: the tenant's own rules hold")
    terms = terms_of(policy)
    if terms is None:
        return no(POLICY_BOUND, "PolicyNotInForce", f"no edition of {name} is in force: the tenant's own rules hold")
    region = tenant.spec.residency.region
    edition = f"edition {terms.version} of {name}"
    if not within(region, terms.regions):
        allowed = ", ".join(terms.regions)
        message = f"the tenant's region {region} is not one of those of {edition}: {allowed}"
        return no(POLICY_BOUND, REGION_NOT_IN_POLICY, message)
    held = effective(tenant.spec.retention, terms.retention)
    if held.too_long:
        given = ", ".join(f"{rule.category} {shown(rule)}" for rule in held.rules if rule.category in held.too_long)
        message = f"spec.retention keeps longer than {edition} allows; what holds: {given}"
        return no(POLICY_BOUND, "RetentionTooLong", message)
    return yes(POLICY_BOUND, "Bound", f"bound by {edition}")


def within(region: str, regions: Iterable[str]) -> bool:
    """Whether a region is one of these or lies in one: `eu-central-1` lies in `eu`."""
    return any(region == allowed or region.startswith(f"{allowed}-") for allowed in regions)


def shown(rule: RetentionRule) -> str:
    """A term, for people."""
    return f"{rule.keep_days} days" if rule.keep_days is not None else f"{rule.keep_months} months"


def _shorter(mine: RetentionRule | None, theirs: RetentionRule | None) -> RetentionRule:
    if mine is None or theirs is None:
        found = mine or theirs
        assert found is not None  # noqa: S101 - the caller asks only for categories that have a rule
        return found
    if (mine.keep_days is None) == (theirs.keep_days is None):
        return min(mine, theirs, key=lambda rule: rule.keep_days or rule.keep_months or 0)
    days, months = (mine, theirs) if mine.keep_days is not None else (theirs, mine)
    least, most = _days_of(months.keep_months or 0)
    kept = days.keep_days or 0
    if kept <= least:
        return days
    return months if kept >= most else days.model_copy(update={"keep_days": least})


def _longer(mine: RetentionRule, theirs: RetentionRule) -> bool:
    """Whether the tenant's term is longer than the policy's in some month."""
    return _shorter(mine, theirs) != mine and not (_loosest(mine) <= _tightest(theirs))


def _tightest(rule: RetentionRule) -> int:
    return rule.keep_days if rule.keep_days is not None else _days_of(rule.keep_months or 0)[0]


def _loosest(rule: RetentionRule) -> int:
    return rule.keep_days if rule.keep_days is not None else _days_of(rule.keep_months or 0)[1]


@functools.cache
def _days_of(months: int) -> tuple[int, int]:
    """How many days so many months have at least and at most, in the 400 years in which the calendar repeats."""
    firsts = [date(2000 + month // 12, month % 12 + 1, 1).toordinal() for month in range(4800 + months)]
    spans = [firsts[start + months] - firsts[start] for start in range(4800)]
    return min(spans), max(spans)
