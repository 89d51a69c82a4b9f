"""Pure: what a hold's status says at a moment. The clock alone begins and ends a hold."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from imagint_operator.api.holds import LegalHold, LegalHoldStatus
from imagint_operator.api.requests import DataSubjectRequest, RequestType, StepName, StepState
from imagint_operator.conditions import Verdict, find, merged, no, yes
from imagint_operator.legalholds import HELD, covers, in_force, named
from imagint_operator.turns import COMPLETE

ACTIVE = "Active"
REVIEW_DUE = "ReviewDue"
TOO_LATE_FOR = "TooLateFor"


def judged(hold: LegalHold, requests: Iterable[DataSubjectRequest], now: datetime) -> LegalHoldStatus:
    """The status to write."""
    mine = [request for request in requests if _is_about(hold, request)]
    waiting = [request for request in mine if _waits(request)] if in_force(hold, now) else []
    verdicts = [_active(hold, now), _review(hold, now), _too_late(hold, mine, now)]
    generation = hold.metadata.generation
    conditions = merged(hold.status.conditions, verdicts, generation=generation, now=now)
    return LegalHoldStatus(observed_generation=generation, holding=len(waiting), conditions=conditions)


def seconds_to_next(hold: LegalHold, now: datetime) -> float | None:
    """After how many seconds the clock changes something; None when it will not."""
    spec = hold.spec
    moments = (spec.from_, spec.until, spec.lifted_at, spec.review_by)
    ahead = [(moment - now).total_seconds() for moment in moments if moment is not None and moment > now]
    return min(ahead, default=None)


def _active(hold: LegalHold, now: datetime) -> Verdict:
    spec = hold.spec
    if spec.lifted_at is not None and spec.lifted_at <= now:
        return no(ACTIVE, "Lifted", "it was lifted; what waited for it goes on")
    if spec.until is not None and spec.until <= now:
        return no(ACTIVE, "Expired", "it has run out; what waited for it goes on")
    if spec.from_ > now:
        return no(ACTIVE, "NotYetActive", "it holds nothing before spec.from")
    return yes(ACTIVE, ACTIVE, "nothing that it is about is forgotten")


def _review(hold: LegalHold, now: datetime) -> Verdict:
    due = hold.spec.review_by
    if in_force(hold, now) and due is not None and due <= now:
        return yes(REVIEW_DUE, "ReviewOverdue", "look whether it is still needed: lift it, or move spec.reviewBy")
    return no(REVIEW_DUE, "NotDue", "nobody has to look at it now")


def _too_late(hold: LegalHold, mine: list[DataSubjectRequest], now: datetime) -> Verdict:
    late = tuple(sorted(request.name for request in mine if _passed(hold, request)))
    if late and hold.spec.from_ <= now:
        message = f"its keys were already forgotten when the hold came: {named(late)}"
        return yes(TOO_LATE_FOR, "AlreadyCommitted", message)
    return no(TOO_LATE_FOR, "InTime", "no erasure that it is about had passed its commit")


def _is_about(hold: LegalHold, request: DataSubjectRequest) -> bool:
    categories = {category.value for category in request.spec.scope.categories}
    return request.spec.type is RequestType.ERASE and covers(hold, request.spec.subject, categories)


def _waits(request: DataSubjectRequest) -> bool:
    found = find(request.status.conditions, COMPLETE)
    return found is not None and found.reason == HELD


def _passed(hold: LegalHold, request: DataSubjectRequest) -> bool:
    """Whether it had committed, and had not ended before the hold began."""
    committed = any(step.name is StepName.COMMIT and step.state is StepState.DONE for step in request.status.steps)
    ended = request.status.completed_at
    return committed and (ended is None or ended >= hold.spec.from_)
