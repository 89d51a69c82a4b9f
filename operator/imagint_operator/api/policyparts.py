"""What an edition of a `PrivacyPolicy` consists of: text, clauses, categories, purposes, transfers, contacts.

Declares fields and their limits only.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field

from imagint_operator.api.base import ApiModel, Rule, rules
from imagint_operator.api.retention import MOST_DAYS, MOST_MONTHS

REGION_PATTERN = r"^[a-z]{2}(-[a-z0-9]+)*$"
SET = {"x-kubernetes-list-type": "set"}

Slug = Annotated[str, Field(min_length=1, max_length=32, pattern=r"^[a-z][-a-z0-9]*$")]
Region = Annotated[str, Field(min_length=2, max_length=32, pattern=REGION_PATTERN)]
Sentence = Annotated[str, Field(min_length=1, max_length=500)]
WebUrl = Annotated[str, Field(min_length=9, max_length=512, pattern=r"^https://[^\s@]+$")]


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
