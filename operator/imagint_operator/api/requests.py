"""`DataSubjectRequest`: one person exercising one right, as a record that is never changed afterwards.

A person appears here as a handle only. Declares fields and their limits; the protocol is in
`imagint_operator.requests`.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field

from imagint_operator.api.base import ApiModel, Conditions, Kind, Rule, ShortText, list_map, name_rule, rules

SUBJECT_PATTERN = r"^subj-[a-z2-7]{26}$"
NAME_PATTERN = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"
Digest = Annotated[str, Field(max_length=80, pattern=r"^sha256:[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0)]


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


class VerificationMethod(StrEnum):
    """How it was made sure that the person is the subject."""

    ACCOUNT_SESSION = "AccountSession"
    EMAIL_LINK = "EmailLink"
    IDENTITY_DOCUMENT = "IdentityDocument"
    AUTHORIZED_AGENT = "AuthorizedAgent"


class Scope(ApiModel):
    """What the request is about."""

    categories: Annotated[
        tuple[Category, ...], Field(max_length=16, json_schema_extra={"x-kubernetes-list-type": "set"})
    ] = ()
    """The categories of records; none means all of them."""


class Verification(ApiModel):
    """How it was made sure that the person is the subject."""

    method: VerificationMethod
    """How."""
    at: datetime
    """When."""


def _plausible(field: str) -> Rule:
    bounds = f"self.{field} >= timestamp('2000-01-01T00:00:00Z') && self.{field} < timestamp('2100-01-01T00:00:00Z')"
    return Rule(f"!has(self.{field.partition('.')[0]}) || ({bounds})", f"{field} must lie between 2000 and 2100")


class DataSubjectRequestSpec(ApiModel):
    """What was asked."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                "!(self.regulation in ['GDPR', 'UKGDPR'] && self.type == 'OptOut')",
                "the GDPR has no OptOut: to stop marketing or profiling, the right is Object (article 21)",
            ),
            Rule(
                "!(self.regulation == 'CCPA' && self.type in ['Restrict', 'Object'])",
                "the CCPA has neither Restrict nor Object: to stop the sale or sharing of data, the right is OptOut "
                "(section 1798.120)",
            ),
            Rule(
                "self.type in ['OptOut', 'Complain'] || has(self.verification)",
                "say how it was made sure that the person is the subject (verification.method and verification.at): "
                "only OptOut and Complain go without",
            ),
            # Also refuses what the apiserver takes for a moment and nobody else can read, such as a zone of +99:99.
            _plausible("receivedAt"),
            _plausible("verification.at"),
        )
    )

    type: RequestType
    """The right that is exercised."""
    subject: Annotated[
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
    """The person, as a handle."""
    scope: Scope = Scope()
    """What the request is about; everything, when left out."""
    regulation: Regulation
    """The law whose clock runs."""
    received_at: datetime | None = None
    """When the request was received, from which the clock runs; without it, when this object was created."""
    verification: Verification | None = None
    """How it was made sure that the person is the subject."""


class StepName(StrEnum):
    """The steps of an erasure, in order."""

    HOLD_CHECK = "HoldCheck"
    FENCE = "Fence"
    PROBE_BEFORE = "ProbeBefore"
    ROTATE = "Rotate"
    COMMIT = "Commit"
    COPY = "Copy"
    DROP_CACHES = "DropCaches"
    TRIM = "Trim"
    PURGE = "Purge"
    PROBE_AFTER = "ProbeAfter"
    PROCESSORS = "Processors"
    CERTIFICATE = "Certificate"


class StepState(StrEnum):
    """How far a step has come. `Skipped`: nothing was held, so there was nothing to do."""

    PENDING = "Pending"
    RUNNING = "Running"
    DONE = "Done"
    FAILED = "Failed"
    SKIPPED = "Skipped"


class CheckState(StrEnum):
    """The outcome of one check."""

    PASSED = "Passed"
    FAILED = "Failed"


class Check(ApiModel):
    """One thing that was looked at, and what was seen."""

    name: Annotated[str, Field(max_length=64)]
    """What was looked at."""
    state: CheckState
    """What was seen."""
    detail: Annotated[str, Field(max_length=512)] = ""
    """More about it; ids and figures only."""


class StoreResult(ApiModel):
    """What a step found or did in one store."""

    store: ShortText
    """The store."""
    generation: Count | None = None
    """The generation of the key tree that it holds."""
    root_digest: Annotated[str, Field(max_length=128)] | None = None
    """The digest of the root that was read back."""
    deleted: Count | None = None
    """How many records or objects were deleted."""
    remaining: Count | None = None
    """How many were still there afterwards."""


class Holding(ApiModel):
    """How many records of one category were held."""

    category: Annotated[str, Field(max_length=64)]
    """The category."""
    records: Count
    """How many."""


class StepResult(ApiModel):
    """What a step found: ids, counts and digests only."""

    generation: Count | None = None
    """The key tree's generation."""
    key_version: Count | None = None
    """The version of the tenant's key."""
    incarnation: Count | None = None
    """Which life of the subject this was: 0, or more for one who came back after an erasure."""
    paths: Count | None = None
    """Key paths found or forgotten."""
    objects: Count | None = None
    """Objects held."""
    holdings: Annotated[tuple[Holding, ...], Field(max_length=16, json_schema_extra=list_map("category"))] = ()
    """Records held, by category."""
    stores: Annotated[tuple[StoreResult, ...], Field(max_length=16, json_schema_extra=list_map("store"))] = ()
    """One entry for each store."""
    checks: Annotated[tuple[Check, ...], Field(max_length=32, json_schema_extra=list_map("name"))] = ()
    """One entry for each check."""
    replicas: Annotated[tuple[ShortText, ...], Field(max_length=256)] = ()
    """Replicas that dropped what they remembered."""
    bound_seconds: Annotated[float, Field(ge=0)] | None = None
    """After how long nothing can be remembered any more."""
    min_decryption_version: Count | None = None
    """The oldest version of the key that decrypts."""
    min_available_version: Count | None = None
    """The oldest version of the key that exists."""
    key_created_at: datetime | None = None
    """When the version that is given up was made."""
    observed_at: datetime | None = None
    """When the prober looked, by its own clock."""


class Step(ApiModel):
    """One step of the protocol."""

    name: StepName
    """Which."""
    state: StepState = StepState.PENDING
    """How far it has come."""
    started_at: datetime | None = None
    """When it was first begun."""
    finished_at: datetime | None = None
    """When it was done."""
    result: StepResult | None = None
    """What it found."""


class ProcessorState(StrEnum):
    """How far a processor has come with an erasure. Final: Completed, Refused, Overdue, ByHand and Exempt."""

    PENDING = "Pending"
    TOLD = "Told"
    ACKNOWLEDGED = "Acknowledged"
    COMPLETED = "Completed"
    REFUSED = "Refused"
    OVERDUE = "Overdue"
    BY_HAND = "ByHand"
    EXEMPT = "Exempt"


class ProcessorProgress(ApiModel):
    """One processor that received data which this erasure is about."""

    name: Annotated[str, Field(min_length=1, max_length=63)]
    """The DataProcessor."""
    protocol: Annotated[str, Field(max_length=16)]
    """How it is told."""
    state: ProcessorState = ProcessorState.PENDING
    """How far it has come. Pending: it has not answered yet."""
    told_at: datetime | None = None
    """When it first answered that it was told."""
    by: datetime
    """By when it must have erased."""
    completed_at: datetime | None = None
    """When its receipt, its refusal or the end of its time came."""
    receipt_digest: Digest | None = None
    """The SHA-256 of the receipt, as it came."""
    detail: Annotated[str, Field(max_length=128)] = ""
    """Why it has not come further, in one word."""


class KeyVersions(ApiModel):
    """The versions of the tenant's key, recorded before the first is given up."""

    from_: Annotated[int, Field(ge=1, alias="from")]
    """The version that is destroyed."""
    to: Annotated[int, Field(ge=1)]
    """The version that the survivors move to."""


class Evidence(ApiModel):
    """Where the certificate lies, and what ties it to this request."""

    salt: Annotated[str, Field(max_length=64, pattern=r"^[0-9a-f]{64}$")]
    """With it and the handle anybody can compute the commitment in the certificate."""
    config_map: Annotated[str, Field(max_length=253)] | None = None
    """The ConfigMap in this namespace; its key is certificate.json."""
    digest: Digest | None = None
    """The SHA-256 of that file."""
    policy_version: Annotated[str, Field(max_length=16)] | None = None
    """The edition of the tenant's PrivacyPolicy that was in force when the request was done."""


class DataSubjectRequestStatus(ApiModel):
    """What was done and found."""

    observed_generation: Annotated[int, Field(ge=0)] = 0
    """The generation of the spec that this status is about."""
    acknowledge_by: datetime | None = None
    """By when the person must have heard that the request arrived."""
    due_by: datetime | None = None
    """By when the request must be answered."""
    completed_at: datetime | None = None
    """When it was."""
    irrecoverable_after: datetime | None = None
    """From when on no snapshot of Vault can hold the destroyed version any more."""
    key_versions: KeyVersions | None = None
    """The versions of the tenant's key before and after."""
    steps: Annotated[tuple[Step, ...], Field(max_length=16, json_schema_extra=list_map("name"))] = ()
    """The protocol, step by step."""
    processors: Annotated[tuple[ProcessorProgress, ...], Field(max_length=256, json_schema_extra=list_map("name"))] = ()
    """Who else was told, and what came back (GDPR articles 17(2) and 19)."""
    evidence: Evidence | None = None
    """Where the certificate lies."""
    conditions: Conditions = ()
    """Complete on top."""


class DataSubjectRequest(Kind):
    """One person, as a handle, exercising one right."""

    model_config = ConfigDict(
        json_schema_extra=name_rule(
            NAME_PATTERN,
            "a request's name has at most 63 lower-case letters, digits and dashes, and neither begins nor ends in a "
            "dash; never put a name or an address in it",
        )
    )

    spec: Annotated[
        DataSubjectRequestSpec,
        Field(
            json_schema_extra=rules(
                Rule("self == oldSelf", "a request is a record and never changes: make a new one for something else"),
            )
        ),
    ]
    status: DataSubjectRequestStatus = DataSubjectRequestStatus()
