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
from imagint_operator.api.requests import Count, Digest, Regulation
from imagint_operator.api.retention import MOST_DAYS, MOST_MONTHS, RetentionRules

NAME_PATTERN = r"^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$"
DATED = "^[0-9]{4}-[0-9]{2}-[0-9]{2}([.][1-9])?$"
NUMBERED = "^[0-9]{1,3}[.][0-9]{1,3}[.][0-9]{1,3}$"
REGION_PATTERN = r"^[a-z]{2}(-[a-z0-9]+)*$"
MOST_VERSIONS = 64
SET = {"x-kubernetes-list-type": "set"}

Slug = Annotated[str, Field(min_length=1, max_length=32, pattern=r"^[a-z][-a-z0-9]*$")]
Region = Annotated[str, Field(min_length=2, max_length=32, pattern=REGION_PATTERN)]
Sentence = Annotated[str, Field(min_length=1, max_length=500)]
VersionName = Annotated[str, Field(min_length=1, max_length=16)]
WebUrl = Annotated[str, Field(min_length=9, max_length=512, pattern=r"^https://[^\s@]+$")]


class Change(StrEnum):
    """What an edition changes. `Editorial`: words only, nothing that anybody could object to."""

    MATERIAL = "Material"
    EDITORIAL = "Editorial"


class LegalBasis(StrEnum):
    """Why personal data may be processed: GDPR article 6(1), letters a to f."""

    CONSENT = "Consent"
    CONTRACT = "Contract"
    LEGAL_OBLIGATION = "LegalObligation"
    VITAL_INTERESTS = "VitalInterests"
    PUBLIC_TASK = "PublicTask"
    LEGITIMATE_INTERESTS = "LegitimateInterests"


class OptOut(StrEnum):
    """Whether a person can end a purpose for themselves and stay a user."""

    OFFERED = "Offered"
    NOT_OFFERED = "NotOffered"


class Safeguard(StrEnum):
    """What protects data that leaves the EEA: GDPR articles 45 to 49. `None`: it does not leave."""

    NONE = "None"
    ADEQUACY = "Adequacy"
    STANDARD_CONTRACTUAL_CLAUSES = "StandardContractualClauses"
    BINDING_CORPORATE_RULES = "BindingCorporateRules"
    DEROGATION = "Derogation"


class ControlType(StrEnum):
    """What kind of thing keeps a clause."""

    FIELD = "Field"
    ADMISSION_POLICY = "AdmissionPolicy"
    TEST = "Test"
    PROCESS = "Process"


class ContactRole(StrEnum):
    """Whom a person can turn to."""

    CONTROLLER = "Controller"
    DATA_PROTECTION_OFFICER = "DataProtectionOfficer"
    REPRESENTATIVE = "Representative"


class TextReference(ApiModel):
    """A text that lies elsewhere, pinned by its digest."""

    url: WebUrl
    """Where it lies."""
    sha256: Annotated[str, Field(max_length=64, pattern=r"^[0-9a-f]{64}$")]
    """The SHA-256 of the file, in hex: a text that changes there is not this edition's."""


class PolicyText(ApiModel):
    """The policy's words."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                "has(self.inline) != has(self.reference)",
                "give the text with inline or with reference, and with one of them only",
            )
        )
    )

    inline: Annotated[str, Field(min_length=1, max_length=100_000)] | None = None
    """The text itself, in Markdown."""
    reference: TextReference | None = None
    """Where the text lies, and its digest."""


class Control(ApiModel):
    """One thing that keeps a clause."""

    type: ControlType
    """What kind of thing."""
    ref: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^\S+$")]
    """Which: a field (`Tenant.spec.retention`), the name of an admission policy, a test's id, a procedure's id."""


class Clause(ApiModel):
    """One clause of the text, and what keeps it."""

    id: Annotated[str, Field(min_length=1, max_length=32, pattern=r"^[0-9A-Za-z]([-._0-9A-Za-z]*[0-9A-Za-z])?$")]
    """The clause's number in the text, such as `5.2`."""
    controls: Annotated[tuple[Control, ...], Field(min_length=1, max_length=16)]
    """What keeps it. A clause that nothing keeps is a promise that nobody could check."""


