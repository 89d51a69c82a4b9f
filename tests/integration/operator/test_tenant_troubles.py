"""What can stand in a Tenant's way, on a real control plane: one clear condition each, and recovery by itself."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.stack
CRDS = Path(__file__).parents[3] / "crds"
Condition = Callable[..., Any]


def tenant(name: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "imagint.ai/v1alpha1", "kind": "Tenant", "metadata": {"name": name},
        "spec": {"residency": {"region": "eu"}, "deletion": {"policy": "Shred"}, **spec},
    }  # fmt: skip


def namespace(name: str, **metadata: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, **metadata}}


def ours(name: str) -> dict[str, str]:
    return {"app.kubernetes.io/managed-by": "imagint-operator", "imagint.ai/tenant": name}


class Look:
    """What a person does and sees."""

    def __init__(self, cluster: Any, eventually: Callable[..., Any]) -> None:
        self.cluster, self.eventually = cluster, eventually

    async def apply(self, manifest: dict[str, Any]) -> None:
        await asyncio.to_thread(self.cluster.apply, manifest)

    async def run(self, *arguments: str, stdin: str | None = None) -> str:
        answer: str = await asyncio.to_thread(lambda: self.cluster.run(*arguments, stdin=stdin))
        return answer

    async def says(self, name: str, reason: str, condition: str = "Ready") -> str:
        """Wait for a reason; answers the message."""
        await self.eventually(lambda: self.cluster.condition("tenant", name, condition)[1], reason, seconds=30)
        found = self.cluster.get("tenant", name)["status"]["conditions"]
        message: str = next(item["message"] for item in found if item["type"] == condition)
        return message

    async def told(self, name: str, reason: str) -> list[str]:
        """Wait for Events of a reason; answers their notes."""
        seen = lambda: bool(self.events(name, reason))  # noqa: E731
        await self.eventually(seen)
        return self.events(name, reason)

    def events(self, name: str, reason: str) -> list[str]:
        found = json.loads(self.cluster.run("get", "events.events.k8s.io", "-n", "default", "-o", "json"))["items"]
        return [item["note"] for item in found if item["reason"] == reason and item["regarding"]["name"] == name]


@pytest.fixture
def look(cluster: Any, eventually: Callable[..., Any]) -> Look:
    return Look(cluster, eventually)


@pytest.mark.parametrize(
    ("name", "metadata"),
    [
        pytest.param("bare", {}, id="without labels"),
        pytest.param("forged", {"labels": ours("forged")}, id="with our labels, without the uid"),
        pytest.param("older", {"labels": ours("older"), "annotations": {"imagint.ai/tenant-uid": "another"}},
                     id="with our labels and another uid"),
    ],
)  # fmt: skip
async def test_a_namespace_of_somebody_else_is_not_adopted_and_once_gone_not_missed(
    look: Look, bench: Any, cluster: Any, name: str, metadata: dict[str, Any]
) -> None:
    await look.apply(namespace(f"tenant-{name}", **metadata))
    async with bench.operator():
        await look.apply(tenant(name))
        assert "not touched" in await look.says(name, "NamespaceConflict")
        assert bench.key_state(f"tenant-{name}") is None
        assert cluster.get("networkpolicy", "imagint-default-deny", f"tenant-{name}") is None
        await look.run("delete", "namespace", f"tenant-{name}", "--wait=false")
        await look.says(name, "Ready")


def test_nobody_but_the_operator_makes_a_namespace_with_its_labels(cluster: Any) -> None:
    cluster.run("create", "clusterrole", "namespace-maker", "--verb=create,patch,get", "--resource=namespaces")
    cluster.run("create", "clusterrolebinding", "namespace-maker", "--clusterrole=namespace-maker", "--user=ada")
    manifest = namespace("tenant-early", labels=ours("early"))
    assert "by the Imagint operator only" in cluster.refused(manifest, "--as=ada", "--dry-run=server")


async def test_labels_of_our_namespace_are_put_back(look: Look, bench: Any, cluster: Any) -> None:
    async with bench.operator():
        await look.apply(tenant("labels"))
        await look.says("labels", "Ready")
        label = ("label", "namespace", "tenant-labels", "--overwrite")
        await look.run(*label, "pod-security.kubernetes.io/enforce=privileged")
        await look.run("annotate", "namespace", "tenant-labels", "imagint.ai/tenant-uid-", "--overwrite")

        def marks() -> tuple[Any, Any]:
            metadata = cluster.get("namespace", "tenant-labels")["metadata"]
            enforced = metadata["labels"].get("pod-security.kubernetes.io/enforce")
            return enforced, "imagint.ai/tenant-uid" in metadata["annotations"]

        await look.eventually(marks, ("restricted", True))


async def test_a_place_that_another_tenant_has_is_refused(look: Look, bench: Any, cluster: Any) -> None:
    storage = {"database": "postgresql://db/shared"}
    async with bench.operator():
        await look.apply(tenant("elder", storage=storage))
        await look.says("elder", "Ready")
        await look.apply(tenant("renamed", storage=storage))
        assert "Tenant elder" in await look.says("renamed", "StorageTaken")
        assert cluster.get("namespace", "tenant-renamed") is None
        assert bench.key_state("tenant-renamed") is None
        await look.run("delete", "tenant", "renamed", "--wait=false")
        await look.eventually(lambda: cluster.get("tenant", "renamed"), None)
        assert cluster.condition("tenant", "elder", "Ready") == ("True", "Ready")


async def test_a_repair_is_told_with_whoever_made_it_necessary(look: Look, bench: Any) -> None:
    async with bench.operator():
        await look.apply(tenant("drift"))
        await look.says("drift", "Ready")
        raised = '{"spec":{"hard":{"pods":"9999"}}}'
        await look.run("patch", "resourcequota", "imagint", "-n", "tenant-drift", "--type=merge", "-p", raised,
                       "--field-manager=nightly-job")  # fmt: skip
        (note,) = await look.told("drift", "DriftRepaired")
        assert "ResourceQuota imagint was changed by field manager nightly-job" in note
        assert "change the Tenant drift" in note
        for _ in range(3):  # a fight makes no flood
            await look.run("delete", "networkpolicy", "imagint-default-deny", "-n", "tenant-drift")
            back = lambda: look.cluster.get("networkpolicy", "imagint-default-deny", "tenant-drift") is not None  # noqa: E731
            await look.eventually(back)
        assert look.events("drift", "DriftRepaired") == [note]


DENY = """
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: no-dns}
spec:
  failurePolicy: Fail
  matchConstraints:
    resourceRules:
    - {apiGroups: [networking.k8s.io], apiVersions: ["*"], operations: [CREATE], resources: [networkpolicies]}
  validations:
  - {expression: "request.namespace != 'tenant-refused' || request.name != 'imagint-allow-dns'", message: "not here"}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: no-dns}
