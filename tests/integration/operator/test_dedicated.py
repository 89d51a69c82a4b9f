"""A Dedicated tenant's life on a real control plane, with KubeRay's real CRD and a small true KubeRay."""

from __future__ import annotations

import asyncio
import hashlib
import json
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from imagint_dev.stack import Stack
from imagint_operator.kube.connections import Connection
from imagint_operator.serve.fakekuberay import FakeKubeRay
from imagint_serving.projector.apiserver import ApiServer
from imagint_serving.projector.errors import ApiServerError
from imagint_serving.projector.handovers import Handover
from imagint_serving.projector.observations import TenantView
from imagint_serving.projector.service import Projector
from imagint_serving.projector.settings import ProjectorSettings

pytestmark = pytest.mark.stack
GONE_SECONDS = 120.0  # the garbage collector learns of a new kind within half a minute


def network(name: str) -> dict[str, Any]:
    """Storage that is reached over the network, and that no other Tenant names."""
    return {"database": f"postgresql://db/{name}", "objects": f"s3://{name}", "treeCopies": [f"s3://copies/{name}"]}


def tenant(name: str, compute: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "imagint.ai/v1alpha1", "kind": "Tenant", "metadata": {"name": name},
        "spec": {"residency": {"region": "eu"}, "deletion": {"policy": "Shred"}, "compute": compute, **spec},
    }  # fmt: skip


@pytest.fixture(scope="module")
def connection(stack: Stack, install_kuberay: Callable[[Stack], Connection]) -> Connection:
    return install_kuberay(stack)


@pytest.fixture
def kuberay(connection: Connection, bench: Any) -> Iterator[FakeKubeRay]:
    told = {"ray_image": "registry.example/imagint:1", "dedicated_serve_url": bench.settings.serve_url}
    bench.settings = bench.settings.model_copy(update=told)
    with FakeKubeRay(connection, delay=0.2) as fake:
        yield fake


def ray_service(cluster: Any, namespace: str) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads(cluster.run("get", "rayservice", "imagint", "-n", namespace, "-o", "json"))
    except subprocess.CalledProcessError:
        return None
    return found


async def applied(cluster: Any, manifest: dict[str, Any]) -> None:
    await asyncio.to_thread(cluster.apply, manifest)


async def test_from_apply_to_serving_to_gone(
    bench: Any, cluster: Any, kuberay: FakeKubeRay, eventually: Callable[..., Any]
) -> None:
    model = {
        "apiVersion": "imagint.ai/v1alpha1", "kind": "ModelDeployment",
        "metadata": {"name": "shapes", "namespace": "tenant-alone"},
        "spec": {"source": {"type": "Bundled", "name": "shapes"}},
    }  # fmt: skip
    async with bench.operator():
        await applied(cluster, tenant("alone", "Dedicated", storage=network("alone")))
        await eventually(lambda: cluster.condition("tenant", "alone", "GatewayReady"), ("True", "Serving"), seconds=30)
        assert cluster.condition("tenant", "alone", "ComputeReady") == ("True", "Placed")
        await applied(cluster, model)
        ready = lambda: cluster.condition("modeldeployment", "shapes", "Ready", "tenant-alone")  # noqa: E731
        await eventually(ready, ("True", "Ready"), seconds=30)
        assert not [name for name in bench.serve.names if name.startswith("alone.")]
        refused_to_people(cluster)
        await accepted_by_the_walls(cluster)
        cluster.run("delete", "tenant", "alone", "--wait=false")
        await eventually(lambda: cluster.get("tenant", "alone"), None, seconds=GONE_SECONDS)
        assert cluster.get("namespace", "tenant-alone") is None
    assert kuberay.problems == []


def refused_to_people(cluster: Any) -> None:
    """The tenant's own people cannot change the cluster that serves them."""
    patch = '{"spec":{"suspend":true}}'
    with pytest.raises(subprocess.CalledProcessError) as refused:
        cluster.run(
            "patch", "rayservice", "imagint", "-n", "tenant-alone", "--type=merge", "-p", patch, "--as=eve",
            "--as-group=system:authenticated",
        )  # fmt: skip
    assert "orbidden" in refused.value.stderr


async def accepted_by_the_walls(cluster: Any) -> None:
    """Pods made from every template pass pod security, quota and limits."""
    found = ray_service(cluster, "tenant-alone") or {}
    config = found["spec"]["rayClusterConfig"]
    for at, group in enumerate([config["headGroupSpec"], *config["workerGroupSpecs"]]):
        pod = {"apiVersion": "v1", "kind": "Pod", **group["template"]}
        pod["metadata"] = {**pod["metadata"], "name": f"trial-{at}", "namespace": "tenant-alone"}
        pod["spec"].setdefault("serviceAccountName", "imagint-dataplane")
        cluster.run("create", "--dry-run=server", "-f", "-", stdin=json.dumps(pod))


