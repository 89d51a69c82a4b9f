"""The end of a Tenant on a real control plane and a real Vault, cut off at every write."""

from __future__ import annotations

import asyncio
import base64
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from imagint_dev.errors import RefusedError as VaultRefusedError
from imagint_privacy import evidence as ev

pytestmark = pytest.mark.stack
PLATFORM = "imagint-system"
SUBJECT = "subj-" + "a" * 26


def tenant(name: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "imagint.ai/v1alpha1", "kind": "Tenant", "metadata": {"name": name},
        "spec": {"residency": {"region": "eu"}, "deletion": {"policy": "Shred"}, **spec},
    }  # fmt: skip


def request(name: str, namespace: str, subject: str = SUBJECT, **spec: Any) -> dict[str, Any]:
    asked = {
        "type": "Erase", "subject": subject, "regulation": "GDPR",
        "verification": {"method": "AccountSession", "at": "2026-11-23T12:00:00Z"},
    }  # fmt: skip
    return {
        "apiVersion": "imagint.ai/v1alpha1", "kind": "DataSubjectRequest",
        "metadata": {"name": name, "namespace": namespace}, "spec": asked | spec,
    }  # fmt: skip


class Life:
    """One Tenant, and what the tests ask about it."""

    def __init__(self, bench: Any, cluster: Any, eventually: Callable[..., Any], name: str) -> None:
        self.bench, self.cluster, self.eventually, self.name = bench, cluster, eventually, name
        self.namespace, self.uid = f"tenant-{name}", ""

    async def serving(self, **spec: Any) -> None:
        await asyncio.to_thread(self.cluster.apply, tenant(self.name, **spec))
        await self.eventually(lambda: self.cluster.condition("tenant", self.name, "GatewayReady")[0], "True")
        self.uid = self.cluster.get("tenant", self.name)["metadata"]["uid"]

    async def delete(self) -> None:
        await asyncio.to_thread(self.cluster.run, "delete", "tenant", self.name, "--wait=false")

    async def patch(self, change: str) -> None:
        await asyncio.to_thread(self.cluster.run, "patch", "tenant", self.name, "--type=merge", "-p", change)

    async def gone(self, seconds: float = 30) -> None:
        await self.eventually(lambda: self.cluster.get("tenant", self.name), None, seconds=seconds)

    async def says(self, reason: str, condition: str = "Ready") -> str:
        """Wait for a reason; answers the message."""
        await self.eventually(lambda: self.cluster.condition("tenant", self.name, condition)[1], reason)
        found = self.cluster.get("tenant", self.name)["status"]["conditions"]
        message: str = next(item["message"] for item in found if item["type"] == condition)
        return message

    def deletion(self) -> dict[str, Any]:
        found: dict[str, Any] = (self.cluster.get("tenant", self.name) or {}).get("status", {}).get("deletion", {})
        return found

    def stored(self, suffix: str = "") -> dict[str, str]:
        found = self.cluster.get("configmap", f"shred-{self.name}-{self.uid[:8]}{suffix}", PLATFORM)
        assert found["immutable"] is True
        data: dict[str, str] = found["data"]
        return data

    def certificate(self) -> ev.ShredPredicate:
        """The certificate, verified as an auditor would."""
        trusted = self.cluster.get("configmap", "imagint-evidence-key", PLATFORM)["data"]["evidence.pub"]
        content = self.stored()["certificate.json"].encode()
        report = ev.verify(content, [trusted], datetime.now(UTC) + self.bench.ahead, ev.Expected(tenant=self.name))
        assert isinstance(report.predicate, ev.ShredPredicate)
        assert report.predicate.tenant.uid == self.uid
        return report.predicate


@pytest.fixture
def life(bench: Any, cluster: Any, eventually: Callable[..., Any]) -> Callable[[str], Life]:
    return lambda name: Life(bench, cluster, eventually, name)


