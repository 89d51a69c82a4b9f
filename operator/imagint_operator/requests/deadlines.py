"""Pure: the statutory clock of a request, as its status shows it and as an alert can read it.

The law is in `imagint_privacy.clocks`; here it is applied to one request. An extension counts only when it was first
seen, and the person told, within the first term: what comes later cannot undo that the answer is late.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from imagint_operator.api.requests import DataSubjectRequest, DataSubjectRequestStatus
from imagint_operator.conditions import Verdict, no, yes
from imagint_operator.requests.observations import received_at
from imagint_privacy import clocks

OVERDUE = "Overdue"
IN_TIME = "InTime"
DUE_SOON = "DueSoon"
ANSWERED = "Answered"
ANSWERED_LATE = "AnsweredLate"
SOON = timedelta(days=7)


def clocked(request: DataSubjectRequest, now: datetime) -> DataSubjectRequestStatus:
    """The status with its clock."""
    terms = clocks.deadlines(request.spec.regulation.value, received_at(request))
    due = _seconds(terms.due_by)
    extended = request.status.extended_due_by
    if extended is None and _extends(request, due, now):
        extended = _seconds(terms.extended_due_by)
    return request.status.model_copy(
        update={"acknowledge_by": _seconds(terms.acknowledge_by), "due_by": due, "extended_due_by": extended}
    )


def answer_by(status: DataSubjectRequestStatus) -> datetime | None:
    """By when the request must be answered, extended or not."""
    return status.extended_due_by or status.due_by


def verdict(status: DataSubjectRequestStatus, now: datetime, *, complete: bool) -> Verdict:
    """Whether the answer is late. True is what somebody must act on."""
    due = answer_by(status)
    if due is None:
        return no(OVERDUE, IN_TIME, "no clock runs")
    until = f"{due:%Y-%m-%d %H:%M} UTC"
    if complete:
        late = status.completed_at is not None and status.completed_at > due
        return no(OVERDUE, ANSWERED_LATE if late else ANSWERED, f"it was to be answered by {until}")
    if now > due:
        return yes(OVERDUE, OVERDUE, f"it was to be answered by {until}")
    return no(OVERDUE, DUE_SOON if now >= due - SOON else IN_TIME, f"it must be answered by {until}")


def seconds_to_next(status: DataSubjectRequestStatus, now: datetime) -> float | None:
    """After how many seconds the clock says something else; None when it will not."""
    due = answer_by(status)
    if due is None:
        return None
    ahead = [moment for moment in (due - SOON, due + timedelta(seconds=1)) if moment > now]
    return min(((moment - now).total_seconds() for moment in ahead), default=None)


def _extends(request: DataSubjectRequest, due: datetime, now: datetime) -> bool:
    extension = request.spec.extension
    return extension is not None and extension.informed_at <= due and now <= due


def _seconds(moment: datetime) -> datetime:
    return moment.replace(microsecond=0)
