"""A tenant whose retention is due, and one with a run at any step, as an honest run records it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from imagint_operator.api.requests import KeyVersions
from imagint_operator.api.retention import RetentionOutcome, RetentionRun, RetentionStep
from imagint_operator.api.tenants import Tenant
from imagint_operator.retention.plan import recorded

RULES: list[dict[str, Any]] = [{"category": "images", "keepMonths": 24}, {"category": "prompts", "keepDays": 30}]


@pytest.fixture
def tenant(make_tenant: Callable[..., Tenant], now: datetime) -> Tenant:
    """A tenant with rules whose run is due."""
    return make_tenant(spec={"retention": RULES}, status={"retention": {"nextAt": now.isoformat()}})


@pytest.fixture
def last(now: datetime) -> RetentionOutcome:
    return RetentionOutcome(id="r", slot=now, started_at=now, finished_at=now, key_version=2)


@pytest.fixture
def at(now: datetime) -> Callable[..., Tenant]:
    """Gives a tenant with a run at a step."""
    steps = list(RetentionStep)
    found_in: list[tuple[RetentionStep, dict[str, Any]]] = [
        (RetentionStep.ROTATE, {"key_versions": KeyVersions(from_=1, to=2)}),
        (RetentionStep.COMMIT, {"generation": 7, "key_version": 2}),
        (RetentionStep.COPY, {"copies": 1}),
        (RetentionStep.DROP_CACHES, {"bound_seconds": 5.0}),
    ]

    def make(tenant: Tenant, step: RetentionStep, **fields: Any) -> Tenant:
        known: dict[str, Any] = {}
        for done, found in found_in:
            known |= found if steps.index(step) > steps.index(done) else {}
        run = RetentionRun(id="r", slot=now, started_at=now, rules=tenant.spec.retention, step=step)
        update = {"current": run.model_copy(update=known | fields), "next_at": now + timedelta(hours=12)}
        status = recorded(tenant).model_copy(update=update)
        return tenant.model_copy(update={"status": tenant.status.model_copy(update={"retention": status})})

    return make
