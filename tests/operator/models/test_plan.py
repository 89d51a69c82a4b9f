"""A model is Ready only when Serve runs what is wanted and a picture came back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from imagint_operator.api.models import ModelDeployment, ProbeStatus
from imagint_operator.api.tenants import Tenant
from imagint_operator.errors import DataPlaneUnavailableError, ServeUnavailableError
from imagint_operator.kube.resources import ObjectKey
from imagint_operator.models.observations import Observed
from imagint_operator.models.plan import AskWriter, Probe, Probed, plan, status
from imagint_operator.serve.ports import AppStatus
from imagint_operator.serve.views import AppState

Make = Callable[..., ModelDeployment]
APP = AppState(ObjectKey("ModelDeployment", "tenant-acme", "shapes"), 1, "d1", AppStatus.RUNNING, current=True)


@pytest.fixture
def running(make_tenant: Callable[..., Tenant]) -> Observed:
    return Observed(make_tenant(), APP, APP)


def probed(model: ModelDeployment, observed: Observed, now: datetime) -> ModelDeployment:
    """The model after a probe that passed."""
    passed = Probed(passed=ProbeStatus(config_digest="d1", at=now, milliseconds=20))
    return model.model_copy(update={"status": status(model, observed, passed, now)})


def test_a_running_model_is_tried_once(make_model: Make, running: Observed, now: datetime) -> None:
    model = make_model()
    assert plan(model, running) == (Probe("acme", "shapes", "d1"),)
    assert plan(probed(model, running, now), running) == ()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({"tenant": None}, (), id="a namespace without a tenant is left alone"),
        pytest.param({"app": None}, (AskWriter(),), id="an application nobody asked for is asked for"),
        pytest.param({"app": replace(APP, generation=0)}, (AskWriter(),), id="an older generation is asked for anew"),
        pytest.param({"app": replace(APP, status=AppStatus.DEPLOYING)}, (), id="a starting model is not tried"),
        pytest.param({"app": replace(APP, current=False)}, (), id="an older configuration is not tried"),
        pytest.param({"gateway": None}, (), id="without a gateway nothing can be tried"),
        pytest.param({"problem": ServeUnavailableError("down")}, (), id="nothing is planned on a stale view"),
    ],
)
def test_it_is_tried_only_when_it_can_answer(
    make_model: Make, running: Observed, changes: dict[str, Any], expected: tuple[object, ...]
) -> None:
    assert plan(make_model(), replace(running, **changes)) == expected


def test_a_new_configuration_is_tried_again(make_model: Make, running: Observed, now: datetime) -> None:
    model = probed(make_model(), running, now)
    changed = replace(running, app=replace(APP, digest="d2"))
    assert plan(model, changed) == (Probe("acme", "shapes", "d2"),)


def test_a_model_that_was_restarted_is_tried_again(make_model: Make, running: Observed, now: datetime) -> None:
    model = probed(make_model(), running, now)
    restarting = replace(running, app=replace(APP, status=AppStatus.DEPLOYING))
    model = model.model_copy(update={"status": status(model, restarting, Probed(), now)})
    assert plan(model, running) == (Probe("acme", "shapes", "d1"),)


@pytest.mark.parametrize(
    ("changes", "probe", "reason"),
    [
        pytest.param({}, Probed(), "NotProbed", id="running is not enough"),
        pytest.param({}, Probed(problem=DataPlaneUnavailableError("no")), "ProbeFailed", id="no picture came back"),
        pytest.param({"tenant": None}, Probed(), "TenantMissing", id="a namespace without a tenant"),
        pytest.param({"app": None}, Probed(), "Waiting", id="not asked for yet"),
        pytest.param(
            {"app": replace(APP, status=AppStatus.DEPLOY_FAILED)}, Probed(), "DeployFailed", id="cannot start"
        ),
        pytest.param({"app": replace(APP, status=AppStatus.UNHEALTHY)}, Probed(), "Unhealthy", id="unhealthy"),
        pytest.param({"problem": ServeUnavailableError("no")}, Probed(), "DataPlaneUnavailable", id="ray is gone"),
    ],
)
def test_it_is_not_ready_for_a_reason(
    make_model: Make, running: Observed, now: datetime, changes: dict[str, Any], probe: Probed, reason: str
) -> None:
    ready = status(make_model(), replace(running, **changes), probe, now).conditions[0]
    assert (ready.type, ready.status.value, ready.reason) == ("Ready", "False", reason)


def test_it_is_ready_when_a_picture_came_back(make_model: Make, running: Observed, now: datetime) -> None:
    model = probed(make_model(), running, now)
    assert [condition.status.value for condition in model.status.conditions] == ["True"] * 3
    assert status(model, running, Probed(), now.replace(year=2027)) == model.status
