"""A policy takes force by the clock and binds its tenants; an erasure reaches processors, on a real control plane."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from imagint_operator import composition
from imagint_operator.recipients.fakes import FakeRecipient, Fault
from imagint_privacy import evidence as ev

pytestmark = pytest.mark.stack
EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
SUBJECT = "subj-" + "c" * 26
SYSTEM = "imagint-system"
Eventually = Callable[..., Any]


def policy(name: str, version: str, at: datetime, **spec: Any) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((EXAMPLES / "policy.yaml").read_text())
    found["metadata"]["name"] = name
    found["spec"] |= {"version": version, "effectiveAt": at.strftime("%Y-%m-%dT%H:%M:%SZ")} | spec
    return found


def tenant(name: str, **spec: Any) -> dict[str, Any]:
    written = {"residency": {"region": "eu"}, "deletion": {"policy": "Shred"}} | spec
    return {"apiVersion": "imagint.ai/v1alpha1", "kind": "Tenant", "metadata": {"name": name}, "spec": written}


def processor(name: str, tenants: str, **erasure: Any) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((EXAMPLES / "processor.yaml").read_text())
    found["metadata"]["name"] = name
    found["spec"] |= {"tenants": {"selection": "Named", "names": [tenants]}, "erasure": erasure}
    return found


def erasure(name: str, subject: str, at: datetime) -> dict[str, Any]:
    spec = {
        "type": "Erase", "subject": subject, "regulation": "GDPR",
        "verification": {"method": "AccountSession", "at": at.strftime("%Y-%m-%dT%H:%M:%SZ")},
    }  # fmt: skip
    metadata = {"name": name, "namespace": "tenant-told"}
    return {"apiVersion": "imagint.ai/v1alpha1", "kind": "DataSubjectRequest", "metadata": metadata, "spec": spec}


async def test_an_edition_takes_force_by_the_clock(bench: Any, cluster: Any, eventually: Eventually) -> None:
    terms = {"categories": [{"name": "prompts", "purposes": ["service"], "retention": {"keepDays": 10}}]}

    def versions() -> list[tuple[str, str]]:
        status = (cluster.get("policy", "timely") or {}).get("status", {})
        return [(item["version"], item["state"]) for item in status.get("versions", [])]

    async with bench.operator():
        now = bench.clock()
        await asyncio.to_thread(cluster.apply, policy("timely", "1.0.0", now - timedelta(days=1)))
        await eventually(lambda: cluster.condition("policy", "timely", "Ready"), ("True", "Ready"))
        too_long = [{"category": "prompts", "keepMonths": 7}]
        referring = tenant("timely", policyRef={"name": "timely"}, retention=too_long)
        await asyncio.to_thread(cluster.apply, referring)
        await eventually(lambda: cluster.condition("tenant", "timely", "PolicyBound"), ("False", "RetentionTooLong"))
        await asyncio.to_thread(
            cluster.apply, policy("timely", "1.1.0", now + timedelta(days=3), change="Material", **terms)
        )
        await eventually(lambda: cluster.condition("policy", "timely", "Published"), ("False", "NoticeTooShort"))
        assert versions() == [("1.0.0", "InForce")]
        await asyncio.to_thread(
            cluster.apply, policy("timely", "1.2.0", now + timedelta(days=31), change="Material", **terms)
        )
        await eventually(versions, [("1.0.0", "InForce"), ("1.2.0", "Pending")])
        assert cluster.condition("policy", "timely", "SubjectsNotified") == ("False", "NoticesPending")
        bench.ahead = timedelta(days=31, minutes=1)
        await eventually(versions, [("1.0.0", "Superseded"), ("1.2.0", "InForce")])
        status = cluster.get("policy", "timely")["status"]
        assert status["tenants"] == 1
        assert status["inForce"]["retention"] == [{"category": "prompts", "keepDays": 10}]
        kept = cluster.get("configmap", "policy-timely-1.0.0", SYSTEM)
        text = kept["data"]["policy.json"]
        assert kept["immutable"]
        assert status["versions"][0]["digest"] == f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
        await eventually(lambda: "10 days" in str(cluster.get("tenant", "timely")["status"]["conditions"]), seconds=20)


async def test_a_region_that_the_policy_does_not_name_is_not_ready(
    bench: Any, cluster: Any, eventually: Eventually
) -> None:
    async with bench.operator():
        await asyncio.to_thread(cluster.apply, policy("abroad", "1.0.0", bench.clock() - timedelta(days=1)))
        far = tenant("abroad", policyRef={"name": "abroad"}, residency={"region": "us-east-1"})
        await asyncio.to_thread(cluster.apply, far)
        await eventually(lambda: cluster.condition("tenant", "abroad", "Ready"), ("False", "RegionNotInPolicy"))


class Recipients:
    """A webhook with its key and an OpenDSR service, registered for one tenant."""

    def __init__(self, bench: Any, cluster: Any, hook: FakeRecipient, service: FakeRecipient) -> None:
        self.bench, self.cluster, self.hook, self.service = bench, cluster, hook, service

    def register(self) -> None:
        url, key = f"{self.hook.url}/hook", self.hook.public_key
        self.cluster.apply(processor("hook", "told", protocol="Webhook", url=url, publicKey=key, dueDays=3))
        self.cluster.apply(processor("service", "told", protocol="OpenDSR", url=self.service.url, dueDays=3))
        self.cluster.apply(processor("letter", "told", protocol="Manual", contact="desk@letters.example"))
        self.cluster.apply(processor("elsewhere", "others", protocol="OpenDSR", url=self.service.url))

    def states(self, request: str) -> dict[str, str]:
        found = self.cluster.get("dsr", request, "tenant-told") or {}
        return {item["name"]: item["state"] for item in found.get("status", {}).get("processors", [])}

    def complete(self, request: str) -> tuple[str, str]:
        found: tuple[str, str] = self.cluster.condition("dsr", request, "Complete", "tenant-told")
        return found

    def certificate(self, request: str) -> Any:
        name = self.cluster.get("dsr", request, "tenant-told")["status"]["evidence"]["configMap"]
        text = self.cluster.get("configmap", name, "tenant-told")["data"]["certificate.json"]
        key = composition.vault(self.bench.settings).signer.public_key()
        return ev.verify(text.encode(), trusted=[key], now=self.bench.clock()).predicate


@pytest.fixture
def recipients(bench: Any, cluster: Any) -> Iterator[Recipients]:
    sender = composition.vault(bench.settings).signer.public_key
    with ExitStack() as stack:
        hook, service = (stack.enter_context(FakeRecipient(sender)) for _ in range(2))
        hook.clock = bench.clock
        yield Recipients(bench, cluster, hook, service)


async def test_an_erasure_reaches_processors_and_waits_for_none_for_ever(
    bench: Any, cluster: Any, eventually: Eventually, recipients: Recipients
) -> None:
    other = "subj-" + "d" * 26
    bench.gateways.tenant("told").records |= {SUBJECT: 3, other: 2}
    recipients.hook.faults, recipients.hook.asks = [Fault.BUSY, Fault.LOST, Fault.UNSIGNED], 2
    recipients.service.asks = 2
    async with bench.operator():
        await asyncio.to_thread(cluster.apply, policy("told", "2.0.0", bench.clock() - timedelta(days=1)))
        await asyncio.to_thread(cluster.apply, tenant("told", policyRef={"name": "told"}))
        await asyncio.to_thread(recipients.register)
        await eventually(lambda: cluster.condition("tenant", "told", "GatewayReady")[0], "True")
        await eventually(lambda: cluster.condition("tenant", "told", "PolicyBound")[0], "True")
        await eventually(lambda: cluster.condition("tenant", "told", "RetentionCurrent"), ("False", "Scheduled"))
        await eventually(lambda: cluster.condition("processor", "hook", "Ready"), ("True", "Configured"))
        await asyncio.to_thread(cluster.apply, erasure("first", SUBJECT, bench.clock()))
        await eventually(lambda: recipients.complete("first"), ("True", "Erased"), seconds=60)
        expected = {"hook": "Completed", "service": "Completed", "letter": "ByHand"}
        assert recipients.states("first") == expected
        assert set(recipients.hook.erased.values()) == set(recipients.service.erased.values()) == {SUBJECT}
        first = recipients.certificate("first")
        assert {receipt.name: receipt.result for receipt in first.processors} == {
            "hook": "Acknowledged", "service": "Acknowledged", "letter": "Unanswered",
        }  # fmt: skip
        assert first.policy_version == "2.0.0"
        assert any("letter" in excluded.text for excluded in first.not_covered)

        recipients.hook.down = True  # for good: others go first, and after its time the request is answered
        bench.gateways.tenant("told").records[SUBJECT] = 1
        await asyncio.to_thread(cluster.apply, erasure("second", SUBJECT, bench.clock()))
        await eventually(lambda: recipients.states("second").get("hook"), "Pending", seconds=60)
        recipients.hook.down = False
        recipients.hook.asks = 10**6
        await asyncio.to_thread(cluster.apply, erasure("third", other, bench.clock()))
        await eventually(lambda: recipients.states("third").get("service"), "Completed", seconds=60)
        assert recipients.complete("second")[0] == recipients.complete("third")[0] == "False"
        bench.ahead += timedelta(days=4)
        for name in ("second", "third"):
            await eventually(lambda name=name: recipients.complete(name), ("True", "Erased"), seconds=60)
            assert recipients.states(name)["hook"] == "Overdue"
            assert any("hook" in excluded.text for excluded in recipients.certificate(name).not_covered)
