"""Pure: what the objects of a cluster come to, as numbers. Told what is recorded and what time it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from imagint_operator.api.base import Condition, Kind
from imagint_operator.api.breaches import BreachIncident, Risk
from imagint_operator.api.requests import DataSubjectRequest, ProcessorState, StepName
from imagint_operator.api.tenants import Tenant
from imagint_operator.conditions import holds
from imagint_operator.telemetry import series
from imagint_operator.telemetry.series import Series
from imagint_operator.turns import COMPLETE, between_rotate_and_trim, retention_has_key
from imagint_privacy import clocks

TOP_CONDITIONS = ("Ready", "Complete", "Active")
NEW = "New"
DELETING = "Deleting"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The objects as they were known then."""

    at: datetime
    objects: tuple[Kind, ...] = ()


@dataclass(frozen=True, slots=True)
class Figure:
    """One sample."""

    series: Series
    value: float
    labels: tuple[str, ...] = field(default=())


StaleSince = Mapping[tuple[str, int], datetime]


def figures(snapshot: Snapshot, since: StaleSince, now: datetime) -> Iterator[Figure]:
    """Every figure that the objects give."""
    requests = [seen for seen in snapshot.objects if isinstance(seen, DataSubjectRequest)]
    tenants = [seen for seen in snapshot.objects if isinstance(seen, Tenant)]
    yield Figure(series.SNAPSHOT_AGE, max(0.0, (now - snapshot.at).total_seconds()))
    yield from _objects(snapshot.objects)
    yield from _stale(snapshot.objects, since, now)
    yield from _counted(series.TENANTS, ((tenant_state(tenant),) for tenant in tenants))
    yield from _requests([request for request in requests if not complete(request)], now)
    waits = [*_untrimmed(requests, now), *_untrimmed_by_retention(tenants, now)]
    yield Figure(series.UNTRIMMED, max(waits, default=0.0))
    yield from _retention(tenants, now)
    ended = [request.status.completed_at for request in requests if certified(request)]
    newest = max((moment for moment in ended if moment is not None), default=None)
    if newest is not None:
        yield Figure(series.CERTIFICATE_AGE, max(0.0, (now - newest).total_seconds()))
    untold = [untold_seconds(seen, now) for seen in snapshot.objects if isinstance(seen, BreachIncident)]
    left = [seconds for seconds in untold if seconds is not None]
    if left:
        yield Figure(series.BREACH_DEADLINE, min(left))
    receipts = [entry for request in requests for entry in request.status.processors]
    yield Figure(series.RECEIPTS_OVERDUE, sum(entry.state is ProcessorState.OVERDUE for entry in receipts))


def untold_seconds(incident: BreachIncident, now: datetime) -> float | None:
    """Time left to tell the authority (GDPR 33(1)); None when it was told or need not be."""
    if incident.spec.authority_notice is not None or incident.spec.risk is Risk.UNLIKELY:
        return None
    return (clocks.breach_notification_due(incident.spec.discovered_at) - now).total_seconds()


def stale(seen: Kind) -> bool:
    """Whether the operator has not acted on the newest generation."""
    status = getattr(seen, "status", None)
    return status is not None and status.observed_generation < seen.metadata.generation


def complete(request: DataSubjectRequest) -> bool:
    """Whether a request is answered."""
    return holds(request.status.conditions, COMPLETE)


def certified(request: DataSubjectRequest) -> bool:
    """Whether a request is answered and a certificate says so."""
    evidence = request.status.evidence
    return complete(request) and evidence is not None and evidence.digest is not None


def received(request: DataSubjectRequest) -> datetime | None:
    """From when on a request's clock runs."""
    return request.spec.received_at or request.metadata.creation_timestamp


def tenant_state(tenant: Tenant) -> str:
    """A tenant's state, or that it is going."""
    return DELETING if tenant.metadata.deletion_timestamp is not None else tenant.spec.state.value


