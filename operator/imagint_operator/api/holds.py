"""`LegalHold`: something must not be forgotten now, by whose authority, and until when.

GDPR 17(3). The person appears as a handle only, and the authority as an office, never as a person. Declares fields and
their limits; what a hold stops is in `imagint_operator.legalholds`.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field

from imagint_operator.api.base import ApiModel, Conditions, Kind, Rule, name_rule, rules
from imagint_operator.api.rights import NAME_PATTERN, Categories, OptionalHandle, plausible


class TargetType(StrEnum):
    """Whom a hold is about."""

    SUBJECT = "Subject"
    TENANT = "Tenant"


class HoldReason(StrEnum):
    """Why. GDPR 17(3)(e), legal claims: Litigation, ContractClaim. GDPR 17(3)(b), a legal obligation: the others."""

    LITIGATION = "Litigation"
    CONTRACT_CLAIM = "ContractClaim"
    INVESTIGATION = "Investigation"
    REGULATORY_ORDER = "RegulatoryOrder"
    TAX_LAW = "TaxLaw"
    ACCOUNTING_LAW = "AccountingLaw"


class HoldTarget(ApiModel):
    """Whom a hold is about: one subject, or everybody of the tenant."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                "(self.type == 'Subject') == has(self.subject)",
                "a hold of type Subject names its subject by handle; a hold of type Tenant is about everybody and "
                "names nobody",
            ),
        )
    )

    type: TargetType
    """One subject, or everybody of the tenant."""
    subject: OptionalHandle = None
    """The person, as a handle."""


class LegalHoldSpec(ApiModel):
    """What is held, and why."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                "has(self.until) || has(self.reviewBy)",
                "a hold ends (until), or somebody looks at it again (reviewBy): write one of them",
            ),
            Rule("!has(self.until) || self.until > self.from", "until must be later than from"),
            Rule("!has(self.reviewBy) || self.reviewBy > self.from", "reviewBy must be later than from"),
            plausible("from"),
            plausible("until"),
            plausible("reviewBy"),
            plausible("liftedAt"),
        )
    )

    target: Annotated[
        HoldTarget,
        Field(json_schema_extra=rules(Rule("self == oldSelf", "target cannot be changed: make a new hold"))),
    ]
    """Whom it is about."""
    categories: Categories = ()
    """The categories of records that are held; none means all of them."""
    authority: Annotated[
        str,
        Field(
            min_length=2,
            max_length=128,
            json_schema_extra=rules(
                Rule("!self.contains('@')", "authority names an office and its file, never a person or an address")
            ),
        ),
    ]
    """Which office demands it, and under which file: never a person."""
    reason_code: Annotated[
        HoldReason,
        Field(json_schema_extra=rules(Rule("self == oldSelf", "reasonCode cannot be changed: make a new hold"))),
    ]
    """Why, as the law knows it."""
    from_: Annotated[datetime, Field(alias="from")]
    """From when on."""
    until: datetime | None = None
    """When it ends by itself."""
    review_by: datetime | None = None
    """By when somebody looks at it again; a hold without an end has this."""
    lifted_at: datetime | None = None
    """When it was lifted before its end. Deleting the hold lifts it too, and leaves no record."""


class LegalHoldStatus(ApiModel):
    """How the hold stands."""

    observed_generation: Annotated[int, Field(ge=0)] = 0
    """The generation of the spec that this status is about."""
    holding: Annotated[int, Field(ge=0)] = 0
    """How many erasures wait for it."""
    conditions: Conditions = ()
    """Active on top."""


class LegalHold(Kind):
    """Something must not be forgotten now."""

    model_config = ConfigDict(
        json_schema_extra=name_rule(
            NAME_PATTERN,
            "a hold's name has at most 63 lower-case letters, digits and dashes, and neither begins nor ends in a "
            "dash; it is shown to the person whose erasure waits, so never put a name in it",
        )
    )

    spec: Annotated[
        LegalHoldSpec,
        Field(
            json_schema_extra=rules(
                Rule(
                    "!has(oldSelf.liftedAt) || (has(self.liftedAt) && self.liftedAt == oldSelf.liftedAt)",
                    "a hold that was lifted stays lifted: make a new one",
                ),
            )
        ),
    ]
    status: LegalHoldStatus = LegalHoldStatus()
