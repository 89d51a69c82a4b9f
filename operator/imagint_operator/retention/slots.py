"""Pure: the moments for which runs are scheduled, and the id of a run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from imagint_operator.api.tenants import Tenant

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def interval(tenant: Tenant) -> timedelta:
    """The time from one run to the next."""
    return timedelta(hours=tenant.spec.retention_schedule.every_hours)


def slot_after(tenant: Tenant, now: datetime) -> datetime:
    """The next moment of the schedule, later than now, and later than the Tenant itself.

    The apiserver's clock says when a Tenant was made. A time before that is a clock of ours that was put back; a slot
    of then would be due the moment the clock is right again, and its run begin before its time.
    """
    every, made = interval(tenant), tenant.metadata.creation_timestamp
    since = max(now, made) if made is not None else now
    return _EPOCH + ((since - _EPOCH) // every + 1) * every


def run_id(tenant: Tenant, slot: datetime) -> str:
    """The id of the run of a slot: the same for whoever asks, and never that of another Tenant of the same name."""
    return f"retention-{slot.astimezone(UTC):%Y%m%dT%H}-{tenant.metadata.uid}"
