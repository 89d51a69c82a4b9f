"""Restrictions, objections, legal holds and breaches on a real control plane: between steps, cut off, released."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from imagint_privacy import evidence as ev

pytestmark = pytest.mark.stack
ADA, BOB = ("subj-" + letter * 26 for letter in "ab")
API = "imagint.ai/v1alpha1"
VERIFIED = {"method": "AccountSession", "at": "2026-11-23T12:00:00Z"}


class Tenancy:
    """One tenant, ready, and what the tests ask about it."""

    def __init__(self, bench: Any, cluster: Any, name: str, eventually: Callable[..., Any]) -> None:
        self.bench, self.cluster, self.name, self.eventually = bench, cluster, name, eventually
        self.namespace = f"tenant-{name}"
        self.data = bench.gateways.tenant(name)
        self.data.records |= {ADA: 3, BOB: 2}

    async def ready(self, **more: Any) -> None:
        spec = {"residency": {"region": "eu"}, "deletion": {"policy": "Shred"}} | more
        manifest = {"apiVersion": API, "kind": "Tenant", "metadata": {"name": self.name}, "spec": spec}
        await asyncio.to_thread(self.cluster.apply, manifest)
        ready = "GatewayReady"
        await self.eventually(lambda: self.cluster.condition("tenant", self.name, ready)[0], "True", seconds=30)

    def ask(self, name: str, type_: str, subject: str = ADA, **spec: Any) -> None:
        asked = {"type": type_, "subject": subject, "regulation": "GDPR", "verification": VERIFIED} | spec
        metadata = {"name": name, "namespace": self.namespace}
        kind = {"apiVersion": API, "kind": "DataSubjectRequest"}
        self.cluster.apply({**kind, "metadata": metadata, "spec": asked})

    def hold(self, name: str = "court", **spec: Any) -> None:
        said = {
            "target": {"type": "Subject", "subject": ADA}, "authority": "Regional Court", "reasonCode": "Litigation",
            "from": "2026-01-01T00:00:00Z", "reviewBy": "2099-01-01T00:00:00Z",
        }  # fmt: skip
        metadata = {"name": name, "namespace": self.namespace}
        self.cluster.apply({"apiVersion": API, "kind": "LegalHold", "metadata": metadata, "spec": said | spec})

    def release(self, name: str = "court") -> None:
        self.cluster.run("-n", self.namespace, "delete", "legalhold", name)

    def says(self, name: str, type_: str = "Complete", kind: str = "dsr") -> tuple[str, str]:
        found: tuple[str, str] = self.cluster.condition(kind, name, type_, self.namespace)
        return found

    def status(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.cluster.get("dsr", name, self.namespace)["status"]
        return found

    async def wait(self, name: str, *expected: str, type_: str = "Complete", kind: str = "dsr") -> None:
        await self.eventually(lambda: self.says(name, type_, kind), expected, seconds=30)

    def hold_check(self, name: str) -> dict[str, Any]:
        """What the certificate, verified as an auditor would, says of holds."""
        request = self.cluster.get("dsr", name, self.namespace)
        evidence = request["status"]["evidence"]
        text = self.cluster.get("configmap", evidence["configMap"], self.namespace)["data"]["certificate.json"]
        trusted = self.cluster.get("configmap", "imagint-evidence-key", "imagint-system")["data"]["evidence.pub"]
        expected = ev.Expected(request=request["metadata"]["uid"], tenant=self.name, digest=evidence["digest"],
                               subject=ADA, salt=evidence["salt"])  # fmt: skip
        ev.verify(text.encode(), trusted=[trusted], now=datetime.now(UTC), expected=expected)
        step: dict[str, Any] = next(found for found in request["status"]["steps"] if found["name"] == "HoldCheck")
        return step["result"]  # type: ignore[no-any-return]


@pytest.fixture
def tenancy(bench: Any, cluster: Any, eventually: Callable[..., Any]) -> Callable[[str], Tenancy]:
    return lambda name: Tenancy(bench, cluster, name, eventually)


async def test_a_hold_stops_an_erasure_and_its_end_releases_it(tenancy: Callable[[str], Tenancy], bench: Any) -> None:
    acme = tenancy("held")
    async with bench.operator():
        await acme.ready()
        acme.hold()
        acme.ask("ada", "Erase")
        await acme.wait("ada", "False", "Held")
        assert "court" in json.dumps(acme.status("ada")["conditions"])
        await acme.wait("court", "True", "Active", type_="Active", kind="legalhold")
        acme.ask("bob", "Erase", BOB)
        await acme.wait("bob", "True", "Erased")
        assert acme.data.records == {ADA: 3}
        acme.release()
        await acme.wait("ada", "True", "Erased")
    assert acme.hold_check("ada")["activeHolds"] == 0
    assert acme.data.records == {}


async def test_a_hold_that_runs_out_releases_by_itself(tenancy: Callable[[str], Tenancy], bench: Any) -> None:
    acme = tenancy("expires")
    async with bench.operator():
        await acme.ready()
        acme.hold(until=(datetime.now(UTC) + timedelta(hours=1)).isoformat())
        acme.ask("ada", "Erase")
        await acme.wait("ada", "False", "Held")
        bench.ahead += timedelta(hours=2)
        await acme.wait("court", "False", "Expired", type_="Active", kind="legalhold")
        await acme.wait("ada", "True", "Erased")


@pytest.mark.parametrize("moment", ["fence", "before", "vault rotate"])
async def test_a_hold_placed_between_the_steps_wins(
    tenancy: Callable[[str], Tenancy], bench: Any, guillotine: Any, killed: type[BaseException], moment: str
) -> None:
    acme = tenancy(f"between-{moment.replace(' ', '-')}")
    async with bench.operator():
        await acme.ready()
    acme.ask("ada", "Erase")
    blade = guillotine(on_write=lambda what: acme.hold() if what == moment else None)
    assert not await bench.one_look("DataSubjectRequest", acme.namespace, "ada", blade, killed)
    assert acme.says("ada") == ("False", "Held")
    assert "keyVersions" not in acme.status("ada")
    assert acme.data.records[ADA] == 3
    async with bench.operator():
        acme.ask("bob", "Erase", BOB)
        await acme.wait("bob", "True", "Erased")
        acme.release()
        await acme.wait("ada", "True", "Erased")
    assert acme.data.opened_by(bench.key_state(acme.namespace)) == 0


async def test_a_hold_after_the_commit_comes_too_late_and_says_so(
    tenancy: Callable[[str], Tenancy], bench: Any, guillotine: Any, killed: type[BaseException]
) -> None:
    """The data plane committed, and the operator died before it wrote that down: the data plane is asked."""
    acme = tenancy("late")
    async with bench.operator():
        await acme.ready()
    acme.ask("ada", "Erase")

    def hold_and_die(what: str) -> None:
        if what == "commit":
            acme.hold()
            raise killed(what)

    blade = guillotine(on_write=hold_and_die)
    assert await bench.one_look("DataSubjectRequest", acme.namespace, "ada", blade, killed)
    async with bench.operator():
        await acme.wait("ada", "True", "Erased")
        await acme.wait("court", "True", "AlreadyCommitted", type_="TooLateFor", kind="legalhold")
    assert acme.hold_check("ada")["activeHolds"] == 0


async def test_retention_waits_for_a_hold_over_everybody_and_leaves_out_who_is_held(
    tenancy: Callable[[str], Tenancy], bench: Any, cluster: Any
) -> None:
    acme = tenancy("kept")
    acme.data.old |= {"images": 3}

    def waits() -> bool:
        found = (cluster.get("tenant", acme.name) or {}).get("status", {}).get("conditions", [])
        return any("legal hold everybody" in condition["message"] for condition in found)

    async with bench.operator():
        await acme.ready(
            retention=[{"category": "images", "keepDays": 1}], retentionSchedule={"everyHours": 1},
        )  # fmt: skip
        scheduled = ("False", "Scheduled")
        await acme.eventually(lambda: cluster.condition("tenant", acme.name, "RetentionCurrent"), scheduled)
        acme.hold()
        acme.hold("everybody", target={"type": "Tenant"})
        bench.ahead += timedelta(hours=1)
        await acme.eventually(waits, seconds=30)
        assert acme.data.old == {"images": 3}
        acme.release("everybody")
        completed = ("True", "Completed")
        await acme.eventually(lambda: cluster.condition("tenant", acme.name, "RetentionCurrent"), completed, seconds=30)
    assert [run.excepted for run in acme.data.runs.values()] == [(ADA,)]
    assert acme.data.old == {"images": 0}


async def test_a_restriction_stands_until_a_request_lifts_it(
    tenancy: Callable[[str], Tenancy], bench: Any, cluster: Any
) -> None:
    acme = tenancy("restrict")
    async with bench.operator():
        await acme.ready()
        acme.ask("stop", "Restrict")
        await acme.wait("stop", "True", "Restricted")
        await acme.wait("stop", "True", "Restricted", type_="InForce")
        assert acme.data.limits.standing(ADA) == ["Restrict"]
        with pytest.raises(subprocess.CalledProcessError) as refused:
            cluster.run("-n", acme.namespace, "delete", "dsr", "stop")
        assert "spec.lift" in str(refused.value.stderr)
        lift = {"request": "stop", "ground": "AccuracyVerified", "informedAt": "2026-11-24T12:00:00Z"}
        acme.ask("go", "Restrict", lift=lift)
        await acme.wait("go", "True", "Lifted")
        await acme.wait("stop", "False", "Lifted", type_="InForce")
    assert acme.data.limits.standing(ADA) == []
    assert acme.data.records[ADA] == 3
    cluster.run("-n", acme.namespace, "delete", "dsr", "stop")


async def test_a_data_plane_that_lost_an_objection_learns_of_it_again(
    tenancy: Callable[[str], Tenancy], bench: Any
) -> None:
    acme = tenancy("object")
    async with bench.operator():
        await acme.ready()
        acme.ask("no-market", "Object", purposes=["Market"])
        await acme.wait("no-market", "True", "Objected")
        assert [found["purposes"] for found in acme.data.limits.known.values()] == [["Market"]]
        acme.data.limits.known.clear()
        await acme.eventually(lambda: acme.data.limits.standing(ADA), ["Object"])


async def test_killed_at_every_write_a_restriction_is_made_once(
    tenancy: Callable[[str], Tenancy], bench: Any, guillotine: Any, killed: type[BaseException]
) -> None:
    acme = tenancy("cut")
    async with bench.operator():
        await acme.ready()
    cuts = 0
    for after in (False, True):
        at = 0
        while True:
            at += 1
            name = f"cut-{at}-{str(after).lower()}"
            acme.ask(name, "Restrict")
            cut = await bench.one_look("DataSubjectRequest", acme.namespace, name, guillotine(at, after), killed)
            if cut:
                await bench.one_look("DataSubjectRequest", acme.namespace, name, guillotine(), killed)
            assert acme.says(name) == ("True", "Restricted"), f"cut at {at} {after}"
            if not cut:
                break
            cuts += 1
    assert cuts > 6
    assert len(acme.data.limits.known) == cuts + 2


async def test_an_extension_is_granted_in_time_and_a_late_answer_is_loud(
    tenancy: Callable[[str], Tenancy], bench: Any
) -> None:
    acme = tenancy("clock")
    received = datetime.now(UTC).replace(microsecond=0)
    told = {"reason": "Complexity", "informedAt": (received + timedelta(days=2)).isoformat()}
    async with bench.operator():
        await acme.ready()
        acme.ask("access", "Access", receivedAt=received.isoformat())
        await acme.wait("access", "False", "InTime", type_="Overdue")
        acme.ask("access", "Access", receivedAt=received.isoformat(), extension=told)
        await acme.eventually(lambda: "extendedDueBy" in acme.status("access"))
        bench.ahead += timedelta(days=40)
        await acme.wait("access", "False", "InTime", type_="Overdue")
        bench.ahead += timedelta(days=60)
        await acme.wait("access", "True", "Overdue", type_="Overdue")
        assert acme.says("access") == ("False", "NotYetExecutable")


async def test_the_72_hours_run_over_a_restart(bench: Any, cluster: Any, eventually: Callable[..., Any]) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    spec = {
        "discoveredAt": now.isoformat(), "occurred": {"from": (now - timedelta(days=1)).isoformat()},
        "affected": {"extent": "AllTenants"}, "risk": "Risk", "nature": ["Confidentiality"],
        "description": "a disk was lost", "consequences": "pictures may be seen", "measures": "keys destroyed",
        "contact": "data protection officer",
    }  # fmt: skip
    manifest = {"apiVersion": API, "kind": "BreachIncident", "metadata": {"name": "leak"}, "spec": spec}

    def says(type_: str) -> tuple[str, str]:
        found: tuple[str, str] = cluster.condition("breach", "leak", type_)
        return found

    async with bench.operator():
        await asyncio.to_thread(cluster.apply, manifest)
        await eventually(lambda: says("AuthorityNotified"), ("False", "Due"))
        bench.ahead += timedelta(hours=50)
        await eventually(lambda: says("AuthorityNotified"), ("False", "DueSoon"))
    bench.ahead += timedelta(hours=30)
    async with bench.operator():
        await eventually(lambda: says("Overdue"), ("True", "Overdue"))
        notice = {"at": (now + timedelta(hours=80)).isoformat(), "reference": "file 7", "delayReason": "Investigation"}
        await asyncio.to_thread(cluster.apply, manifest | {"spec": spec | {"authorityNotice": notice}})
        await eventually(lambda: says("Complete"), ("True", "ObligationsMet"))
        await eventually(lambda: says("AuthorityNotified"), ("True", "DoneLate"))
    ref = cluster.get("breach", "leak")["status"]["report"]
    draft = cluster.get("configmap", ref["configMap"], "imagint-system")
    assert draft["immutable"]
    assert set(json.loads(draft["data"]["report.json"])["article33(3)"]) == set("abcd")
