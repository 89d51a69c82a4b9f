"""The erasure protocol on a real control plane and a real Vault, cut off at every write."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from imagint_privacy import evidence as ev

pytestmark = pytest.mark.stack
ADA, BOB, EVE = ("subj-" + letter * 26 for letter in "abe")
SHRED = {"policy": "Shred"}


def tenant(name: str) -> dict[str, Any]:
    spec = {"residency": {"region": "eu"}, "deletion": SHRED}
    return {"apiVersion": "imagint.ai/v1alpha1", "kind": "Tenant", "metadata": {"name": name}, "spec": spec}


def erasure(namespace: str, name: str, subject: str = ADA, **spec: Any) -> dict[str, Any]:
    asked = {
        "type": "Erase", "subject": subject, "regulation": "GDPR",
        "verification": {"method": "AccountSession", "at": "2026-11-23T12:00:00Z"},
    }  # fmt: skip
    return {
        "apiVersion": "imagint.ai/v1alpha1", "kind": "DataSubjectRequest",
        "metadata": {"name": name, "namespace": namespace}, "spec": asked | spec,
    }  # fmt: skip


class Line:
    """One tenant, ready, and what the tests ask about it."""

    def __init__(self, bench: Any, cluster: Any, name: str, eventually: Callable[..., Any]) -> None:
        self.bench, self.cluster, self.name, self.eventually = bench, cluster, name, eventually
        self.namespace = f"tenant-{name}"
        self.data = bench.gateways.tenant(name)
        self.data.records |= {ADA: 3, BOB: 2}

    async def ready(self) -> None:
        await asyncio.to_thread(self.cluster.apply, tenant(self.name))
        await self.eventually(lambda: self.cluster.condition("tenant", self.name, "GatewayReady")[0], "True")

    async def ask(self, name: str, subject: str = ADA, **spec: Any) -> None:
        await asyncio.to_thread(self.cluster.apply, erasure(self.namespace, name, subject, **spec))

    def complete(self, name: str) -> tuple[str, str]:
        found: tuple[str, str] = self.cluster.condition("dsr", name, "Complete", self.namespace)
        return found

    async def erased(self, name: str, reason: str = "Erased") -> dict[str, Any]:
        await self.eventually(lambda: self.complete(name), ("True", reason), seconds=30)
        found: dict[str, Any] = self.cluster.get("dsr", name, self.namespace)
        return found

    def certificate(self, request: dict[str, Any]) -> ev.VerificationReport:
        """The certificate, verified as an auditor would."""
        evidence = request["status"]["evidence"]
        text = self.cluster.get("configmap", evidence["configMap"], self.namespace)["data"]["certificate.json"]
        trusted = self.cluster.get("configmap", "imagint-evidence-key", "imagint-system")["data"]["evidence.pub"]
        expected = ev.Expected(request=request["metadata"]["uid"], tenant=self.name, digest=evidence["digest"],
                               subject=request["spec"]["subject"], salt=evidence["salt"])  # fmt: skip
        return ev.verify(text.encode(), trusted=[trusted], now=datetime.now(UTC), expected=expected)


@pytest.fixture
def line(bench: Any, cluster: Any, eventually: Callable[..., Any]) -> Callable[[str], Line]:
    return lambda name: Line(bench, cluster, name, eventually)


async def test_from_apply_to_a_certificate_that_anybody_can_check(line: Callable[[str], Line], bench: Any) -> None:
    acme = line("erase")
    async with bench.operator():
        await acme.ready()
        await acme.ask("ada")
        request = await acme.erased("ada")
        acme.certificate(request)
    assert acme.data.records == {BOB: 2}
    assert [step["state"] for step in request["status"]["steps"]] == ["Done"] * 12
    assert request["status"]["keyVersions"] == {"from": 1, "to": 2}
    assert request["status"]["irrecoverableAfter"] > request["status"]["completedAt"]


async def test_nothing_held_is_said_and_certified(line: Callable[[str], Line], bench: Any) -> None:
    acme = line("nothing")
    async with bench.operator():
        await acme.ready()
        await acme.ask("eve", EVE)
        request = await acme.erased("eve", "NothingHeld")
        acme.certificate(request)
    states = [step["state"] for step in request["status"]["steps"]]
    assert (states.count("Done"), states.count("Skipped")) == (4, 8)
    assert "keyVersions" not in request["status"]


async def test_erasures_of_a_tenant_go_one_after_the_other_the_oldest_first(
    line: Callable[[str], Line], bench: Any
) -> None:
    acme = line("queue")
    bench.gateways.waits = 4
    now = datetime.now(UTC)
    async with bench.operator():
        await acme.ready()
        for name, subject, age in [("ada", ADA, 1), ("bob", BOB, 3), ("eve", EVE, 2)]:
            await acme.ask(name, subject, receivedAt=(now - timedelta(hours=age)).isoformat())
        requests = [await acme.erased("bob"), await acme.erased("ada")]
        await acme.erased("eve", "NothingHeld")
    versions = [request["status"]["keyVersions"] for request in requests]
    assert sorted(pair["to"] for pair in versions) == [2, 3]
    trims = [next(s for s in r["status"]["steps"] if s["name"] == "Trim")["finishedAt"] for r in requests]
    rotations = [next(s for s in r["status"]["steps"] if s["name"] == "Rotate")["startedAt"] for r in requests]
    first = versions.index(min(versions, key=lambda pair: pair["to"]))
    assert trims[first] <= rotations[1 - first]


async def test_a_sealed_vault_is_said_and_waited_for(line: Callable[[str], Line], bench: Any, stack: Any) -> None:
    acme = line("waits")
    async with bench.operator():
        await acme.ready()
        await asyncio.to_thread(stack.seal)
        try:
            await acme.ask("ada")
            await acme.eventually(lambda: acme.complete("ada"), ("False", "VaultUnavailable"))
        finally:
            await asyncio.to_thread(stack.unseal)
        await acme.erased("ada")


@pytest.mark.parametrize(
    ("peer", "reason"),
    [
        pytest.param("gateways", "DataPlaneUnavailable", id="a gateway that is down"),
        pytest.param("prober", "ProberUnavailable", id="a prober that is down"),
    ],
)
async def test_a_missing_peer_is_said_and_waited_for(
    line: Callable[[str], Line], bench: Any, peer: str, reason: str
) -> None:
    acme = line(f"no-{peer}")
    async with bench.operator():
        await acme.ready()
        getattr(bench, peer).down = True
        await acme.ask("ada")
        await acme.eventually(lambda: acme.complete("ada"), ("False", reason))
        getattr(bench, peer).down = False
        await acme.erased("ada")


async def test_a_failed_probe_is_never_a_success(line: Callable[[str], Line], bench: Any, cluster: Any) -> None:
    acme = line("probe")
    bench.prober.broken.add("survivor-canary-opens")
    async with bench.operator():
        await acme.ready()
        await acme.ask("ada")
        await acme.eventually(lambda: acme.complete("ada"), ("False", "ProbeFailed"))
    request = cluster.get("dsr", "ada", acme.namespace)
    failed = next(step for step in request["status"]["steps"] if step["name"] == "ProbeBefore")
    assert failed["state"] == "Failed"
    assert "keyVersions" not in request["status"]
    assert cluster.get("configmap", "dsr-ada-certificate", acme.namespace) is None


async def test_other_rights_get_a_clock_and_wait(line: Callable[[str], Line], bench: Any, cluster: Any) -> None:
    acme = line("rights")
    async with bench.operator():
        await acme.ready()
        await acme.ask("access", type="Access", receivedAt="2026-01-31T12:00:00Z")
        await acme.eventually(lambda: acme.complete("access"), ("False", "NotYetExecutable"))
    assert cluster.get("dsr", "access", acme.namespace)["status"]["dueBy"] == "2026-02-28T12:00:00Z"


async def test_killed_at_every_write_it_still_completes_exactly_once(
    line: Callable[[str], Line], bench: Any, cluster: Any, guillotine: Any, killed: type[BaseException]
) -> None:
    """Before and after each write to the apiserver, to Vault and to the data plane; the next operator knows nothing."""
    acme = line("killed")
    async with bench.operator():
        await acme.ready()

    def no_survivor_is_lost(what: str) -> None:
        if what.startswith("vault trim"):
            version = int(what.rsplit(maxsplit=1)[-1])
            assert acme.data.root_version >= version
            assert acme.data.copied_generation == acme.data.generation == acme.data.cached_generation

    cuts, done = 0, 0
    for after in (False, True):
        at = 0
        while True:
            at += 1
            name = f"kill-{at}-{'after' if after else 'before'}"
            acme.data.records[ADA] = 1
            before = bench.key_state(acme.namespace).latest_version
            await acme.ask(name)
            blade = guillotine(at=at, after=after, on_write=no_survivor_is_lost)
            cut = await bench.one_look("DataSubjectRequest", acme.namespace, name, blade, killed)
            if cut:
                await bench.one_look("DataSubjectRequest", acme.namespace, name, guillotine(), killed)
            request = cluster.get("dsr", name, acme.namespace)
            conditions = {c["type"]: (c["status"], c["reason"]) for c in request["status"]["conditions"]}
            assert conditions["Complete"] == ("True", "Erased"), f"cut at {at} {after}: {conditions}"
            assert bench.key_state(acme.namespace).latest_version == before + 1, f"rotated twice, cut at {at} {after}"
            assert acme.data.records == {BOB: 2}
            done += 1
            if not cut:
                break
            cuts += 1
    assert cuts > 40
    assert done == cuts + 2
    acme.certificate(request)
