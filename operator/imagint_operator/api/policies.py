"""`PrivacyPolicy`: one policy, edition after edition. The spec is the newest edition; those before it are kept as
published, each in an immutable ConfigMap.

Declares fields and their limits only. What the operator makes of them is in `imagint_operator.policies`.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field

from imagint_operator.api.base import ApiModel, Conditions, Kind, ObjectName, Rule, list_map, name_rule, rules
from imagint_operator.api.policyparts import (
    SET,
    Authority,
    Breach,
    Clause,
    DataCategory,
    GoverningLaw,
    PolicyContact,
    PolicyText,
    Purpose,
    Region,
    Transfer,
)
from imagint_operator.api.requests import Count, Digest, Regulation
from imagint_operator.api.retention import RetentionRules

NAME_PATTERN = r"^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$"
DATED = "^[0-9]{4}-[0-9]{2}-[0-9]{2}([.][1-9])?$"
NUMBERED = "^[0-9]{1,3}[.][0-9]{1,3}[.][0-9]{1,3}$"
MOST_VERSIONS = 64

VersionName = Annotated[str, Field(min_length=1, max_length=16)]


class Change(StrEnum):
    """What an edition changes. `Editorial`: words only, nothing that anybody could object to."""

    MATERIAL = "Material"
    EDITORIAL = "Editorial"


def _number(subject: str) -> str:
    parts = "+".join(f"int({subject}.split('.')[{index}])*{1000 ** (2 - index)}" for index in range(3))
    return f"({parts})"


_UNDER_GDPR = "self.regulations.exists(r, r in ['GDPR', 'UKGDPR'])"
_SAME_FORM = f"self.version.matches('{DATED}') == oldSelf.version.matches('{DATED}')"
_GREW = (
    f"(self.version.matches('{DATED}') ? self.version > oldSelf.version "
    f": {_number('self.version')} > {_number('oldSelf.version')})"
)
_MATERIAL = ("categories", "purposes", "regions", "regulations", "minimumAge")


class PrivacyPolicySpec(ApiModel):
    """One edition of the policy."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                f"self == oldSelf || ({_SAME_FORM} && {_GREW})",
                "an edition never changes once it is written: raise version (in the same form) with any other change; "
                "the edition before it is kept",
            ),
            Rule(
                "self == oldSelf || self.change == 'Material' || ("
                + " && ".join(f"self.{field} == oldSelf.{field}" for field in _MATERIAL)
                + " && has(self.transfers) == has(oldSelf.transfers)"
                + " && (!has(self.transfers) || self.transfers == oldSelf.transfers))",
                "a change of categories, purposes, regions, transfers, regulations or minimumAge is Material, not "
                "Editorial",
            ),
            Rule(
                "self.effectiveAt >= timestamp('2000-01-01T00:00:00Z') "
                "&& self.effectiveAt < timestamp('2100-01-01T00:00:00Z')",
                "effectiveAt must lie between 2000 and 2100",
            ),
            Rule(
                "self.categories.all(c, c.purposes.all(p, self.purposes.exists(q, q.name == p)))",
                "a category names a purpose that purposes does not have: every use of data needs a legal basis",
            ),
            Rule(
                f"!{_UNDER_GDPR} || self.breach.authorityHours <= 72",
                "breach.authorityHours is at most 72 where the GDPR applies (article 33(1))",
            ),
            Rule(
                f"!{_UNDER_GDPR} || (has(self.authorities) && size(self.authorities) > 0)",
                "name a supervisory authority in authorities where the GDPR applies (article 13(2)(d))",
            ),
            Rule(
                "self.contacts.exists(c, c.role == 'Controller')",
                "contacts must name the Controller (GDPR article 13(1)(a))",
            ),
        )
    )

    version: Annotated[
        str,
        Field(
            min_length=1,
            max_length=16,
            json_schema_extra=rules(
                Rule(
                    f"self.matches('{DATED}') || self.matches('{NUMBERED}')",
                    "version is a date (2026-11-25, or 2026-11-25.1 for another one of that day) or three numbers "
                    "(1.4.0)",
                )
            ),
        ),
    ]
    """The edition's name; grows with every edition."""
    effective_at: datetime
    """From when on it is in force."""
    change: Change
    """What it changes against the edition before it."""
    notice_period_days: Annotated[int, Field(ge=1, le=365)] = 30
    """How many days before effectiveAt a Material edition must be published; the day of publication does not count."""
    text: PolicyText
    """The policy's words."""
    clauses: Annotated[tuple[Clause, ...], Field(min_length=1, max_length=100, json_schema_extra=list_map("id"))]
    """Each clause of the text, and what keeps it."""
    categories: Annotated[
        tuple[DataCategory, ...], Field(min_length=1, max_length=16, json_schema_extra=list_map("name"))
    ]
    """What is collected, what for, and how long it is kept."""
    purposes: Annotated[tuple[Purpose, ...], Field(min_length=1, max_length=16, json_schema_extra=list_map("name"))]
    """What data is used for, and why that is lawful."""
    minimum_age: Annotated[int, Field(ge=13, le=21)]
    """Below which age nobody may be a user: at least 13 (GDPR article 8(1); COPPA)."""
    regulations: Annotated[tuple[Regulation, ...], Field(min_length=1, max_length=4, json_schema_extra=SET)]
    """The laws that apply."""
    regions: Annotated[tuple[Region, ...], Field(min_length=1, max_length=32, json_schema_extra=SET)]
    """Where data may lie. A region holds what begins with it: `eu` holds `eu-central-1`."""
    transfers: Annotated[tuple[Transfer, ...], Field(max_length=32, json_schema_extra=list_map("to"))] = ()
    """Where else it may go, and what protects it there."""
    contacts: Annotated[
        tuple[PolicyContact, ...], Field(min_length=1, max_length=3, json_schema_extra=list_map("role"))
    ]
    """Whom a person can turn to."""
    authorities: Annotated[tuple[Authority, ...], Field(max_length=32, json_schema_extra=list_map("region"))] = ()
    """Where a person can complain."""
    governing_law: GoverningLaw
    """The law that the policy is under."""
    breach: Breach = Breach()
    """How fast a breach is told."""


