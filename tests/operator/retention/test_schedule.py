"""When a run begins, when none does, and what people read about it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from imagint_operator.api.requests import KeyVersions
from imagint_operator.api.retention import RetentionOutcome, RetentionRule, RetentionStatus, RetentionStep
from imagint_operator.api.tenants import Tenant
from imagint_operator.decisions import Rest, Wait
from imagint_operator.retention import progress
from imagint_operator.retention.plan import Operation, Run, recorded, without_looking
from imagint_privacy.keys.ports import KeyState

At = Callable[..., Tenant]
Make = Callable[..., Tenant]
KEY = KeyState("tenant-acme", 1, 1, 0, 0, exportable=False, allow_plaintext_backup=False, deletion_allowed=False)
VERSIONS = KeyVersions(from_=1, to=2)
RULES: list[dict[str, Any]] = [{"category": "images", "keepMonths": 24}, {"category": "prompts", "keepDays": 30}]


class TestSchedule:
    """When a run begins, and when none does."""

    def test_new_rules_wait_for_the_next_slot(self, make_tenant: Make, now: datetime) -> None:
        tenant = make_tenant(spec={"retention": RULES})
        assert without_looking(tenant, now) == Run(Operation.SCHEDULE)
        status = tenant.status.model_copy(update={"retention": progress.scheduled(tenant, now)})
        tenant = tenant.model_copy(update={"status": status})
        midnight = now.replace(hour=0) + timedelta(days=1)
        assert without_looking(tenant, now) == Rest(midnight)
        assert without_looking(tenant, midnight) is None

    @pytest.mark.parametrize("back", [pytest.param(2, id="two hours"), pytest.param(960, id="forty days")])
    def test_a_clock_put_back_before_the_tenant_was_made_moves_no_run(
        self, make_tenant: Make, now: datetime, back: int
    ) -> None:
        """When the clock is right again nothing is due that was not due before."""
        spec = {"retention": RULES, "retentionSchedule": {"everyHours": 1}}
        tenant = make_tenant(spec=spec, creationTimestamp=now.isoformat())
        update = {"retention": progress.scheduled(tenant, now)}
        tenant = tenant.model_copy(update={"status": tenant.status.model_copy(update=update)})
        slot = now + timedelta(hours=1)
        assert without_looking(tenant, now - timedelta(hours=back)) == Rest(slot)
        assert progress.scheduled(tenant, now - timedelta(hours=back)).next_at == slot
        assert without_looking(tenant, slot) is None

    def test_a_quicker_schedule_takes_effect_at_once(self, make_tenant: Make, now: datetime) -> None:
        status = {"retention": {"nextAt": (now + timedelta(hours=12)).isoformat()}}
        hourly = make_tenant(spec={"retention": RULES, "retentionSchedule": {"everyHours": 1}}, status=status)
        assert without_looking(hourly, now) == Run(Operation.SCHEDULE)
        assert progress.scheduled(hourly, now).next_at == now + timedelta(hours=1)

    def test_a_run_is_never_repeated_for_its_slot_and_missed_slots_are_not_made_up_for(
        self, tenant: Tenant, now: datetime
    ) -> None:
        late = now + timedelta(days=3)
        status = progress.started(tenant, late)
        assert status.current is not None
        assert status.current.id == "retention-20261123T12-uid-acme"
        assert status.next_at == late.replace(hour=0) + timedelta(days=1)

    @pytest.mark.parametrize(
        ("spec", "metadata", "expected"),
        [
            pytest.param({}, {}, Rest(), id="without rules there are no runs"),
            pytest.param({"state": "Suspended", "retention": RULES}, {}, "TenantSuspended", id="a suspended tenant"),
            pytest.param(
                {"retention": RULES}, {"deletionTimestamp": "2026-11-23T11:00:00Z"}, Rest(), id="a leaving one"
            ),
        ],
    )
    def test_no_run_begins(
        self, make_tenant: Make, now: datetime, spec: dict[str, Any], metadata: dict[str, Any], expected: object
    ) -> None:
        tenant = make_tenant(spec=spec, status={"retention": {"nextAt": now.isoformat()}}, **metadata)
        decision = without_looking(tenant, now)
        assert (decision.reason if isinstance(decision, Wait) else decision) == expected

    @pytest.mark.parametrize("step", [pytest.param(step, id=step.value) for step in RetentionStep])
    def test_a_leaving_tenant_only_ends_what_has_its_key(
        self, make_tenant: Make, now: datetime, step: RetentionStep, at: At
    ) -> None:
        leaving = make_tenant(spec={"retention": RULES}, deletionTimestamp=now.isoformat())
        decision = without_looking(at(leaving, step), now)
        has_key = step in {RetentionStep.COMMIT, RetentionStep.COPY, RetentionStep.DROP_CACHES, RetentionStep.TRIM}
        assert (decision is None) is has_key

    @pytest.mark.parametrize("step", [pytest.param(step, id=step.value) for step in RetentionStep])
    def test_changed_rules_drop_a_run_only_before_its_key_is_rotated(
        self, tenant: Tenant, now: datetime, step: RetentionStep, at: At
    ) -> None:
        begun = at(tenant, step, rules=(RetentionRule.model_validate(RULES[0]),))
        decision = without_looking(begun, now)
        early = step in {RetentionStep.BEGIN, RetentionStep.ROTATE}
        assert (decision == Run(Operation.DROP)) is early
        if early:
            status = begun.status.model_copy(update={"retention": progress.ended(recorded(begun))})
            assert without_looking(begun.model_copy(update={"status": status}), now) == Rest(now + timedelta(hours=12))


class TestVerdict:
    """What people read: RetentionCurrent, with fixed reasons."""

    @pytest.mark.parametrize(
        ("before", "why", "later", "status", "reason"),
        [
            pytest.param(False, "", -1, "False", "Scheduled", id="no run yet"),
            pytest.param(True, "", -1, "True", "Completed", id="the last is complete and the next is not due"),
            pytest.param(True, "queued", 1, "True", "Scheduled", id="the next waits, not for long"),
            pytest.param(False, "queued", 1, "False", "Scheduled", id="the first waits"),
            pytest.param(True, "the tenant is suspended", 25, "False", "Behind", id="the next waits for too long"),
        ],
    )
    def test_between_runs(
        self,
        *,
        tenant: Tenant,
        now: datetime,
        last: RetentionOutcome,
        before: bool,
        why: str,
        later: int,
        status: str,
        reason: str,
    ) -> None:
        kept = recorded(tenant).model_copy(update={"last": last if before else None})
        verdict = progress.verdict(tenant, kept, now + timedelta(hours=later), why)
        assert (verdict.status.value, verdict.reason) == (status, reason)
        assert why in verdict.message

    @pytest.mark.parametrize(
        ("before", "later", "status", "reason"),
        [
            pytest.param(True, 1, "True", "InProgress", id="under way, and the one before was complete"),
            pytest.param(False, 1, "False", "InProgress", id="the first under way"),
            pytest.param(True, 25, "False", "Behind", id="under way for longer than from one run to the next"),
        ],
    )
    def test_within_a_run(
        self,
        *,
        tenant: Tenant,
        now: datetime,
        last: RetentionOutcome,
        before: bool,
        later: int,
        status: str,
        reason: str,
        at: At,
    ) -> None:
        kept = recorded(at(tenant, RetentionStep.COPY)).model_copy(update={"last": last if before else None})
        verdict = progress.verdict(tenant, kept, now + timedelta(hours=later), "the Gateway does not answer")
        assert (verdict.status.value, verdict.reason) == (status, reason)
        assert "Copy: the Gateway does not answer" in verdict.message

    def test_without_rules_there_is_no_condition_and_the_last_run_stays(
        self, make_tenant: Make, now: datetime, last: RetentionOutcome
    ) -> None:
        bare = make_tenant()
        status = RetentionStatus(next_at=now, last=last)
        part = progress.judged(bare, status, progress.verdict(bare, status, now), now)
        assert part.conditions == ()
        assert part.retention == RetentionStatus(last=last)

    def test_a_failure_names_its_step(self, tenant: Tenant, now: datetime, at: At) -> None:
        verdict = progress.failed(recorded(at(tenant, RetentionStep.PURGE)), "the purge left 3 behind")
        assert (verdict.reason, verdict.message) == ("Failed", "step Purge failed: the purge left 3 behind")
