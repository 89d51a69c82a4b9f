"""`DataSubjectRequest`: one person exercising one right, as a record that is never changed afterwards.

A person appears here as a handle only. Declares fields and their limits; the protocol is in
`imagint_operator.requests`.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from imagint_operator.api.base import ApiModel, Conditions, Kind, Rule, ShortText, list_map, name_rule, rules
from imagint_operator.api.rights import (
    NAME_PATTERN,
    Category,
    Extension,
    Handle,
    Lift,
    Purposes,
    Regulation,
    RequestType,
    Scope,
    Verification,
    VerificationMethod,
    plausible,
)

Digest = Annotated[str, Field(max_length=80, pattern=r"^sha256:[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0)]

__all__ = [
    "Category", "Check", "CheckState", "Count", "DataSubjectRequest", "DataSubjectRequestSpec",
    "DataSubjectRequestStatus", "Digest", "Evidence", "Holding", "KeyVersions", "Regulation", "RequestType", "Scope",
    "Step", "StepName", "StepResult", "StepState", "StoreResult", "Verification", "VerificationMethod",
]  # fmt: skip


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
                "self.type in ['OptOut', 'Complain'] || has(self.lift) || has(self.verification)",
                "say how it was made sure that the person is the subject (verification.method and verification.at): "
                "only OptOut and Complain go without",
            ),
            Rule(
                "!has(self.lift) || (self.type in ['Restrict', 'Object'] && !has(self.purposes) "
                "&& (!has(self.scope) || !has(self.scope.categories) || size(self.scope.categories) == 0))",
                "only a Restrict or an Object request lifts another, and it lifts the whole of it: leave scope and "
                "purposes out",
            ),
            Rule("!has(self.purposes) || self.type == 'Object'", "only an Object request names purposes"),
            Rule(
                "!has(self.extension) || self.regulation != 'Other'",
                "no statute is named (regulation Other), so there is no extension",
            ),
            # Also refuses what the apiserver takes for a moment and nobody else can read, such as a zone of +99:99.
            plausible("receivedAt"),
            plausible("verification.at"),
            plausible("extension.informedAt"),
            plausible("lift.informedAt"),
        )
    )

    type: RequestType
    """The right that is exercised."""
    subject: Handle
    """The person, as a handle."""
    scope: Scope = Scope()
    """What the request is about; everything, when left out."""
    regulation: Regulation
    """The law whose clock runs."""
    received_at: datetime | None = None
    """When the request was received, from which the clock runs; without it, when this object was created."""
    verification: Verification | None = None
    """How it was made sure that the person is the subject."""
    purposes: Purposes = ()
    """What an Object request objects to; every purpose that one can object to, when left out."""
    lift: Lift | None = None
    """With it a Restrict or Object request ends an earlier one."""
    extension: Extension | None = None
    """The one thing that may be added later, once."""


class StepName(StrEnum):
    """The steps of all rights. Which right has which, and in which order, is in `imagint_operator.requests.steps`."""

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
    APPLY = "Apply"
    CONFIRM = "Confirm"
    LIFT = "Lift"
    COLLECT = "Collect"
    DELIVER = "Deliver"
    CORRECT = "Correct"
    ANSWER = "Answer"


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
    """When the prober looked, by its own clock; or since when a restriction or an objection stands, or ended."""
    active_holds: Count | None = None
    """How many legal holds stood against it when it was last asked."""
    digest: Digest | None = None
    """The SHA-256 of the data plane's own answer, as canonical JSON."""


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
    extended_due_by: datetime | None = None
    """By when it must be answered since it was extended; absent while it is not."""
    completed_at: datetime | None = None
    """When it was."""
    lifted_at: datetime | None = None
    """When a restriction or an objection ended."""
    irrecoverable_after: datetime | None = None
    """From when on no snapshot of Vault can hold the destroyed version any more."""
    key_versions: KeyVersions | None = None
    """The versions of the tenant's key before and after."""
    steps: Annotated[tuple[Step, ...], Field(max_length=16, json_schema_extra=list_map("name"))] = ()
    """The plan, step by step."""
    processors: Annotated[tuple[ProcessorProgress, ...], Field(max_length=256, json_schema_extra=list_map("name"))] = ()
    """Who else was told, and what came back (GDPR articles 17(2) and 19)."""
    evidence: Evidence | None = None
    """Where the certificate lies."""
    conditions: Conditions = ()
    """Complete on top."""


_CHANGED = "a request is a record and never changes: make a new one for something else"
_OPTIONAL = ("scope", "receivedAt", "verification", "purposes", "lift")
_UNCHANGED = (
    Rule(
        "self.type == oldSelf.type && self.subject == oldSelf.subject && self.regulation == oldSelf.regulation",
        _CHANGED,
    ),
    *(
        Rule(
            f"has(self.{field}) == has(oldSelf.{field}) && (!has(self.{field}) || self.{field} == oldSelf.{field})",
            _CHANGED,
        )
        for field in _OPTIONAL
    ),
    Rule(
        "!has(oldSelf.extension) || (has(self.extension) && self.extension == oldSelf.extension)",
        "a request is extended once, and the extension never changes",
    ),
)


def _record_rules() -> dict[str, Any]:
    """What needs the name, or the status, beside the spec."""
    name = name_rule(
        NAME_PATTERN,
        "a request's name has at most 63 lower-case letters, digits and dashes, and neither begins nor ends in a "
        "dash; never put a name or an address in it",
    )["x-kubernetes-validations"]
    added = "!has(self.spec.extension) || has(oldSelf.spec.extension)"
    extensions = rules(
        Rule(
            f"{added} || !has(self.status) || !has(self.status.conditions) || "
            "!self.status.conditions.exists(c, c.type == 'Complete' && c.status == 'True')",
            "this request is Complete: there is nothing to extend",
        ),
        Rule(
            f"{added} || !has(self.status) || !has(self.status.dueBy) || "
            "self.spec.extension.informedAt <= self.status.dueBy",
            "an extension counts only when the person was told within the first term, by status.dueBy "
            "(GDPR 12(3), 11 CCR 7021(b))",
        ),
    )["x-kubernetes-validations"]
    return {"x-kubernetes-validations": [*name, *extensions]}


class DataSubjectRequest(Kind):
    """One person, as a handle, exercising one right."""

    model_config = ConfigDict(json_schema_extra=_record_rules())

    spec: Annotated[DataSubjectRequestSpec, Field(json_schema_extra=rules(*_UNCHANGED))]
    status: DataSubjectRequestStatus = DataSubjectRequestStatus()
