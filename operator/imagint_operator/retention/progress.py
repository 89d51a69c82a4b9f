"""Pure: how the record of a tenant's retention moves, and what its condition says."""

from __future__ import annotations

from datetime import datetime

from imagint_operator.api.base import ApiModel, Conditions, ConditionStatus
from imagint_operator.api.retention import RetentionOutcome, RetentionRun, RetentionStatus
from imagint_operator.api.tenants import Tenant
from imagint_operator.conditions import Verdict, find, merged, no
from imagint_operator.retention.findings import Finding, counts
from imagint_operator.retention.plan import recorded
from imagint_operator.retention.slots import interval, run_id, slot_after

RETENTION_CURRENT = "RetentionCurrent"
SCHEDULED = "Scheduled"
IN_PROGRESS = "InProgress"
COMPLETED = "Completed"
FAILED = "Failed"
BEHIND = "Behind"


class RetentionPart(ApiModel):
    """What of a Tenant's status is retention's."""

    retention: RetentionStatus | None = None
    conditions: Conditions = ()


def part(tenant: Tenant) -> RetentionPart:
    """Retention's part of the recorded status."""
    found = find(tenant.status.conditions, RETENTION_CURRENT)
    return RetentionPart(retention=tenant.status.retention, conditions=(found,) if found else ())


def stored(tenant: Tenant, written: RetentionPart) -> Tenant:
    """The Tenant as stored once retention's part is written."""
    others = tuple(condition for condition in tenant.status.conditions if condition.type != RETENTION_CURRENT)
    update = {"retention": written.retention, "conditions": others + written.conditions}
    return tenant.model_copy(update={"status": tenant.status.model_copy(update=update)})


def scheduled(tenant: Tenant, now: datetime) -> RetentionStatus:
    """The record with the moment of the next run."""
    return recorded(tenant).model_copy(update={"next_at": slot_after(tenant, now)})


def started(tenant: Tenant, now: datetime) -> RetentionStatus:
    """The record with a run for the slot that has come; the one after it is scheduled at once, so that none repeats."""
    status = recorded(tenant)
    slot = status.next_at or now
    run = RetentionRun(id=run_id(tenant, slot), slot=slot, started_at=now, rules=tenant.spec.retention)
    return status.model_copy(update={"current": run, "next_at": slot_after(tenant, now)})


def ended(status: RetentionStatus) -> RetentionStatus:
    """The record without a run under way."""
    return status.model_copy(update={"current": None})


def advanced(status: RetentionStatus, finding: Finding, now: datetime) -> RetentionStatus:
    """The record with what an operation of the run found."""
    run = status.current
    if run is None or finding.dropped:
        return ended(status)
    if finding.completed is not None:
        return ended(status).model_copy(update={"last": _outcome(run, finding, now)})
    step = finding.next or run.step
    return status.model_copy(update={"current": run.model_copy(update={**finding.changes, "step": step})})


def _outcome(run: RetentionRun, finding: Finding, now: datetime) -> RetentionOutcome:
    answer = finding.completed
    found = counts(answer) if answer is not None else ()
    return RetentionOutcome(
        id=run.id,
        slot=run.slot,
        started_at=run.started_at,
        finished_at=now,
        rules_digest=run.rules_digest,
        counts=found,
        forgotten_paths=sum(count.forgotten for count in found),
        withheld_paths=sum(count.withheld for count in found),
        generation=run.generation,
        key_version=run.key_versions.to if run.key_versions else None,
    )


def judged(tenant: Tenant, status: RetentionStatus, verdict: Verdict | None, now: datetime) -> RetentionPart:
    """What to write; without rules nothing is promised, so there is no condition, and only the last run is kept."""
    if not tenant.spec.retention and status.current is None:
        kept = RetentionStatus(last=status.last) if status.last else None
        return RetentionPart(retention=kept)
    verdicts = (verdict,) if verdict else ()
    conditions = merged(tenant.status.conditions, verdicts, generation=tenant.metadata.generation, now=now)
    return RetentionPart(retention=status, conditions=conditions)


def verdict(tenant: Tenant, status: RetentionStatus, now: datetime, why: str = "") -> Verdict:
    """How current the tenant's retention is; `why` says what a run that is due or under way waits for."""
    since = status.current.slot if status.current else status.next_at
    because = f": {why}" if why else ""
    if since is not None and now - since > interval(tenant):
        at = f"is at step {status.current.step}" if status.current else "has not begun"
        return no(RETENTION_CURRENT, BEHIND, f"the run of {_shown(since)} {at}{because}")
    if status.current is not None:
        message = f"the run of {_shown(status.current.slot)} is at step {status.current.step}{because}"
        return _kept(status, IN_PROGRESS, message)
    if why:
        return _kept(status, SCHEDULED, f"the run of {_shown(since)} waits{because}")
    if status.last is None:
        return no(RETENTION_CURRENT, SCHEDULED, f"the first run begins at {_shown(since)}")
    last = status.last
    found = f"{last.forgotten_paths} key paths forgotten, {last.withheld_paths} withheld"
    return _kept(status, COMPLETED, f"the run of {_shown(last.slot)} is complete: {found}; next: {_shown(since)}")


def failed(status: RetentionStatus, why: str) -> Verdict:
    """The verdict when somebody refuses, or did not find what there must be."""
    at = f"step {status.current.step} failed: " if status.current else ""
    return no(RETENTION_CURRENT, FAILED, f"{at}{why}")


def _kept(status: RetentionStatus, reason: str, message: str) -> Verdict:
    """What the last run left in order stays so until a later one is overdue."""
    holds = ConditionStatus.FALSE if status.last is None else ConditionStatus.TRUE
    return Verdict(RETENTION_CURRENT, holds, reason, message)


def _shown(moment: datetime | None) -> str:
    return moment.isoformat(timespec="minutes").replace("+00:00", "Z") if moment is not None else "an unknown moment"