async def test_a_deleted_tenant_leaves_a_certificate_and_its_earlier_ones(
    life: Callable[[str], Life], bench: Any, cluster: Any, eventually: Callable[..., Any]
) -> None:
    acme = life("ended")
    bench.gateways.tenant("ended").records[SUBJECT] = 3
    async with bench.operator():
        await acme.serving()
        await asyncio.to_thread(cluster.apply, request("ada", acme.namespace))
        await eventually(lambda: cluster.condition("dsr", "ada", "Complete", acme.namespace)[0], "True", seconds=30)
        erased = cluster.get("dsr", "ada", acme.namespace)["status"]["evidence"]
        await asyncio.to_thread(cluster.apply, request("open", acme.namespace, type="Access"))
        open_uid = cluster.get("dsr", "open", acme.namespace)["metadata"]["uid"]
        await acme.delete()
        await acme.gone()
    stated = acme.certificate()
    assert (stated.outcome, stated.key.version, stated.key.oldest_version) == ("Shredded", 2, 2)
    assert stated.open_requests.uids == (open_uid,)
    assert stated.certificates.digests == (erased["digest"],)
    assert stated.probes.before is not None
    assert stated.probes.after is not None
    assert {check.name for check in stated.probes.after.checks} == {ev.KEY_GONE, ev.OLD_ROOT_REFUSED}
    (carried,) = acme.stored("-certificates-0").values()
    assert ev.digest(carried.encode()) == erased["digest"]
    assert bench.key_state(acme.namespace) is None
    assert cluster.get("namespace", acme.namespace) is None


@pytest.mark.parametrize("after", [pytest.param(False, id="before"), pytest.param(True, id="after")])
async def test_killed_at_every_write_it_ends_with_a_certificate(
    life: Callable[[str], Life], bench: Any, cluster: Any, guillotine: Any, killed: Any, after: bool
) -> None:
    """Every operator dies at its first, second, third... write; the next one starts with an empty memory."""
    acme = life(f"cut-{'after' if after else 'before'}")
    async with bench.operator():
        await acme.serving()
    await acme.delete()
    died: set[str] = set()
    looks: Counter[str] = Counter()
    while cluster.get("tenant", acme.name) is not None and looks.total() < 150:
        step = acme.deletion().get("step", "")
        looks[step] += 1
        # At each step the first dies at its first write, the next at its second; then one lives.
        blade = guillotine(at={1: 1, 2: 2}.get(looks[step], 0), after=after)
        if await bench.one_look("Tenant", "", acme.name, blade, killed):
            died.add(step)
    await acme.gone(1)
    assert acme.certificate().outcome == "Shredded"
    assert died == {"", "Drain", "DestroyKey", "Probe", "Archive", "Certify", "Release"}
    assert bench.key_state(acme.namespace) is None
    assert cluster.get("namespace", acme.namespace) is None


async def test_a_dead_data_plane_and_a_dead_prober_do_not_keep_a_key_alive(
    life: Callable[[str], Life], bench: Any
) -> None:
    acme = life("dead")
    async with bench.operator():
        await acme.serving()
        bench.prober.broken |= {*ev.SHRED_CHECKS_BEFORE, ev.KEY_GONE}
        await acme.delete()
        await acme.says("ProberRefused")
        bench.ahead = timedelta(minutes=1)
        await acme.eventually(lambda: acme.deletion().get("step"), "Probe")
        assert "rootProbe" not in acme.deletion()
        # A prober that still sees the key is believed for as long as it says so.
        assert "does not see the key gone" in await acme.says("ProberRefused")
        bench.prober.broken.clear()
        await acme.gone()
    codes = {exclusion.code for exclusion in acme.certificate().not_covered}
    assert "RootNotRetained" in codes


async def test_the_grace_time_can_be_used_and_refusing_stops_the_clock(
    life: Callable[[str], Life], bench: Any, eventually: Callable[..., Any]
) -> None:
    acme = life("grace")
    async with bench.operator():
        await acme.serving(deletion={"policy": "Shred", "graceSeconds": 3600})
        await acme.delete()
        message = await acme.says("InGrace")
        assert '"policy":"Refuse"' in message
        await eventually(lambda: "grace.gateway" in bench.serve.names, False)
        await acme.patch('{"spec":{"deletion":{"policy":"Refuse"}}}')
        await acme.says("DeletionRefused")
        assert acme.deletion() == {}
        await eventually(lambda: "grace.gateway" in bench.serve.names)
        assert bench.key_state(acme.namespace) is not None
        await acme.patch('{"spec":{"deletion":{"policy":"Shred","graceSeconds":0},"state":"Suspended"}}')
        await acme.gone()
    assert acme.certificate().outcome == "Shredded"