spec: {policyName: no-dns, validationActions: [Deny]}
"""


async def test_a_wall_that_admission_refuses_is_named_and_built_once_it_may_be(look: Look, bench: Any) -> None:
    await look.run("apply", "-f", "-", stdin=DENY)
    probe = ("create", "--dry-run=server", "-f", "-")
    policy = {
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": {"name": "imagint-allow-dns", "namespace": "tenant-refused"}, "spec": {"podSelector": {}},
    }  # fmt: skip
    await look.apply(namespace("tenant-refused"))

    def denied() -> bool:
        command = look.cluster.stack.kubectl_command(*probe)
        done = subprocess.run(
            command, input=json.dumps(policy), capture_output=True, text=True, timeout=30, check=False
        )
        return "not here" in done.stderr

    await look.eventually(denied)
    await look.run("delete", "namespace", "tenant-refused")
    async with bench.operator():
        await look.apply(tenant("refused"))
        message = await look.says("refused", "WallsRefused")
        assert "NetworkPolicy imagint-allow-dns" in message
        await look.run("delete", "validatingadmissionpolicybinding", "no-dns")
        await look.says("refused", "Ready")


async def test_vault_sealed_at_creation_is_said_and_waited_for(look: Look, bench: Any, stack: Any) -> None:
    async with bench.operator():
        await asyncio.to_thread(stack.seal)
        try:
            await look.apply(tenant("early-seal"))
            await look.says("early-seal", "VaultUnavailable")
        finally:
            await asyncio.to_thread(stack.unseal)
        await look.says("early-seal", "Ready")


async def test_a_quota_below_use_is_said(look: Look, bench: Any, cluster: Any) -> None:
    claim = {
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "big", "namespace": "tenant-full"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "5Gi"}}},
    }  # fmt: skip
    async with bench.operator():
        await look.apply(tenant("full"))
        await look.says("full", "Ready")
        await look.run("apply", "-f", "-", stdin=json.dumps(claim))
        await look.apply(tenant("full", quotas={"storage": "1Gi"}))
        assert "requests.storage 5Gi of 1Gi" in await look.says("full", "QuotaBelowUse", "WithinQuota")
        await look.apply(tenant("full", quotas={"storage": "5Gi"}))
        await look.eventually(lambda: cluster.condition("tenant", "full", "WithinQuota"), ("", ""))


async def test_without_the_kind_of_requests_a_tenant_lives_and_its_end_waits(
    look: Look, bench: Any, cluster: Any
) -> None:
    crd = "datasubjectrequests.imagint.ai"
    async with bench.operator():
        await look.apply(tenant("no-kind"))
        await look.says("no-kind", "Serving", "GatewayReady")
        await look.run("delete", "crd", crd)
        try:
            await look.apply(tenant("no-kind", state="Suspended"))
            await look.says("no-kind", "Suspended")
            await look.run("delete", "tenant", "no-kind", "--wait=false")
            assert "is the CRD installed?" in await look.says("no-kind", "KindMissing")
            assert bench.key_state("tenant-no-kind") is None
        finally:
            await look.run("apply", "--server-side", "-f", str(CRDS / "datasubjectrequests.yaml"))
            await look.run("wait", "--for=condition=Established", f"crd/{crd}", "--timeout=30s")
        await look.eventually(lambda: cluster.get("tenant", "no-kind"), None, seconds=40)
