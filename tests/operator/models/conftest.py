"""A model at any point of its rollouts, and what a Serve that does as it is told looks like."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from imagint_operator.api.models import ModelDeployment, ModelDeploymentStatus
from imagint_operator.api.tenants import Tenant
from imagint_operator.kube.resources import ObjectKey
from imagint_operator.models.observations import Observed
from imagint_operator.models.plan import Probed
from imagint_operator.models.status import status
from imagint_operator.serve.ports import AppStatus
from imagint_operator.serve.revisions import route, running
from imagint_operator.serve.views import AppState

KEY = ObjectKey("ModelDeployment", "tenant-acme", "shapes")


@pytest.fixture
def serve(make_tenant: Callable[..., Tenant]) -> Callable[..., Observed]:
    """Everything that the record asks for runs, except for what `changes` says of single revisions."""

    def look(model: ModelDeployment, **changes: AppStatus) -> Observed:
        generation = model.metadata.generation
        apps = {
            revision: AppState(
                KEY, generation, f"digest-{revision}", changes.get("r" + revision, AppStatus.RUNNING), True
            )
            for revision in running(model.status.rollout)
        }
        routes = {model.name: route("acme", model)}
        gateway = AppState(KEY, 1, "gateway", changes.get("gateway", AppStatus.RUNNING), True, routes)
        return Observed(make_tenant(), apps, gateway)

    return look


@pytest.fixture
def written() -> Callable[..., ModelDeployment]:
    """The model after its status was written."""

    def write(model: ModelDeployment, observed: Observed, now: datetime, **outcome: Any) -> ModelDeployment:
        after = status(model, observed, Probed(**outcome), now)
        parsed = ModelDeploymentStatus.model_validate(after.to_wire())
        assert parsed == after
        return model.model_copy(update={"status": parsed})

    return write