class VersionState(StrEnum):
    """Where an edition stands. `Superseded`: a later edition is in force."""

    PENDING = "Pending"
    IN_FORCE = "InForce"
    SUPERSEDED = "Superseded"


class PolicyVersion(ApiModel):
    """One edition as it was published."""

    version: VersionName
    """Its name."""
    effective_at: datetime
    """From when on it is in force."""
    published_at: datetime
    """When it was published."""
    digest: Digest
    """The SHA-256 of policy.json in its ConfigMap."""
    config_map: ObjectName
    """The ConfigMap in imagint-system that holds it."""
    change: Change
    """What it changed."""
    state: VersionState
    """Where it stands."""


class Terms(ApiModel):
    """What the edition in force binds tenants to."""

    version: VersionName
    """The edition."""
    effective_at: datetime
    """Since when."""
    digest: Digest
    """The SHA-256 of policy.json in its ConfigMap."""
    retention: RetentionRules = ()
    """How long tenants' records may be kept at most, by category."""
    regions: Annotated[tuple[Region, ...], Field(max_length=32)] = ()
    """Where they may lie."""


class PrivacyPolicyStatus(ApiModel):
    """What the operator published, and what is in force."""

    observed_generation: Annotated[int, Field(ge=0)] = 0
    """The generation of the spec that this status is about."""
    in_force: Terms | None = None
    """The edition in force."""
    versions: Annotated[
        tuple[PolicyVersion, ...], Field(max_length=MOST_VERSIONS, json_schema_extra=list_map("version"))
    ] = ()
    """Every edition that was published, oldest first; of very many, the newest."""
    tenants: Count = 0
    """How many Tenants use the policy."""
    conditions: Conditions = ()
    """Ready on top: Published and InForce. SubjectsNotified stands beside them."""


class PrivacyPolicy(Kind):
    """One privacy policy, edition after edition."""

    model_config = ConfigDict(
        json_schema_extra=name_rule(
            NAME_PATTERN,
            "a policy's name has 1 to 63 lower-case letters, digits and dashes, begins with a letter and does not end "
            "in a dash",
        )
    )

    spec: PrivacyPolicySpec
    status: PrivacyPolicyStatus = PrivacyPolicyStatus()