def due_by(request: DataSubjectRequest) -> datetime | None:
    """When a request is due: as recorded, else as the law says of one that nobody has looked at yet."""
    since = received(request)
    recorded = request.status.extended_due_by or request.status.due_by
    if recorded is not None or since is None:
        return recorded
    return clocks.deadlines(request.spec.regulation.value, since).due_by


def _objects(objects: Iterable[Kind]) -> Iterator[Figure]:
    yield from _counted(series.OBJECTS, ((type(seen).__name__, *_top(seen)) for seen in objects))


def _top(seen: Kind) -> tuple[str, str]:
    status = getattr(seen, "status", None)
    conditions: tuple[Condition, ...] = getattr(status, "conditions", ())
    top = next((condition for condition in conditions if condition.type in TOP_CONDITIONS), None)
    return (top.status.value, top.reason) if top is not None else ("Unknown", NEW)


def _stale(objects: Iterable[Kind], since: StaleSince, now: datetime) -> Iterator[Figure]:
    counts: Counter[str] = Counter()
    oldest: dict[str, float] = {}
    for seen in objects:
        name = type(seen).__name__
        counts[name] += stale(seen)
        first = since.get((seen.metadata.uid, seen.metadata.generation), now)
        waited = max(0.0, (now - first).total_seconds()) if stale(seen) else 0.0
        oldest[name] = max(oldest.get(name, 0.0), waited)
    for name, count in sorted(counts.items()):
        yield Figure(series.STALE_OBJECTS, count, (name,))
        yield Figure(series.STALE_SECONDS, oldest[name], (name,))


def _requests(requests: list[DataSubjectRequest], now: datetime) -> Iterator[Figure]:
    yield from _counted(series.DSR_OPEN, (_by_law(request) for request in requests))
    left: dict[str, float] = {}
    ages: dict[str, float] = {}
    overdue: list[tuple[str, ...]] = []
    for request in requests:
        kind, since, due = request.spec.type.value, received(request), due_by(request)
        if since is not None:
            ages[kind] = max(ages.get(kind, 0.0), (now - since).total_seconds())
        if due is not None:
            remaining = (due - now).total_seconds()
            left[kind] = min(left.get(kind, remaining), remaining)
            overdue += [_by_law(request)] if remaining < 0 else []
    yield from (Figure(series.DSR_OLDEST, value, (kind,)) for kind, value in sorted(ages.items()))
    yield from (Figure(series.DSR_DEADLINE, value, (kind,)) for kind, value in sorted(left.items()))
    yield from _counted(series.DSR_OVERDUE, overdue)


def _by_law(request: DataSubjectRequest) -> tuple[str, str]:
    return request.spec.type.value, request.spec.regulation.value


def _untrimmed(requests: Iterable[DataSubjectRequest], now: datetime) -> Iterator[float]:
    for request in requests:
        rotate = next((step for step in request.status.steps if step.name is StepName.ROTATE), None)
        if between_rotate_and_trim(request) and rotate is not None and rotate.started_at is not None:
            yield (now - rotate.started_at).total_seconds()


def _untrimmed_by_retention(tenants: Iterable[Tenant], now: datetime) -> Iterator[float]:
    """A run does not record when it rotated: since it began is the longest that it can be."""
    for tenant in tenants:
        run = tenant.status.retention.current if tenant.status.retention is not None else None
        if run is not None and retention_has_key(run):
            yield (now - run.started_at).total_seconds()


def _retention(tenants: Iterable[Tenant], now: datetime) -> Iterator[Figure]:
    latest, behind = timedelta(), 0
    for tenant in tenants:
        record = tenant.status.retention
        if record is None or not tenant.spec.retention:
            continue
        since = record.current.slot if record.current is not None else record.next_at
        late = now - since if since is not None else timedelta()
        latest = max(latest, late)
        behind += late > timedelta(hours=tenant.spec.retention_schedule.every_hours)
    yield Figure(series.RETENTION_LATE, latest.total_seconds())
    yield Figure(series.RETENTION_BEHIND, behind)


def _counted(of: Series, labels: Iterable[tuple[str, ...]]) -> Iterator[Figure]:
    return (Figure(of, count, found) for found, count in sorted(Counter(labels).items()))
