"""The steps of each right, in order, and what can be done in them. Pure; each right has a plan of its own."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from imagint_operator.api.requests import (
    DataSubjectRequest,
    DataSubjectRequestStatus,
    RequestType,
    Step,
    StepName,
    StepState,
)
from imagint_operator.decisions import Rest, Wait

FINISHED = frozenset({StepState.DONE, StepState.SKIPPED})
ERASURE = (
    StepName.HOLD_CHECK, StepName.FENCE, StepName.PROBE_BEFORE, StepName.ROTATE, StepName.COMMIT, StepName.COPY,
    StepName.DROP_CACHES, StepName.TRIM, StepName.PURGE, StepName.PROBE_AFTER, StepName.PROCESSORS,
    StepName.CERTIFICATE,
)  # fmt: skip
LIMIT = (StepName.APPLY, StepName.CONFIRM)
LIFT = (StepName.LIFT, StepName.CONFIRM)
HANDED_OUT = (StepName.COLLECT, StepName.DELIVER)
_BY_TYPE = {
    RequestType.ERASE: ERASURE,
    RequestType.RESTRICT: LIMIT,
    RequestType.OBJECT: LIMIT,
    RequestType.ACCESS: HANDED_OUT,
    RequestType.EXPORT: HANDED_OUT,
    RequestType.RECTIFY: (StepName.CORRECT, StepName.CONFIRM),
    RequestType.OPT_OUT: LIMIT,
    RequestType.COMPLAIN: (StepName.ANSWER,),
}
LIMITING = frozenset({RequestType.RESTRICT, RequestType.OBJECT})
EXECUTED = LIMITING | {RequestType.ERASE}


class Operation(StrEnum):
    """One thing to do, recorded when done."""

    CHECK_HOLDS = "CheckHolds"
    FENCE = "Fence"
    PROBE_BEFORE = "ProbeBefore"
    RECORD_VERSIONS = "RecordVersions"
    ROTATE = "Rotate"
    CONFIRM_ROTATION = "ConfirmRotation"
    CHECK_HOLDS_AGAIN = "CheckHoldsAgain"
    GIVE_BACK = "GiveBack"
    COMMIT = "Commit"
    COPY = "Copy"
    DROP_CACHES = "DropCaches"
    RAISE_MINIMUM = "RaiseMinimum"
    TRIM = "Trim"
    CONFIRM_TRIM = "ConfirmTrim"
    PURGE = "Purge"
    PROBE_AFTER = "ProbeAfter"
    TELL_PROCESSORS = "TellProcessors"
    PREPARE_CERTIFICATE = "PrepareCertificate"
    CERTIFY = "Certify"
    APPLY = "Apply"
    LIFT = "Lift"
    CONFIRM = "Confirm"


@dataclass(frozen=True, slots=True)
class Run:
    """Do this, as part of this step."""

    step: StepName
    operation: Operation


Decision = Run | Wait | Rest


def steps_of(request: DataSubjectRequest) -> tuple[StepName, ...]:
    """The steps of a request, in order."""
    return LIFT if request.spec.lift is not None else _BY_TYPE[request.spec.type]


def step(status: DataSubjectRequestStatus, name: StepName) -> Step:
    """One step as recorded; Pending when it is not."""
    return next((found for found in status.steps if found.name is name), Step(name=name))


def unfinished(request: DataSubjectRequest) -> StepName | None:
    """The first step that is not finished."""
    status = request.status
    return next((name for name in steps_of(request) if step(status, name).state not in FINISHED), None)
