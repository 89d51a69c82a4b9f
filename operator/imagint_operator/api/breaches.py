"""`BreachIncident`: a breach of personal data, what the law asks for, and what was done (GDPR 33 and 34).

Counts and categories only: no person, no address, no content. Declares fields and their limits; the clock and the
obligations are in `imagint_operator.breaches`.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field

from imagint_operator.api.base import ApiModel, Conditions, Kind, Rule, name_rule, rules
from imagint_operator.api.requests import Count, Digest
from imagint_operator.api.rights import NAME_PATTERN, Categories, Regulation, plausible

NO_ADDRESS = Rule("!self.contains('@')", "describe what happened without naming anybody and without any address")
Words = Annotated[str, Field(min_length=1, max_length=2048, json_schema_extra=rules(NO_ADDRESS))]
Reference = Annotated[
    str,
    Field(
        min_length=1,
        max_length=128,
        json_schema_extra=rules(Rule("!self.contains('@')", "a reference names a file, never a person or an address")),
    ),
]
TenantNames = Annotated[
    tuple[Annotated[str, Field(max_length=40, pattern=r"^[a-z][-a-z0-9]*$")], ...],
    Field(max_length=256, json_schema_extra={"x-kubernetes-list-type": "set"}),
]


class Risk(StrEnum):
    """How likely it is that people suffer: it decides who has to be told."""

    UNLIKELY = "Unlikely"
    RISK = "Risk"
    HIGH_RISK = "HighRisk"


class Extent(StrEnum):
    """Whom of the platform it touches."""

    ALL_TENANTS = "AllTenants"
    SOME_TENANTS = "SomeTenants"


class Nature(StrEnum):
    """What happened to the data (EDPB Guidelines 9/2022, section I.B.2)."""

    CONFIDENTIALITY = "Confidentiality"
    INTEGRITY = "Integrity"
    AVAILABILITY = "Availability"


class DelayReason(StrEnum):
    """Why the authority was told after more than 72 hours (GDPR 33(1), second sentence)."""

    EXTENT_UNKNOWN = "ExtentUnknown"
    SEVERAL_INCIDENTS = "SeveralIncidents"
    INVESTIGATION = "Investigation"
    AUTHORITY_UNREACHABLE = "AuthorityUnreachable"
    OVERSIGHT = "Oversight"


class SubjectExemption(StrEnum):
    """Why the people concerned need not be told one by one (GDPR 34(3)(a) to (c), in order)."""

    DATA_UNINTELLIGIBLE = "DataUnintelligible"
    RISK_REMOVED = "RiskRemoved"
    PUBLIC_COMMUNICATION = "PublicCommunication"


class Window(ApiModel):
    """When it happened, as far as known."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule("!has(self.until) || self.until >= self.from", "occurred.until must not be before occurred.from")
        )
    )

    from_: Annotated[datetime, Field(alias="from")]
    """From when on."""
    until: datetime | None = None
    """Until when; absent while it goes on or is not known."""


class Affected(ApiModel):
    """Whom and what it touches, in figures (GDPR 33(3)(a): as far as possible)."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                "(self.extent == 'SomeTenants') == (has(self.tenants) && size(self.tenants) > 0)",
                "extent SomeTenants lists them in tenants; extent AllTenants lists none",
            )
        )
    )

    extent: Extent
    """All tenants, or those listed."""
    tenants: TenantNames = ()
    """The tenants, by name."""
    categories: Categories = ()
    """The categories of records; none means all of them."""
    approximate_subjects: Count | None = None
    """About how many people."""
    approximate_records: Count | None = None
    """About how many records."""


class AuthorityNotice(ApiModel):
    """The report to the supervisory authority (GDPR 33)."""

    at: datetime
    """When it was sent."""
    reference: Reference
    """The authority's file."""
    delay_reason: DelayReason | None = None
    """Why it took more than 72 hours."""


