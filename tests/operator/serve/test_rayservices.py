"""What a RayService consists of: checked against KubeRay's own schema, where that is at hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from imagint_operator.api.models import ModelDeployment
from imagint_operator.api.tenants import Tenant
from imagint_operator.serve.applications import generator
from imagint_operator.serve.kuberay import deployed
from imagint_operator.serve.ports import AppStatus
from imagint_operator.serve.rayservices import Place, render, undeclared
from imagint_operator.serve.revisions import revision_of, template_of
from imagint_operator.settings import Settings

MakeTenant = Callable[..., Tenant]
MakeModel = Callable[..., ModelDeployment]
OWN, SHARED = Place("tenant-acme", "acme"), Place("imagint-system")
H100 = "NVIDIA-H100-80GB-HBM3"


@pytest.fixture
def kuberay(settings: Settings) -> Settings:
    return settings.model_copy(update={"ray_image": "registry.example/imagint@sha256:" + "0" * 64})


@pytest.fixture(scope="session")
def schema(kuberay_crds: Path) -> dict[str, Any]:
    crd = yaml.load((kuberay_crds / "ray.io_rayservices.yaml").read_text(), Loader=yaml.CSafeLoader)
    (version,) = [found for found in crd["spec"]["versions"] if found["name"] == "v1"]
    found: dict[str, Any] = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return found


@pytest.fixture
def apps(make_tenant: MakeTenant, make_model: MakeModel, kuberay: Settings) -> list[Any]:
    specs: list[dict[str, Any]] = [
        {},
        {"accelerator": {"type": "GPU"}, "replicas": {"min": 0, "max": 3}},
        {"accelerator": {"type": "GPU", "count": 4, "product": H100}, "replicas": {"min": 1, "max": 2}},
    ]
    models = [make_model(f"m{at}", spec=spec) for at, spec in enumerate(specs)]
    templates = [template_of(model.spec) for model in models]
    made = [(model, revision_of(template), template) for model, template in zip(models, templates, strict=True)]
    return [generator(make_tenant(), *revision, kuberay).config for revision in made]


CHANGES: list[Any] = [
    pytest.param({}, id="as set by default"),
    pytest.param({"ray_gateway_class": "istio"}, id="upgraded step by step"),
    pytest.param({"ray_mutual_tls": True, "ray_version": "2.60.0"}, id="with mutual TLS"),
    pytest.param({"ray_authentication": False}, id="for a KubeRay without authentication"),
    pytest.param({"ray_data_claim": "imagint-data"}, id="with a volume"),
]


@pytest.mark.parametrize("place", [OWN, SHARED], ids=["a tenant's own", "shared"])
@pytest.mark.parametrize("changes", CHANGES)
def test_every_field_is_one_that_kuberay_knows(
    schema: dict[str, Any], kuberay: Settings, apps: list[Any], place: Place, changes: dict[str, Any]
) -> None:
    spec = render(place, apps, kuberay.model_copy(update=changes))["spec"]
    jsonschema.validate(spec, schema)
    assert undeclared(spec, schema) == []


def test_what_a_schema_does_not_know_is_named(schema: dict[str, Any], kuberay: Settings, apps: list[Any]) -> None:
    spec = render(OWN, apps, kuberay)["spec"]
    spec["rayClusterConfig"]["workerGroupSpecs"][0]["colour"] = "blue"
    assert undeclared(spec, schema, "spec") == ["spec.rayClusterConfig.workerGroupSpecs[].colour"]


def groups(manifest: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {group["groupName"]: group for group in manifest["spec"]["rayClusterConfig"]["workerGroupSpecs"]}


def test_each_accelerator_has_its_group_from_none_to_what_is_needed(kuberay: Settings, apps: list[Any]) -> None:
    found = groups(render(OWN, apps, kuberay))
    assert [(group["minReplicas"], group["maxReplicas"]) for group in found.values()] == [(0, 2), (0, 4), (0, 3)]
    cpu, one, four = found.values()
    pods = [group["template"]["spec"] for group in (cpu, one, four)]
    assert [pod["containers"][0]["resources"]["limits"].get("nvidia.com/gpu") for pod in pods] == [None, "1", "4"]
    assert pods[2]["nodeSelector"] == {"nvidia.com/gpu.product": H100}
    assert four["labels"] == {"imagint.ai/gpu-product": H100}
    assert "tolerations" not in pods[0]
    assert pods[1]["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]


def test_the_head_runs_no_application(kuberay: Settings, apps: list[Any]) -> None:
    head = render(OWN, apps, kuberay)["spec"]["rayClusterConfig"]["headGroupSpec"]
    assert head["rayStartParams"]["num-cpus"] == "0"
    assert "serviceAccountName" not in head["template"]["spec"]


@pytest.mark.parametrize("place", [OWN, SHARED], ids=["a tenant's own", "shared"])
def test_pods_are_restricted_and_workers_hold_no_token_of_the_apiserver(
    kuberay: Settings, apps: list[Any], place: Place
) -> None:
    cluster = render(place, apps, kuberay)["spec"]["rayClusterConfig"]
    workers = [group["template"]["spec"] for group in cluster["workerGroupSpecs"]]
    for pod in [cluster["headGroupSpec"]["template"]["spec"], *workers]:
        assert pod["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
        security = pod["containers"][0]["securityContext"]
        assert security == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    assert all(pod["automountServiceAccountToken"] is False for pod in workers)
    accounts = {pod.get("serviceAccountName") for pod in workers}
    assert accounts == ({"imagint-dataplane"} if place is OWN else {None})


def test_only_a_tenant_s_own_cluster_is_given_its_token_and_for_vault_alone(kuberay: Settings, apps: list[Any]) -> None:
    own, shared = (json.dumps(render(place, apps, kuberay)) for place in (OWN, SHARED))
    assert '"serviceAccountToken": {"path": "vault-token", "audience": "vault"' in own
    assert "serviceAccountToken" not in shared


def test_a_cluster_asks_for_ray_s_own_token(kuberay: Settings, apps: list[Any]) -> None:
    assert render(OWN, apps, kuberay)["spec"]["rayClusterConfig"]["authOptions"] == {"mode": "token"}


def live(manifest: dict[str, Any], *, observed: int = 2, **status: Any) -> dict[str, Any]:
    return {
        "metadata": {**manifest["metadata"], "generation": 2},
        "spec": manifest["spec"],
        "status": {"observedGeneration": observed, **status},
    }


def words(word: str, cluster: str = "imagint-1") -> dict[str, Any]:
    return {"rayClusterName": cluster, "applicationStatuses": {"a": {"status": word}}}


STATUSES: list[Any] = [
    pytest.param({"activeServiceStatus": words("RUNNING")}, AppStatus.RUNNING, id="running"),
    pytest.param({"activeServiceStatus": words("UNHEALTHY")}, AppStatus.UNHEALTHY, id="unhealthy"),
    pytest.param({"activeServiceStatus": words("DEPLOY_FAILED")}, AppStatus.DEPLOY_FAILED, id="failed"),
    pytest.param({}, AppStatus.NOT_STARTED, id="KubeRay has not looked yet"),
    pytest.param({"activeServiceStatus": words("RUNNING"), "observed": 1}, AppStatus.DEPLOYING, id="of the one before"),
    pytest.param({"activeServiceStatus": words("RUNNING"), "pendingServiceStatus": words("DEPLOYING", "imagint-2")},
                 AppStatus.DEPLOYING, id="an upgrade: what runs is the old one"),
    pytest.param({"pendingServiceStatus": words("DEPLOY_FAILED")}, AppStatus.DEPLOY_FAILED, id="the first one failed"),
    pytest.param({"activeServiceStatus": words("A_NEW_WORD")}, AppStatus.DEPLOYING, id="a word that we do not know"),
]  # fmt: skip


@pytest.mark.parametrize(("status", "wanted"), STATUSES)
def test_kuberay_s_words_are_translated(kuberay: Settings, status: dict[str, Any], wanted: AppStatus) -> None:
    item = live(render(OWN, [{"name": "a"}], kuberay), **status)
    assert deployed(item, OWN, kuberay)["a"].status is wanted


def test_what_is_on_its_way_out_is_there_until_it_is_gone(kuberay: Settings) -> None:
    item = live(render(OWN, [{"name": "a"}], kuberay), activeServiceStatus=words("RUNNING"))
    item["metadata"]["deletionTimestamp"] = "2026-11-23T12:00:00Z"
    assert deployed(item, OWN, kuberay)["a"].status is AppStatus.DELETING


@given(garbage=st.one_of(st.none(), st.text(), st.just("[]"), st.just('{"applications": [1]}')))
def test_a_configuration_that_is_none_is_no_error(garbage: str | None) -> None:
    item = {"metadata": {"generation": 1}, "spec": {"serveConfigV2": garbage}, "status": {}}
    place = Path("/x")
    settings = Settings(
        kubeconfig=place, vault_addr="http://v", vault_token_file=place, ray_dashboard="http://r", ray_token_file=place,
        serve_url="http://s", prober_url="http://p", dataplane_token_file=place, prober_token_file=place,
        handover=place, data_root=place, copies_root=place, ray_image="i",
        provisioner_kubeconfig=place, shredder_kubeconfig=place, shredder_vault_token_file=place,
    )  # fmt: skip
    assert deployed(item, OWN, settings) == {}
