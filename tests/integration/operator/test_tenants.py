"""A Tenant's life on a real control plane and a real Vault."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.stack
SHRED = {"policy": "Shred"}


def tenant(name: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "imagint.ai/v1alpha1", "kind": "Tenant", "metadata": {"name": name},
        "spec": {"residency": {"region": "eu"}, "deletion": SHRED, **spec},
    }  # fmt: skip


def model(namespace: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "imagint.ai/v1alpha1", "kind": "ModelDeployment",
        "metadata": {"name": "shapes", "namespace": namespace},
        "spec": {"source": {"type": "Bundled", "name": "shapes"}, **spec},
    }  # fmt: skip


async def applied(cluster: Any, manifest: dict[str, Any]) -> None:
    await asyncio.to_thread(cluster.apply, manifest)


async def test_from_apply_to_ready_to_gone(bench: Any, cluster: Any, eventually: Callable[..., Any]) -> None:
    async with bench.operator():
        await applied(cluster, tenant("whole"))
        await eventually(lambda: cluster.condition("tenant", "whole", "Ready"), ("True", "Ready"))
        await eventually(lambda: cluster.condition("tenant", "whole", "GatewayReady"), ("True", "Serving"))
        await applied(cluster, model("tenant-whole"))
        ready = lambda: cluster.condition("modeldeployment", "shapes", "Ready", "tenant-whole")  # noqa: E731
        await eventually(ready, ("True", "Ready"))
        assert "whole.gateway" in bench.serve.names
        assert [name for name in bench.serve.names if name.startswith("whole.model.shapes.")]
        await asyncio.to_thread(cluster.run, "delete", "tenant", "whole", "--wait=false")
        await eventually(lambda: cluster.get("tenant", "whole"), None, seconds=30)
        assert cluster.get("namespace", "tenant-whole") is None
        assert not [name for name in bench.serve.names if name.startswith("whole.")]
        # Made again under the same name, it starts with a key of its own.
        await applied(cluster, tenant("whole"))
        await eventually(lambda: cluster.condition("tenant", "whole", "Ready"), ("True", "Ready"))


async def test_at_rest_nothing_is_written(bench: Any, cluster: Any, eventually: Callable[..., Any]) -> None:
    async with bench.operator():
        await applied(cluster, tenant("resting"))
        await applied_when_ready(cluster, "resting", eventually)
        await eventually(lambda: cluster.condition("tenant", "resting", "GatewayReady")[0], "True")
        await asyncio.sleep(1.5)
        before = [cluster.get("tenant", "resting"), cluster.get("namespace", "tenant-resting"), bench.serve.puts]
        await asyncio.sleep(3)
        assert [
            cluster.get("tenant", "resting"),
            cluster.get("namespace", "tenant-resting"),
            bench.serve.puts,
        ] == before


async def applied_when_ready(cluster: Any, name: str, eventually: Callable[..., Any]) -> None:
    await eventually(lambda: cluster.condition("tenant", name, "Ready")[0], "True")


async def test_a_namespace_of_somebody_else_is_refused(
    bench: Any, cluster: Any, eventually: Callable[..., Any]
) -> None:
    await asyncio.to_thread(cluster.run, "create", "namespace", "tenant-squat")
    async with bench.operator():
        await applied(cluster, tenant("squat"))
        await eventually(lambda: cluster.condition("tenant", "squat", "Ready"), ("False", "NamespaceConflict"))
        found = cluster.get("namespace", "tenant-squat")
        assert "imagint.ai/tenant" not in found["metadata"]["labels"]
        await asyncio.to_thread(cluster.run, "delete", "tenant", "squat", "--wait=false")
        await eventually(lambda: cluster.get("tenant", "squat"), None)
        assert cluster.get("namespace", "tenant-squat")["status"]["phase"] == "Active"


async def test_a_refused_deletion_keeps_everything_until_it_is_allowed(
    bench: Any, cluster: Any, eventually: Callable[..., Any]
) -> None:
    async with bench.operator():
        await applied(cluster, tenant("reluctant", deletion={"policy": "Refuse"}))
        await applied_when_ready(cluster, "reluctant", eventually)
        await asyncio.to_thread(cluster.run, "delete", "tenant", "reluctant", "--wait=false")
        await eventually(lambda: cluster.condition("tenant", "reluctant", "Ready"), ("False", "DeletionRefused"))
        await eventually(lambda: "reluctant.gateway" in bench.serve.names)
        patch = '{"spec":{"deletion":{"policy":"Shred"}}}'
        await asyncio.to_thread(cluster.run, "patch", "tenant", "reluctant", "--type=merge", "-p", patch)
        await eventually(lambda: cluster.get("tenant", "reluctant"), None, seconds=30)


async def test_what_was_changed_by_hand_is_put_back(bench: Any, cluster: Any, eventually: Callable[..., Any]) -> None:
    async with bench.operator():
        await applied(cluster, tenant("moved"))
        await applied_when_ready(cluster, "moved", eventually)
        where, raised = "--namespace=tenant-moved", '{"spec":{"hard":{"pods":"9999"}}}'
        await asyncio.to_thread(cluster.run, "delete", "networkpolicy", "imagint-default-deny", where)
        await asyncio.to_thread(cluster.run, "patch", "resourcequota", "imagint", where, "--type=merge", "-p", raised)

        def walls() -> tuple[bool, str]:
            quota = cluster.get("resourcequota", "imagint", "tenant-moved")
            policy = cluster.get("networkpolicy", "imagint-default-deny", "tenant-moved")
            return policy is not None, quota["spec"]["hard"]["pods"]

        await eventually(walls, (True, "200"))


async def test_quotas_and_suspension_reach_a_running_gateway(
    bench: Any, cluster: Any, eventually: Callable[..., Any]
) -> None:
    async with bench.operator():
        await applied(cluster, tenant("paused"))
        await eventually(lambda: cluster.condition("tenant", "paused", "GatewayReady")[0], "True")
        await applied(cluster, tenant("paused", state="Suspended", quotas={"requestsPerMinute": 7}))

        def live() -> tuple[bool, int]:
            settings = bench.serve.config("paused.gateway")["deployments"][0]["user_config"]
            return settings["suspended"], settings["limits"]["requests_per_minute"]

        await eventually(live, (True, 7))
        await eventually(lambda: cluster.condition("tenant", "paused", "Ready"), ("True", "Suspended"))


async def test_a_ray_that_comes_back_empty_is_filled_again(
    bench: Any, cluster: Any, eventually: Callable[..., Any]
) -> None:
    async with bench.operator():
        await applied(cluster, tenant("refilled"))
        await eventually(lambda: cluster.condition("tenant", "refilled", "GatewayReady")[0], "True")
        bench.serve.lose_everything()
        await eventually(lambda: "refilled.gateway" in bench.serve.names)


async def test_a_model_that_makes_no_picture_is_not_ready(
    bench: Any, cluster: Any, eventually: Callable[..., Any]
) -> None:
    bench.gateways.failing_models.add("shapes")
    async with bench.operator():
        await applied(cluster, tenant("blank"))
        await applied_when_ready(cluster, "blank", eventually)
        await applied(cluster, model("tenant-blank"))
        ready = lambda: cluster.condition("modeldeployment", "shapes", "Ready", "tenant-blank")  # noqa: E731
        await eventually(ready, ("False", "ProbeFailed"))
        bench.gateways.failing_models.clear()
        await applied(cluster, model("tenant-blank", rollout={"retry": "again"}))
        await eventually(ready, ("True", "Ready"))


async def test_without_vault_a_tenant_says_so_and_recovers(
    bench: Any, cluster: Any, stack: Any, eventually: Callable[..., Any]
) -> None:
    async with bench.operator():
        await applied(cluster, tenant("sealed"))
        await applied_when_ready(cluster, "sealed", eventually)
        await asyncio.to_thread(stack.seal)
        try:
            await eventually(lambda: cluster.condition("tenant", "sealed", "Ready"), ("False", "VaultUnavailable"))
            await eventually(lambda: cluster.condition("tenant", "sealed", "KeyReady")[0], "Unknown")
        finally:
            await asyncio.to_thread(stack.unseal)
        await eventually(lambda: cluster.condition("tenant", "sealed", "Ready"), ("True", "Ready"))


async def test_the_key_for_checking_certificates_is_published(
    bench: Any, cluster: Any, eventually: Callable[..., Any]
) -> None:
    async with bench.operator():
        published = lambda: cluster.get("configmap", "imagint-evidence-key", "imagint-system") is not None  # noqa: E731
        await eventually(published)
    found = cluster.get("configmap", "imagint-evidence-key", "imagint-system")
    assert found["data"]["evidence.pub"].startswith("-----BEGIN PUBLIC KEY-----")