class SubjectNotice(ApiModel):
    """How the people concerned were told, or why they need not be (GDPR 34)."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                "has(self.at) != has(self.exemption)",
                "say when the people were told (at), or why they need not be (exemption, GDPR 34(3)): one of them",
            )
        )
    )

    at: datetime | None = None
    """When they were told."""
    exemption: SubjectExemption | None = None
    """Why they need not be."""


class BreachIncidentSpec(ApiModel):
    """What is known, and what was done."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            plausible("discoveredAt"),
            plausible("occurred.from"),
            plausible("authorityNotice.at"),
            Rule("self.occurred.from <= self.discoveredAt", "a breach is discovered after it began"),
            Rule(
                "!has(self.authorityNotice) || self.authorityNotice.at >= self.discoveredAt",
                "authorityNotice.at must not be before discoveredAt",
            ),
            Rule(
                "!has(self.authorityNotice) || has(self.authorityNotice.delayReason) || "
                "self.authorityNotice.at <= self.discoveredAt + duration('72h')",
                "a report after more than 72 hours says why (authorityNotice.delayReason, GDPR 33(1))",
            ),
            Rule(
                "!has(self.subjectNotice) || !has(self.subjectNotice.at) || self.subjectNotice.at >= self.discoveredAt",
                "subjectNotice.at must not be before discoveredAt",
            ),
        )
    )

    regulation: Regulation = Regulation.GDPR
    """The law whose clock runs."""
    discovered_at: Annotated[
        datetime,
        Field(
            json_schema_extra=rules(
                Rule("self == oldSelf", "discoveredAt starts the 72 hours and never changes: make a new incident")
            )
        ),
    ]
    """When somebody here became aware of it: from then the 72 hours run."""
    occurred: Window
    """When it happened."""
    affected: Affected
    """Whom and what it touches."""
    risk: Risk
    """How likely it is that people suffer."""
    nature: Annotated[
        tuple[Nature, ...], Field(min_length=1, max_length=3, json_schema_extra={"x-kubernetes-list-type": "set"})
    ]
    """What happened to the data (GDPR 33(3)(a))."""
    description: Words
    """What happened, naming nobody (GDPR 33(3)(a))."""
    consequences: Words
    """What it probably leads to (GDPR 33(3)(c))."""
    measures: Words
    """What was done and is proposed (GDPR 33(3)(d))."""
    contact: Annotated[
        str,
        Field(
            min_length=1,
            max_length=128,
            json_schema_extra=rules(
                Rule("!self.contains('@')", "contact names an office, such as the data protection officer, nobody else")
            ),
        ),
    ]
    """The office that knows more (GDPR 33(3)(b))."""
    authority_notice: AuthorityNotice | None = None
    """The report to the authority, once it was sent."""
    subject_notice: SubjectNotice | None = None
    """How the people were told, or why they need not be."""


class ReportRef(ApiModel):
    """Where the draft of the report lies."""

    config_map: Annotated[str, Field(max_length=253)]
    """The ConfigMap in imagint-system; its key is report.json."""
    digest: Digest
    """The SHA-256 of that file."""


class BreachIncidentStatus(ApiModel):
    """What is owed, and what is done."""

    observed_generation: Annotated[int, Field(ge=0)] = 0
    """The generation of the spec that this status is about."""
    notify_by: datetime | None = None
    """By when the authority must hear of it."""
    report: ReportRef | None = None
    """The draft of the report, as the incident stood when it was last described."""
    conditions: Conditions = ()
    """Complete on top."""


class BreachIncident(Kind):
    """A breach of personal data."""

    model_config = ConfigDict(
        json_schema_extra=name_rule(
            NAME_PATTERN,
            "an incident's name has at most 63 lower-case letters, digits and dashes, and neither begins nor ends in "
            "a dash; never put a name or an address in it",
        )
    )

    spec: Annotated[
        BreachIncidentSpec,
        Field(
            json_schema_extra=rules(
                Rule(
                    "!has(oldSelf.authorityNotice) || (has(self.authorityNotice) "
                    "&& self.authorityNotice == oldSelf.authorityNotice)",
                    "authorityNotice is a record: it is written once",
                ),
                Rule(
                    "!has(oldSelf.subjectNotice) || (has(self.subjectNotice) "
                    "&& self.subjectNotice == oldSelf.subjectNotice)",
                    "subjectNotice is a record: it is written once",
                ),
            )
        ),
    ]
    status: BreachIncidentStatus = BreachIncidentStatus()
