"""Pure: which recipients an erasure concerns, whom to ask now, and how the record of each moves.

GDPR article 17(2) and 19: whoever received the data is told, unless that is impossible or a disproportionate effort.
The law asks to tell them, not to wait for ever: each has until its `by`. Then it is Overdue, the certificate says so,
and the request is answered with what there is. An answer that comes in time is waited for, because it is proof.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from imagint_operator.api.processors import DataProcessor, DataProcessorSpec, ErasureProtocol, Selection
from imagint_operator.api.requests import ProcessorProgress, ProcessorState

FINAL = frozenset(
    {
        ProcessorState.COMPLETED, ProcessorState.REFUSED, ProcessorState.OVERDUE, ProcessorState.BY_HAND,
        ProcessorState.EXEMPT,
    }
)  # fmt: skip
LEAST = timedelta(days=1)
_ORDER = [ProcessorState.PENDING, ProcessorState.TOLD, ProcessorState.ACKNOWLEDGED]


class Ask(StrEnum):
    """What to ask of a recipient now."""

    TELL = "Tell"
    FOLLOW_UP = "FollowUp"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a recipient answered: nothing that counts (`detail` says why), or how far it is."""

    state: ProcessorState | None = None
    receipt_digest: str | None = None
    detail: str = ""


def concerned(processors: Iterable[DataProcessor], tenant: str, categories: Iterable[str]) -> tuple[DataProcessor, ...]:
    """Those who received data of this tenant in one of these categories; no categories means all."""
    asked = frozenset(categories)
    found = [
        processor
        for processor in processors
        if _has_tenant(processor.spec, tenant) and (not asked or not asked.isdisjoint(processor.spec.categories))
    ]
    return tuple(sorted(found, key=lambda processor: processor.name))


def begun(processor: DataProcessor, now: datetime, due_by: datetime | None) -> ProcessorProgress:
    """The record of a recipient at first: its own time, but not past the request's, and never less than a day."""
    channel = processor.spec.erasure
    by = now + timedelta(days=channel.due_days)
    by = max(now + LEAST, min(by, due_by or by)).replace(microsecond=0)
    states = {ErasureProtocol.MANUAL: ProcessorState.BY_HAND, ErasureProtocol.NONE: ProcessorState.EXEMPT}
    state = states.get(channel.protocol, ProcessorState.PENDING)
    return ProcessorProgress(name=processor.name, protocol=channel.protocol.value, state=state, by=by)


def enrolled(
    recorded: Iterable[ProcessorProgress], processors: Iterable[DataProcessor], now: datetime, due_by: datetime | None
) -> tuple[ProcessorProgress, ...]:
    """The records, with one for each recipient that has none. A record stays when its DataProcessor goes."""
    known = {entry.name: entry for entry in recorded}
    for processor in processors:
        before, fresh = known.get(processor.name), begun(processor, now, due_by)
        if before is None:
            known[processor.name] = fresh
        elif before.state not in FINAL and before.protocol != fresh.protocol:  # told in another way from now on
            known[processor.name] = fresh.model_copy(update={"by": before.by})
    return tuple(known[name] for name in sorted(known))


def ask(entry: ProcessorProgress, now: datetime) -> Ask | None:
    """What to ask; nothing of one that is done, or late."""
    if entry.state in FINAL or now >= entry.by:
        return None
    return Ask.TELL if entry.state is ProcessorState.PENDING else Ask.FOLLOW_UP


def answered(entry: ProcessorProgress, answer: Answer, now: datetime) -> ProcessorProgress:
    """The record after an answer. It never moves back: an old answer that comes late says nothing new."""
    if entry.state in FINAL:
        return entry
    state = answer.state or entry.state
    if state in _ORDER and _ORDER.index(state) < _ORDER.index(entry.state):
        state = entry.state
    moment = now.replace(microsecond=0)
    change: dict[str, object] = {"state": state, "detail": answer.detail[:128]}
    if state is not ProcessorState.PENDING and entry.told_at is None:
        change["told_at"] = moment
    if state in FINAL:
        change["completed_at"] = moment
    if answer.receipt_digest is not None and (state in FINAL or state is not entry.state):
        change["receipt_digest"] = answer.receipt_digest
    return entry.model_copy(update=change)


def timed(entry: ProcessorProgress, now: datetime) -> ProcessorProgress:
    """The record once its time is over."""
    if entry.state in FINAL or now < entry.by:
        return entry
    return entry.model_copy(update={"state": ProcessorState.OVERDUE, "completed_at": now.replace(microsecond=0)})


def finished(entries: Iterable[ProcessorProgress]) -> bool:
    """Whether nobody is waited for any more."""
    return all(entry.state in FINAL for entry in entries)


def _has_tenant(spec: DataProcessorSpec, tenant: str) -> bool:
    return spec.tenants.selection is Selection.ALL or tenant in spec.tenants.names
