"""The words of data subjects' rights: which right, which law, over what, how the person was verified.

Shared by the kinds that speak of subjects. A person appears as a handle only. Declares fields and their limits.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field

from imagint_operator.api.base import ApiModel, Rule, rules

SUBJECT_PATTERN = r"^subj-[a-z2-7]{26}$"
NAME_PATTERN = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"
Handle = Annotated[
    str,
    Field(
        max_length=64,
        json_schema_extra=rules(
            Rule(
                f"self.matches('{SUBJECT_PATTERN}')",
                "subject must be a handle (subj- and 26 characters of a-z and 2-7). Never write a name or an "
                "e-mail address here: POST it to the Gateway's /v1/privacy/handles and use the handle it answers",
            ),
        ),
    ),
]
OptionalHandle = Annotated[
    str | None,
    Field(
        max_length=64,
        json_schema_extra=rules(
            Rule(
                f"self.matches('{SUBJECT_PATTERN}')",
                "subject must be a handle (subj- and 26 characters of a-z and 2-7): never a name or an address",
            ),
        ),
    ),
]


class RequestType(StrEnum):
    """The right that is exercised."""

    ACCESS = "Access"
    EXPORT = "Export"
    RECTIFY = "Rectify"
    ERASE = "Erase"
    RESTRICT = "Restrict"
    OBJECT = "Object"
    OPT_OUT = "OptOut"
    COMPLAIN = "Complain"


class Regulation(StrEnum):
    """The law whose clock runs."""

    GDPR = "GDPR"
    UK_GDPR = "UKGDPR"
    CCPA = "CCPA"
    OTHER = "Other"


class Category(StrEnum):
    """A category of records."""

    PROMPTS = "prompts"
    IMAGES = "images"


class Objectable(StrEnum):
    """A purpose that one can object to (GDPR 21): what rests on a legitimate interest, or is direct marketing."""

    ANALYSE = "Analyse"
    IMPROVE = "Improve"
    MARKET = "Market"


Categories = Annotated[tuple[Category, ...], Field(max_length=16, json_schema_extra={"x-kubernetes-list-type": "set"})]
Purposes = Annotated[tuple[Objectable, ...], Field(max_length=16, json_schema_extra={"x-kubernetes-list-type": "set"})]


class VerificationMethod(StrEnum):
    """How it was made sure that the person is the subject."""

    ACCOUNT_SESSION = "AccountSession"
    EMAIL_LINK = "EmailLink"
    IDENTITY_DOCUMENT = "IdentityDocument"
    AUTHORIZED_AGENT = "AuthorizedAgent"


class Scope(ApiModel):
    """What the request is about."""

    categories: Categories = ()
    """The categories of records; none means all of them."""


class AgentAuthorization(StrEnum):
    """What an agent shows (11 CCR 7063; GDPR: a mandate under national law)."""

    SIGNED_PERMISSION = "SignedPermission"
    POWER_OF_ATTORNEY = "PowerOfAttorney"


class Verification(ApiModel):
    """How it was made sure that the person is the subject."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                "(self.method == 'AuthorizedAgent') == has(self.agentAuthorization)",
                "an AuthorizedAgent shows a permission that the person signed or a power of attorney "
                "(agentAuthorization, 11 CCR 7063); nobody else does",
            ),
        )
    )

    method: VerificationMethod
    """How."""
    at: datetime
    """When."""
    agent_authorization: AgentAuthorization | None = None
    """What the agent showed."""


class ExtensionReason(StrEnum):
    """Why an answer takes longer: the two reasons of GDPR 12(3), and what 11 CCR 7021(b) calls necessary."""

    COMPLEXITY = "Complexity"
    NUMBER_OF_REQUESTS = "NumberOfRequests"


class Extension(ApiModel):
    """The one extension of a request's clock. It counts only when the person was told within the first term."""

    reason: ExtensionReason
    """Why."""
    informed_at: datetime
    """When the person was told of it, with the reason."""


class LiftGround(StrEnum):
    """Why a restriction or an objection ends."""

    PERSON_ASKED = "PersonAsked"
    ACCURACY_VERIFIED = "AccuracyVerified"
    PROCESSING_LAWFUL = "ProcessingLawful"
    CLAIMS_ENDED = "ClaimsEnded"
    COMPELLING_GROUNDS = "CompellingGrounds"


class Lift(ApiModel):
    """The restriction or objection that a request ends."""

    request: Annotated[str, Field(max_length=63, pattern=NAME_PATTERN)]
    """The name of the request that began it."""
    ground: LiftGround
    """Why it ends."""
    informed_at: datetime
    """When the person was told, which GDPR 18(3) wants before it ends."""


def plausible(field: str) -> Rule:
    """A rule that a moment lies in our century: it also refuses what nobody but the apiserver could read."""
    bounds = f"self.{field} >= timestamp('2000-01-01T00:00:00Z') && self.{field} < timestamp('2100-01-01T00:00:00Z')"
    return Rule(f"!has(self.{field.partition('.')[0]}) || ({bounds})", f"{field} must lie between 2000 and 2100")
