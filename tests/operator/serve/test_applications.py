"""What Serve is told about tenants and models."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from imagint_operator.api.models import ModelDeployment
from imagint_operator.api.tenants import Tenant
from imagint_operator.serve.applications import Application, render
from imagint_operator.settings import Settings

DRAINING = {"deletion": {"step": "Drain", "startedAt": "2026-01-01T00:00:00Z"}}
KEYED = {"key": {"name": "tenant-acme", "version": 1}}
MakeTenant = Callable[..., Tenant]
MakeModel = Callable[..., ModelDeployment]


def by_name(applications: tuple[Application, ...]) -> dict[str, dict[str, Any]]:
    return {application.name: dict(application.config) for application in applications}


def test_a_tenant_and_its_models_are_one_gateway_and_a_generator_each(
    make_tenant: MakeTenant, make_model: MakeModel, settings: Settings
) -> None:
    apps = by_name(render([make_tenant(status=KEYED)], [make_model(), make_model("other")], settings))
    assert list(apps) == ["acme.gateway", "acme.model.other", "acme.model.shapes"]
    assert [apps[name]["route_prefix"] for name in apps] == ["/acme", None, None]
    live = apps["acme.gateway"]["deployments"][0]["user_config"]
    assert live["models"]["shapes"]["app"] == "acme.model.shapes"


def test_a_model_never_reaches_another_tenants_gateway(
    make_tenant: MakeTenant, make_model: MakeModel, settings: Settings
) -> None:
    tenants = [
        make_tenant(status=KEYED),
        make_tenant("globex", status={"key": {"name": "tenant-globex", "version": 1}}),
    ]
    apps = by_name(render(tenants, [make_model()], settings))
    assert apps["globex.gateway"]["deployments"][0]["user_config"]["models"] == {}
    assert "globex.model.shapes" not in apps


@pytest.mark.parametrize(
    ("tenant", "served"),
    [
        pytest.param({}, False, id="a tenant without a key is not served yet"),
        pytest.param({"status": KEYED}, True, id="a tenant with a key is served"),
        pytest.param({"status": KEYED, "spec": {"state": "Suspended"}}, True, id="a suspended tenant keeps it"),
        pytest.param({"status": KEYED, "spec": {"compute": "Dedicated"}}, False, id="dedicated is not done here"),
        pytest.param({"status": KEYED, "deletionTimestamp": "2026-01-01T00:00:00Z"}, True, id="a refused deletion"),
        pytest.param(
            {"status": KEYED, "deletionTimestamp": "2026-01-01T00:00:00Z", "spec": {"deletion": {"policy": "Shred"}}},
            True, id="a tenant whose deletion is not recorded yet: its last root is to be kept first",
        ),
        pytest.param(
            {"status": KEYED | DRAINING, "deletionTimestamp": "2026-01-01T00:00:00Z",
             "spec": {"deletion": {"policy": "Shred"}}},
            False, id="a tenant that is being shredded is switched off",
        ),
    ],
)  # fmt: skip
def test_who_is_served(
    make_tenant: MakeTenant, make_model: MakeModel, settings: Settings, tenant: dict[str, Any], served: bool
) -> None:
    assert bool(render([make_tenant(**tenant)], [make_model()], settings)) is served


def test_suspension_and_quotas_change_live_settings_only(make_tenant: MakeTenant, settings: Settings) -> None:
    before = by_name(render([make_tenant(status=KEYED)], [], settings))["acme.gateway"]
    changed = {"state": "Suspended", "quotas": {"requestsPerMinute": 7}}
    after = by_name(render([make_tenant(status=KEYED, spec=changed)], [], settings))["acme.gateway"]
    assert before["args"] == after["args"]
    live = after["deployments"][0]["user_config"]
    assert (live["suspended"], live["limits"]["requests_per_minute"]) == (True, 7)


@pytest.mark.parametrize(
    ("spec", "deployment"),
    [
        pytest.param({}, {"num_replicas": 1}, id="a fixed number"),
        pytest.param({"replicas": {"min": 0, "max": 3}},
                     {"autoscaling_config": {"min_replicas": 0, "max_replicas": 3}}, id="down to zero"),
        pytest.param({"accelerator": {"type": "GPU", "count": 2}},
                     {"ray_actor_options": {"num_cpus": 0.5, "num_gpus": 2}, "num_replicas": 1}, id="on two GPUs"),
    ],
)  # fmt: skip
def test_replicas_and_accelerators(
    make_tenant: MakeTenant,
    make_model: MakeModel,
    settings: Settings,
    spec: dict[str, Any],
    deployment: dict[str, Any],
) -> None:
    apps = by_name(render([make_tenant(status=KEYED)], [make_model(spec=spec)], settings))
    assert deployment.items() <= apps["acme.model.shapes"]["deployments"][0].items()


def test_nothing_that_serve_shows_is_secret(
    make_tenant: MakeTenant, make_model: MakeModel, settings: Settings, now: datetime
) -> None:
    keys = {"apiKeys": [{"name": "app", "secretRef": {"name": "app-api-key", "key": "token"}}]}
    text = json.dumps(by_name(render([make_tenant(status=KEYED, spec=keys)], [make_model()], settings)))
    assert "app-api-key" not in text
    assert "token" not in text


def test_the_same_objects_give_the_same_digest_in_any_order(
    make_tenant: MakeTenant, make_model: MakeModel, settings: Settings
) -> None:
    models = [make_model("a"), make_model("b")]
    one = render([make_tenant(status=KEYED)], models, settings)
    two = render([make_tenant(status=KEYED)], list(reversed(models)), settings)
    assert [app.digest for app in one] == [app.digest for app in two]


def test_a_tenant_made_anew_under_an_old_name_gets_storage_of_its_own(
    make_tenant: MakeTenant, settings: Settings
) -> None:
    old = make_tenant(status=KEYED)
    new = old.model_copy(update={"metadata": old.metadata.model_copy(update={"uid": "another-uid"})})
    storages = [by_name(render([t], [], settings))["acme.gateway"]["args"]["storage"] for t in (old, new)]
    assert not set(map(str, storages[0].values())) & set(map(str, storages[1].values()))


def test_a_model_may_come_from_the_tenants_own_folder_or_the_shared_one(
    make_tenant: MakeTenant, make_model: MakeModel, settings: Settings
) -> None:
    args = by_name(render([make_tenant(status=KEYED)], [make_model()], settings))["acme.model.shapes"]["args"]
    root = settings.models_root
    assert args["model_roots"] == [f"{root}/tenant-acme", f"{root}/shared"]