async def test_a_tenant_moves_there_and_back(
    bench: Any, cluster: Any, kuberay: FakeKubeRay, eventually: Callable[..., Any]
) -> None:
    def placed() -> object:
        return (cluster.get("tenant", "mover") or {}).get("status", {}).get("compute")

    def here() -> bool:
        return "mover.gateway" in bench.serve.names

    async with bench.operator():
        await applied(cluster, tenant("mover", "Shared", storage=network("mover")))
        await eventually(placed, "Shared")
        await eventually(here)
        kuberay.paused = True
        await applied(cluster, tenant("mover", "Dedicated", storage=network("mover")))
        moving = lambda: cluster.condition("tenant", "mover", "ComputeReady")  # noqa: E731
        await eventually(moving, ("False", "Moving"))
        await eventually(lambda: ray_service(cluster, "tenant-mover") is not None)
        assert here()
        assert placed() == "Shared"
        kuberay.paused = False
        await eventually(placed, "Dedicated", seconds=30)
        await eventually(here, False)
        await applied(cluster, tenant("mover", "Shared", storage=network("mover")))
        await eventually(placed, "Shared", seconds=30)
        assert here()
        await eventually(lambda: ray_service(cluster, "tenant-mover"), None, seconds=GONE_SECONDS)
        await eventually(lambda: cluster.condition("tenant", "mover", "GatewayReady"), ("True", "Serving"))


async def test_data_on_a_local_disk_is_never_left_behind(
    bench: Any, cluster: Any, kuberay: FakeKubeRay, eventually: Callable[..., Any]
) -> None:
    async with bench.operator():
        await applied(cluster, tenant("rooted", "Shared"))
        await eventually(lambda: "rooted.gateway" in bench.serve.names)
        await eventually(lambda: cluster.condition("tenant", "rooted", "GatewayReady"), ("True", "Serving"))
        await applied(cluster, tenant("rooted", "Dedicated"))
        told = lambda: cluster.condition("tenant", "rooted", "ComputeReady")  # noqa: E731
        await eventually(told, ("False", "StorageNotShared"))
        assert "rooted.gateway" in bench.serve.names
        assert ray_service(cluster, "tenant-rooted") is None
        assert cluster.condition("tenant", "rooted", "GatewayReady") == ("True", "Serving")


async def test_without_kuberay_a_dedicated_tenant_is_told_so(
    bench: Any, cluster: Any, eventually: Callable[..., Any]
) -> None:
    async with bench.operator():
        await applied(cluster, tenant("hopeful", "Dedicated", storage=network("hopeful")))
        told = lambda: cluster.condition("tenant", "hopeful", "Ready")  # noqa: E731
        await eventually(told, ("False", "KubeRayNotConfigured"))


KEY = "key-of-the-web-shop"


@pytest.fixture
def source(stack: Stack) -> Iterator[ApiServer]:
    """The apiserver as the projector sees it, with its own rights."""
    made = ApiServer(stack.identity("imagint-projector") / "kubeconfig")
    yield made
    made.close()


async def test_the_projector_hands_over_into_the_tenants_namespace(
    bench: Any, cluster: Any, kuberay: FakeKubeRay, eventually: Callable[..., Any], source: ApiServer, tmp_path: Path
) -> None:
    keys = [{"name": "web", "secretRef": {"name": "api-web", "key": "token"}}]
    projector = Projector(source, Handover(tmp_path / "files"), ProjectorSettings(tmp_path, tmp_path / "files"))

    def handed(ahead: float = 0.0) -> dict[str, Any]:
        projector.step(time.time() + ahead)
        return cluster.get("configmap", "imagint-handover", "tenant-keyed") or {}

    async with bench.operator():
        await applied(cluster, tenant("keyed", "Dedicated", storage=network("keyed"), apiKeys=keys))
        await eventually(lambda: cluster.condition("tenant", "keyed", "GatewayReady"), ("True", "Serving"), seconds=30)
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "api-web", "namespace": "tenant-keyed"}}
        await applied(cluster, secret | {"stringData": {"token": KEY}})
        digests = json.dumps({"web": hashlib.sha256(KEY.encode()).hexdigest()})
        held = lambda: handed().get("data", {}).get("api-keys.json")  # noqa: E731
        await eventually(held, digests)
        first = handed()
        assert json.loads(first["data"]["platform.json"])["jwks"]["keys"]
        assert KEY not in json.dumps(first)
        # Later than the pause between two looks: it looks again, and writes nothing.
        assert handed(ahead=2.0)["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
        assert not (tmp_path / "files/keyed").exists()
        cluster.run("patch", "configmap", "imagint-handover", "-n", "tenant-keyed", "--type=merge", "-p",
                    '{"data":{"api-keys.json":"{}"}}')  # fmt: skip
        await eventually(held, digests)
    refused_beyond_that_object(source)


def refused_beyond_that_object(source: ApiServer) -> None:
    """The right has a name and a place: no other object, and no namespace but tenants'."""
    path = "/api/v1/namespaces/{}/configmaps/{}"
    for namespace, name in (("tenant-keyed", "another"), ("imagint-system", "imagint-handover"), ("default", "x")):
        with pytest.raises(ApiServerError, match="403"):
            source._get(path.format(namespace, name))
    with pytest.raises(ApiServerError, match=r"40[34]"):
        source.hand(TenantView("nobody", ()), {})
