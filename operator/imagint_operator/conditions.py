"""Pure handling of `metav1.Condition` lists: a transition time moves only when the status does."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from imagint_operator.api.base import Condition, ConditionStatus

MESSAGE_LIMIT = 1024


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is the case now: a condition without its times."""

    type: str
    status: ConditionStatus
    reason: str
    message: str

    @property
    def holds(self) -> bool:
        """Whether it is True."""
        return self.status is ConditionStatus.TRUE


def yes(type_: str, reason: str, message: str) -> Verdict:
    """It holds."""
    return Verdict(type_, ConditionStatus.TRUE, reason, message)


def no(type_: str, reason: str, message: str) -> Verdict:
    """It does not hold."""
    return Verdict(type_, ConditionStatus.FALSE, reason, message)


def unknown(type_: str, reason: str, message: str) -> Verdict:
    """It cannot be said."""
    return Verdict(type_, ConditionStatus.UNKNOWN, reason, message)


def find(conditions: Iterable[Condition], type_: str) -> Condition | None:
    """The condition of one type."""
    return next((condition for condition in conditions if condition.type == type_), None)


def holds(conditions: Iterable[Condition], type_: str) -> bool:
    """Whether the condition of one type is True."""
    found = find(conditions, type_)
    return found is not None and found.status is ConditionStatus.TRUE


def merged(
    before: Iterable[Condition], verdicts: Iterable[Verdict], *, generation: int, now: datetime
) -> tuple[Condition, ...]:
    """The list to write: exactly these verdicts, in this order, keeping the time of those that did not turn."""
    known = {condition.type: condition for condition in before}
    return tuple(_condition(known.get(verdict.type), verdict, generation, now) for verdict in verdicts)


def _condition(before: Condition | None, verdict: Verdict, generation: int, now: datetime) -> Condition:
    turned = before is None or before.status is not verdict.status
    return Condition(
        type=verdict.type,
        status=verdict.status,
        reason=verdict.reason,
        message=verdict.message[:MESSAGE_LIMIT],
        last_transition_time=now.replace(microsecond=0) if turned or before is None else before.last_transition_time,
        observed_generation=generation,
    )


def turned(before: Iterable[Condition], after: Iterable[Condition]) -> list[Condition]:
    """The conditions whose status or reason is new."""
    known = {condition.type: (condition.status, condition.reason) for condition in before}
    return [condition for condition in after if known.get(condition.type) != (condition.status, condition.reason)]
