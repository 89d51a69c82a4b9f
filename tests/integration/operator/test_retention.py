"""Retention on schedule, on a real control plane and a real Vault: in turns with erasures, cut off at every write."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

pytestmark = pytest.mark.stack
ADA = "subj-" + "a" * 26
RULES = [{"category": "images", "keepMonths": 24}, {"category": "prompts", "keepDays": 30}]
HOUR = timedelta(hours=1)


class Keeper:
    """One tenant with old data and rules, and what the tests ask about it."""

    def __init__(self, bench: Any, cluster: Any, name: str, eventually: Callable[..., Any]) -> None:
        self.bench, self.cluster, self.name, self.eventually = bench, cluster, name, eventually
        self.namespace = f"tenant-{name}"
        self.data = bench.gateways.tenant(name)

    async def apply(self, *rules: dict[str, Any]) -> None:
        spec = {
            "residency": {"region": "eu"}, "deletion": {"policy": "Shred"}, "retention": list(rules),
            "retentionSchedule": {"everyHours": 1},
        }  # fmt: skip
        manifest = {
            "apiVersion": "imagint.ai/v1alpha1",
            "kind": "Tenant",
            "metadata": {"name": self.name},
            "spec": spec,
        }
        await asyncio.to_thread(self.cluster.apply, manifest)

    async def ready(self) -> None:
        """Wait until the tenant is served and its first run is scheduled."""
        await self.apply(*RULES)
        await self.eventually(lambda: self.says("GatewayReady")[0], "True")
        await self.eventually(lambda: self.says("RetentionCurrent"), ("False", "Scheduled"))

    async def erase(self, name: str) -> None:
        asked = {
            "type": "Erase", "subject": ADA, "regulation": "GDPR",
            "verification": {"method": "AccountSession", "at": "2026-11-23T12:00:00Z"},
        }  # fmt: skip
        metadata = {"name": name, "namespace": self.namespace}
        kind = {"apiVersion": "imagint.ai/v1alpha1", "kind": "DataSubjectRequest"}
        await asyncio.to_thread(self.cluster.apply, {**kind, "metadata": metadata, "spec": asked})

    def says(self, type_: str) -> tuple[str, str]:
        found: tuple[str, str] = self.cluster.condition("tenant", self.name, type_)
        return found

    def erased(self, name: str) -> tuple[str, str]:
        found: tuple[str, str] = self.cluster.condition("dsr", name, "Complete", self.namespace)
        return found

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = self.cluster.get("tenant", self.name)["status"]
        return found

    def retention(self) -> dict[str, Any]:
        found: dict[str, Any] = self.status().get("retention", {})
        return found

    def opened(self) -> int:
        """How many forgotten paths a backup of any moment still opens."""
        opened: int = self.data.opened_by(self.bench.key_state(self.namespace))
        return opened


@pytest.fixture
def keeper(bench: Any, cluster: Any, eventually: Callable[..., Any]) -> Callable[[str], Keeper]:
    return lambda name: Keeper(bench, cluster, name, eventually)


async def test_from_rules_to_forgotten_and_back_to_no_rules(keeper: Callable[[str], Keeper], bench: Any) -> None:
    acme = keeper("keeps")
    acme.data.old |= {"images": 3, "prompts": 2, "notes": 4}
    acme.data.withheld |= {"images": 1}
    bench.gateways.counting = 1
    async with bench.operator():
        await acme.ready()
        assert bench.key_state(acme.namespace).latest_version == 1
        bench.ahead += HOUR
        await acme.eventually(lambda: acme.says("RetentionCurrent"), ("True", "Completed"), seconds=30)
        done = acme.retention()
        await acme.eventually(lambda: acme.status()["key"].get("destroyedBelow"), 2)
        bench.ahead += HOUR
        await acme.eventually(lambda: acme.retention()["last"]["id"] != done["last"]["id"], seconds=30)
        nothing = acme.retention()["last"]
        assert acme.says("Ready") == ("True", "Ready")
        await acme.apply()
        await acme.eventually(lambda: acme.says("RetentionCurrent"), ("", ""))
        assert acme.retention() == {"last": nothing}
    assert "current" not in done
    last = done["last"]
    assert (last["forgottenPaths"], last["withheldPaths"], last["keyVersion"]) == (5, 1, 2)
    assert {c["category"]: (c["due"], c["forgotten"], c["withheld"], c["withoutRule"]) for c in last["counts"]} == {
        "images": (3, 3, 1, 0), "notes": (0, 0, 0, 4), "prompts": (2, 2, 0, 0)
    }  # fmt: skip
    assert (nothing["forgottenPaths"], "keyVersion" in nothing) == (0, False)
    assert bench.key_state(acme.namespace).latest_version == 2  # nothing due: not rotated
    assert acme.opened() == 0


async def test_an_erasure_waits_while_retention_has_the_key(keeper: Callable[[str], Keeper], bench: Any) -> None:
    acme = keeper("first")
    acme.data.old |= {"images": 3}
    acme.data.records[ADA] = 2
    async with bench.operator():
        await acme.ready()
        bench.gateways.waits = 1_000_000
        bench.ahead += HOUR
        await acme.eventually(lambda: acme.retention().get("current", {}).get("step"), "DropCaches", seconds=30)
        await acme.erase("ada")
        await acme.eventually(lambda: acme.erased("ada"), ("False", "Queued"))
        assert bench.key_state(acme.namespace).latest_version == 2
        bench.gateways.waits = 0
        await acme.eventually(lambda: acme.erased("ada"), ("True", "Erased"), seconds=40)
        await acme.eventually(lambda: acme.says("RetentionCurrent"), ("True", "Completed"), seconds=30)
    assert acme.retention()["last"]["keyVersion"] == 2
    assert bench.key_state(acme.namespace).min_available_version == 3
    assert acme.opened() == 0


async def test_retention_waits_while_an_erasure_is_in_line(keeper: Callable[[str], Keeper], bench: Any) -> None:
    acme = keeper("second")
    acme.data.old |= {"images": 3}
    acme.data.records[ADA] = 2
    bench.gateways.waits = 1_000_000
    async with bench.operator():
        await acme.ready()
        await acme.erase("ada")
        await acme.eventually(lambda: acme.data.root_version, 2, seconds=30)
        bench.ahead += HOUR
        await acme.eventually(lambda: "goes first" in str(acme.status()) or "under way" in str(acme.status()))
        assert "current" not in acme.retention()
        bench.gateways.waits = 0
        await acme.eventually(lambda: acme.says("RetentionCurrent"), ("True", "Completed"), seconds=40)
    assert acme.erased("ada") == ("True", "Erased")
    assert acme.retention()["last"]["keyVersion"] == 3
    assert acme.opened() == 0


async def test_a_gateway_that_is_down_is_said_and_waited_for(keeper: Callable[[str], Keeper], bench: Any) -> None:
    acme = keeper("patient")
    acme.data.old |= {"images": 3}
    async with bench.operator():
        await acme.ready()
        bench.gateways.down = True
        bench.ahead += HOUR
        await acme.eventually(lambda: "DataPlaneUnavailable: " in str(acme.status()["conditions"]), seconds=30)
        assert acme.says("RetentionCurrent")[0] == "False"
        bench.gateways.down = False
        await acme.eventually(lambda: acme.says("RetentionCurrent"), ("True", "Completed"), seconds=30)


async def test_what_a_purge_leaves_is_a_failure_until_it_is_gone(
    keeper: Callable[[str], Keeper], bench: Any, stack: Any
) -> None:
    acme = keeper("left")
    acme.data.old |= {"images": 3}
    acme.data.rows = 2
    async with bench.operator():
        await acme.ready()
        bench.ahead += HOUR
        await acme.eventually(lambda: acme.says("RetentionCurrent"), ("False", "Failed"), seconds=30)
        assert acme.retention()["current"]["step"] == "Purge"
        acme.data.rows = 0
        await acme.eventually(lambda: acme.says("RetentionCurrent"), ("True", "Completed"), seconds=30)
    about = f"regarding.name={acme.name}"
    written = await asyncio.to_thread(
        stack.kubectl, "get", "events.events.k8s.io", "-n", "default", "--field-selector", about, "-o",
        "jsonpath={range .items[*]}{.type} {.reason}{'\\n'}{end}",
    )  # fmt: skip
    assert [written.count(event) for event in ("Warning RetentionFailed", "Normal RetentionCompleted")] == [1, 1]


async def test_killed_at_every_write_each_run_completes_and_nothing_of_it_opens(
    keeper: Callable[[str], Keeper], bench: Any, guillotine: Any, killed: type[BaseException]
) -> None:
    """Before and after each write to the apiserver, to Vault and to the data plane; the next operator knows nothing."""
    acme = keeper("cut")
    bench.gateways.slice_paths = 1
    async with bench.operator():
        await acme.ready()

    def no_survivor_is_lost(what: str) -> None:
        if what.startswith("vault trim"):
            assert acme.data.root_version >= int(what.rsplit(maxsplit=1)[-1])
            assert acme.data.copied_generation == acme.data.generation == acme.data.cached_generation

    async def one_run(blade: Any) -> tuple[bool, dict[str, Any]]:
        before, cut = acme.retention().get("last", {}).get("id"), False
        for _ in range(12):
            cut = await bench.one_look("Retention", "", acme.name, blade, killed) or cut
            seen = acme.retention()
            if "current" not in seen and seen.get("last", {}).get("id") != before:
                return cut, seen["last"]
        raise AssertionError(f"still {seen}")

    cuts = 0
    for after in (False, True):
        at, cut = 0, True
        while cut:
            at += 1
            bench.ahead += HOUR
            acme.data.old["images"] = 2
            version = bench.key_state(acme.namespace).latest_version
            cut, last = await one_run(guillotine(at=at, after=after, on_write=no_survivor_is_lost))
            assert (last["forgottenPaths"], last["keyVersion"]) == (2, version + 2), f"cut at {at} {after}"
            assert bench.key_state(acme.namespace).latest_version == version + 2, f"rotated again, cut at {at} {after}"
            assert acme.opened() == 0, f"something forgotten opens, cut at {at} {after}"
            cuts += cut
    assert cuts > 40