class CategoryRetention(ApiModel):
    """How long one category is kept, counted from the end of the month in which a record was made."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                "has(self.keepDays) != has(self.keepMonths)",
                "say how long the category is kept with keepMonths or keepDays, and with one of them only; leave out "
                "retention for a category that is kept until it is erased",
            ),
        )
    )

    keep_days: Annotated[int, Field(ge=1, le=MOST_DAYS)] | None = None
    """How many days."""
    keep_months: Annotated[int, Field(ge=1, le=MOST_MONTHS)] | None = None
    """How many months."""


class DataCategory(ApiModel):
    """One category of personal data."""

    name: Slug
    """Its name; `prompts` and `images` are those that tenants' records are in."""
    purposes: Annotated[tuple[Slug, ...], Field(min_length=1, max_length=16, json_schema_extra=SET)]
    """What it is used for: names of purposes."""
    retention: CategoryRetention | None = None
    """How long it is kept; without it, until it is erased."""


class Purpose(ApiModel):
    """One purpose, and why it is lawful."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                "!(self.legalBasis in ['Consent', 'LegitimateInterests', 'PublicTask']) || self.optOut == 'Offered'",
                "this legal basis needs optOut: Offered: consent can be withdrawn (GDPR article 7(3)), and legitimate "
                "interests and public tasks can be objected to (article 21)",
            ),
            Rule(
                "self.legalBasis != 'LegitimateInterests' || has(self.interest)",
                "say in interest which legitimate interest is pursued (GDPR article 13(1)(d))",
            ),
        )
    )

    name: Slug
    """Its name."""
    legal_basis: LegalBasis
    """Why it is lawful (GDPR article 6(1))."""
    opt_out: OptOut
    """Whether a person can end it for themselves."""
    interest: Sentence | None = None
    """The legitimate interest that is pursued."""


class Transfer(ApiModel):
    """Personal data that leaves the EEA."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                "self.safeguard != 'None'",
                "a transfer needs a safeguard: Adequacy (GDPR article 45), StandardContractualClauses (46), "
                "BindingCorporateRules (47) or Derogation (49)",
            ),
            Rule(
                "self.safeguard != 'Derogation' || has(self.detail)",
                "say in detail which derogation of GDPR article 49(1) applies",
            ),
        )
    )

    to: Region
    """Where to: a country or a region of one, such as `us` or `us-east-1`."""
    safeguard: Safeguard
    """What protects it there."""
    detail: Sentence | None = None
    """Which decision, contract or derogation."""


class PolicyContact(ApiModel):
    """Whom a person can turn to. An office, never a person's own name or mailbox."""

    role: ContactRole
    """Who."""
    name: Annotated[str, Field(min_length=1, max_length=100)]
    """The office or company."""
    email: Annotated[str, Field(max_length=254, pattern=r"^[^\s@]+@[^\s@]+\.[^\s@]+$")]
    """Its mailbox."""
    address: Annotated[str, Field(max_length=300)] | None = None
    """Its postal address."""


class Authority(ApiModel):
    """A supervisory authority where a person can complain."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    """Its name."""
    region: Region
    """The country or region that it supervises."""
    url: WebUrl
    """Where it takes complaints."""


class GoverningLaw(ApiModel):
    """The law that the policy is under, and the courts."""

    law: Annotated[str, Field(min_length=1, max_length=200)]
    """The law."""
    courts: Annotated[str, Field(min_length=1, max_length=200)]
    """The courts."""


class Breach(ApiModel):
    """How fast a breach is told."""

    authority_hours: Annotated[int, Field(ge=1, le=720)] = 72
    """Within how many hours of its discovery the authority is told."""


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
