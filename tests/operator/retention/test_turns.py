"""Whose turn it is with the key: erasures and retention never come between each other's Rotate and Trim."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from imagint_operator.api.requests import DataSubjectRequest, KeyVersions, Step, StepName, StepState
from imagint_operator.api.retention import RetentionOutcome, RetentionStep
from imagint_operator.api.tenants import Tenant
from imagint_operator.decisions import Wait
from imagint_operator.requests import observations as erasures
from imagint_operator.requests import plan as erasure_plan
from imagint_operator.retention.observations import Observed
from imagint_operator.retention.plan import Operation, Run, plan, recorded
from imagint_operator.tenants.observations import KeyView
from imagint_operator.tenants.observations import Observed as TenantObserved
from imagint_operator.tenants.plan import destroyed_below
from imagint_operator.turns import before_retention
from imagint_privacy.keys.ports import KeyState

At = Callable[..., Tenant]
Make = Callable[..., Tenant]
KEY = KeyState("tenant-acme", 1, 1, 0, 0, exportable=False, allow_plaintext_backup=False, deletion_allowed=False)
VERSIONS = KeyVersions(from_=1, to=2)
RULES: list[dict[str, Any]] = [{"category": "images", "keepMonths": 24}, {"category": "prompts", "keepDays": 30}]


class TestTurns:
    """Erasures and retention never come between each other's Rotate and Trim."""

    @pytest.mark.parametrize(
        "step", [pytest.param(step, id=step.value) for step in RetentionStep if step is not RetentionStep.ROTATE]
    )
    def test_an_erasure_waits_exactly_while_retention_does_not(
        self,
        tenant: Tenant,
        make_request: Callable[..., DataSubjectRequest],
        now: datetime,
        step: RetentionStep,
        at: At,
    ) -> None:
        run = at(tenant, step)
        seen = Observed(replace(KEY, latest_version=2), erasures=("ada",))
        retention_waits = isinstance(plan(run, seen, now), Wait)
        decided = erasure_plan.plan(make_request(), erasures.Observed(run, KEY, upsert_disabled=True), now)
        erasure_waits = isinstance(decided, Wait)
        assert retention_waits is not erasure_waits
        has_key = step in {RetentionStep.COMMIT, RetentionStep.COPY, RetentionStep.DROP_CACHES, RetentionStep.TRIM}
        assert erasure_waits is has_key
        if isinstance(decided, Wait):
            assert decided.reason == "Queued"

    def test_recorded_versions_hold_the_key_even_if_nothing_was_rotated_yet(
        self, tenant: Tenant, make_request: Callable[..., DataSubjectRequest], now: datetime, at: At
    ) -> None:
        run = at(tenant, RetentionStep.ROTATE, key_versions=VERSIONS)
        decided = erasure_plan.plan(make_request(), erasures.Observed(run, KEY, upsert_disabled=True), now)
        assert isinstance(decided, Wait)
        assert plan(run, Observed(KEY, erasures=("ada",)), now) == Run(Operation.ROTATE)

    def test_while_an_erasure_is_in_work_retention_waits(self, tenant: Tenant, now: datetime) -> None:
        decision = plan(tenant, Observed(KEY, busy="uid-ada"), now)
        assert isinstance(decision, Wait)
        assert decision.reason == "Queued"

    @pytest.mark.parametrize(
        ("status", "spec", "first"),
        [
            pytest.param({}, {}, True, id="an erasure that nobody has looked at yet goes first"),
            pytest.param({"reason": "InProgress"}, {}, True, id="one under way goes first"),
            pytest.param({"reason": "NotYetReceived"}, {}, False, id="one of the future does not"),
            pytest.param({"reason": "ProbeFailed"}, {}, False, id="one that is stuck with its key whole does not"),
            pytest.param({"reason": "PurgeIncomplete"}, {}, False, id="one with ciphertext left does not"),
            pytest.param({"reason": "ProberRefused"}, {}, False, id="one that the prober refuses does not"),
            pytest.param({"reason": "VaultUnavailable"}, {}, True, id="one that waits for Vault does"),
            pytest.param({"reason": "Erased", "status": "True"}, {}, False, id="one that is complete does not"),
            pytest.param({}, {"type": "Access"}, False, id="another right does not"),
        ],
    )
    def test_which_erasures_go_first(
        self,
        make_request: Callable[..., DataSubjectRequest],
        now: datetime,
        status: dict[str, str],
        spec: dict[str, Any],
        first: bool,
    ) -> None:
        condition = {"type": "Complete", "status": "False", "message": "", "lastTransitionTime": now.isoformat()}
        conditions = [condition | status] if status else []
        assert before_retention(make_request(spec=spec, status={"conditions": conditions})) is first

    def test_one_that_has_rotated_goes_first_however_stuck(
        self, make_request: Callable[..., DataSubjectRequest], now: datetime
    ) -> None:
        stuck = {"type": "Complete", "status": "False", "reason": "ProbeFailed", "message": "",
                 "lastTransitionTime": now.isoformat()}  # fmt: skip
        versions = {"from": 1, "to": 2}
        assert before_retention(make_request(status={"conditions": [stuck], "keyVersions": versions}))
        done = [Step(name=StepName.TRIM, state=StepState.DONE).to_wire()]
        trimmed = make_request(status={"conditions": [stuck], "keyVersions": versions, "steps": done})
        assert not before_retention(trimmed)


@pytest.mark.parametrize("step", [pytest.param(step, id=step.value) for step in RetentionStep])
def test_what_retention_destroyed_is_destroyed_again_after_a_restore(
    tenant: Tenant, now: datetime, step: RetentionStep, at: At, last: RetentionOutcome
) -> None:
    """The tenants' plan replays the trims of retention as it does those of erasures."""
    seen = TenantObserved(key=KeyView(state=replace(KEY, latest_version=2)))
    trimmed = step in {RetentionStep.PURGE, RetentionStep.COMPLETE}
    assert destroyed_below(at(tenant, step), seen) == (2 if trimmed else 0)
    done = recorded(tenant).model_copy(update={"last": last})
    assert (
        destroyed_below(
            tenant.model_copy(update={"status": tenant.status.model_copy(update={"retention": done})}), seen
        )
        == 2
    )