async def test_a_namespace_that_cannot_go_says_what_remains(
    life: Callable[[str], Life], bench: Any, cluster: Any
) -> None:
    acme = life("stuck")
    kept = {
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "kept", "namespace": "tenant-stuck", "finalizers": ["example.org/kept"]},
    }  # fmt: skip
    async with bench.operator():
        await acme.serving()
        await asyncio.to_thread(cluster.apply, kept)
        await acme.delete()
        message = await acme.says("NamespaceStuck")
        assert "example.org/kept" in message
        assert bench.key_state(acme.namespace) is None
        assert acme.certificate().outcome == "Shredded"
        take_off = ("patch", "configmap", "kept", "-n", "tenant-stuck", "--type=merge", "-p",
                    '{"metadata":{"finalizers":null}}')  # fmt: skip
        await asyncio.to_thread(cluster.run, *take_off)
        await acme.gone()


async def test_a_namespace_that_somebody_deletes_first_does_not_hide_its_certificates(
    life: Callable[[str], Life], bench: Any, cluster: Any, eventually: Callable[..., Any]
) -> None:
    acme = life("early")
    bench.gateways.tenant("early").records[SUBJECT] = 3
    async with bench.operator():
        await acme.serving()
        await asyncio.to_thread(cluster.apply, request("ada", acme.namespace))
        await eventually(lambda: cluster.condition("dsr", "ada", "Complete", acme.namespace)[0], "True", seconds=30)
        for kind in ("dsr", "configmap"):  # what holds them keeps the namespace from going at once
            name = "ada" if kind == "dsr" else "dsr-ada-certificate"
            await asyncio.to_thread(cluster.run, "patch", kind, name, "-n", acme.namespace, "--type=merge", "-p",
                                    '{"metadata":{"finalizers":["example.org/kept"]}}')  # fmt: skip
        await asyncio.to_thread(cluster.run, "delete", "namespace", acme.namespace, "--wait=false")
        await acme.delete()
        await acme.says("NamespaceStuck")
        for kind in ("dsr", "configmap"):
            name = "ada" if kind == "dsr" else "dsr-ada-certificate"
            await asyncio.to_thread(cluster.run, "patch", kind, name, "-n", acme.namespace, "--type=merge", "-p",
                                    '{"metadata":{"finalizers":null}}')  # fmt: skip
        await acme.gone()
    assert acme.certificate().certificates.count == 1


async def test_a_tenant_made_again_opens_nothing_of_the_old_one(
    life: Callable[[str], Life], bench: Any, stack: Any
) -> None:
    acme = life("again")
    async with bench.operator():
        await acme.serving()
        first = acme.uid
        old = await asyncio.to_thread(encrypted, stack, acme.namespace)
        await acme.delete()
        await acme.gone()
        await acme.serving()
        assert acme.uid != first
        assert bench.key_state(acme.namespace).latest_version == 1
        fresh = await asyncio.to_thread(encrypted, stack, acme.namespace)
        assert await asyncio.to_thread(decrypted, stack, acme.namespace, fresh)
        with pytest.raises(VaultRefusedError):
            await asyncio.to_thread(decrypted, stack, acme.namespace, old)
        storage = str(bench.serve.config("again.gateway")["args"]["storage"])
    assert acme.uid in storage
    assert first not in storage


def encrypted(stack: Any, namespace: str) -> str:
    """A root wrapped by the data plane, as Vault answers it."""
    vault = stack.vault_as("dataplane", namespace, "imagint-dataplane")
    body = {"plaintext": base64.b64encode(b"root").decode()}
    answer: str = vault.call("POST", f"transit/encrypt/{namespace}", body)["data"]["ciphertext"]
    return answer


def decrypted(stack: Any, namespace: str, ciphertext: str) -> str:
    vault = stack.vault_as("dataplane", namespace, "imagint-dataplane")
    answer: str = vault.call("POST", f"transit/decrypt/{namespace}", {"ciphertext": ciphertext})["data"]["plaintext"]
    return answer
