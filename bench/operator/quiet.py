"""What is measured once everything has converged: rest, single changes, a restart, takeovers, and the naive way."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from bench.keys.findings import percentile
from bench.operator import objects
from bench.operator.cluster import Turning, key_of, told
from bench.operator.parts import Run, settle
from bench.operator.processes import cpu_s, load, memory_mib
from bench.operator.site import Operator, until

LATE_S = 15.0
FOLLOWED_S = 60.0
SEED = 5


async def rest(run: Run) -> None:
    """Nothing changes: what the operator still writes, and what it costs."""
    site, plan, pid = run.site, run.plan, run.working.pid
    quiet = await settle(run, quiet_s=12.0)
    run.say(f"at rest for {plan.rest_s:.0f} s")
    answered, asked = await site.served(), await run.working.requests()
    looks, revision = await run.working.reconciles(), await site.cluster.version()
    began, cpu = time.monotonic(), cpu_s(pid)
    await asyncio.sleep(plan.rest_s)
    used, took, later = cpu_s(pid) - cpu, time.monotonic() - began, await site.cluster.version()
    served = (await site.served()).since(answered)
    writes, leases = served.writes(), served.of("resource", "leases").without("verb", "GET").total()
    own = (await run.working.requests()).since(asked)
    now, most = memory_mib(pid)
    run.found.set("writes_at_rest_per_min", own.writes().total() * 60 / took)
    run.found.set("cpu_at_rest_ratio", used / took)
    run.found.set("memory_mib", now)
    run.found.set("memory_peak_mib", most)
    run.found.raw["rest"] = {
        "settled": quiet, "seconds": took, "load": load(), "revisions": later - revision, "lease_writes": leases,
        "writes_of_anybody": writes.by("verb", "resource", "subresource"), "own": own.by("verb", "resource", "code"),
        "own_writes": own.writes().by("verb", "resource"),
        "looks": (await run.working.reconciles()).since(looks).by("kind", "outcome"),
    }  # fmt: skip


async def changes(run: Run) -> None:
    """One change at a time, at a modest rate: a quota changed, or a request made; until its status speaks about it."""
    plan, cluster, chance = run.plan, run.site.cluster, random.Random(SEED)  # noqa: S311 - a fixed order of changes
    took: dict[str, list[float]] = {"quota": [], "request": []}
    quotas, made = Seen("Tenant"), Seen("DataSubjectRequest")
    numbers = [chance.randrange(plan.tenants) for _ in range(plan.changes)]
    async with quotas.over(run), made.over(run):
        for turn, number in enumerate(numbers):
            next_at = time.monotonic() + 1 / plan.changes_per_s
            began, now = time.monotonic(), datetime.now(UTC)
            if turn % 2:
                request = objects.request(number, "Access", now, suffix=f"-{turn}")
                await cluster.create(request)
                ended = await made.told(key_of(request), 1)
                took["request"].append(ended - began)
            else:
                name = objects.name(number)
                generation = await cluster.change("Tenant", name, None, {"quotas": {"gpuCount": turn % 7 + 1}})
                ended = await quotas.told(("", name), generation)
                took["quota"].append(ended - began)
            run.say(f"change {turn + 1} of {plan.changes}")
            await asyncio.sleep(max(0.0, next_at - time.monotonic()))
    both = took["quota"] + took["request"]
    run.found.set("status_p50_s", percentile(both, 0.5))
    run.found.set("status_p99_s", percentile(both, 0.99))
    for name, seconds in took.items():
        run.found.set(f"status_{name}_p99_s", percentile(seconds, 0.99))
    run.found.raw["changes"] = {name: [round(each, 4) for each in each_of] for name, each_of in took.items()}
    await settle(run)


class Seen:
    """Up to which generation the status of each object was seen to speak."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._known: dict[tuple[str, str], tuple[int, float]] = {}
        self._news = asyncio.Event()

    def over(self, run: Run) -> Any:
        """Watch this kind."""
        return Turning(run.site.cluster, self._kind, {"seen": self._note}).watching()

    async def told(self, key: tuple[str, str], generation: int) -> float:
        """The moment at which it was; at the latest, when it is too late to wait."""
        deadline = time.monotonic() + LATE_S
        while self._known.get(key, (0, 0.0))[0] < generation and time.monotonic() < deadline:
            self._news.clear()
            try:
                await asyncio.wait_for(self._news.wait(), deadline - time.monotonic())
            except TimeoutError:
                break
        known = self._known.get(key, (0, 0.0))
        return known[1] if known[0] >= generation else time.monotonic()

    def reached(self, key: tuple[str, str], generation: int) -> bool:
        """Whether it was."""
        return self._known.get(key, (0, 0.0))[0] >= generation

    def _note(self, item: Any) -> bool:
        observed, key = int(item.get("status", {}).get("observedGeneration") or 0), key_of(item)
        if told(item) and observed > self._known.get(key, (0, 0.0))[0]:
            self._known[key] = (observed, time.monotonic())
            self._news.set()
        return False  # to be shown every event


async def restart(run: Run) -> None:
    """kill -9, and started again at once: until every object was looked at and nothing waits, its Lease included."""
    run.working.kill()
    began = time.monotonic()
    run.operator = run.site.start()
    run.say("restarted")
    took, looks = await _caught_up(run, run.operator, run.plan.limit_s)
    run.found.set("restart_s", time.monotonic() - began)
    run.found.raw["restart"] = {
        "caught_up": took is not None, "looks": looks, "cpu_s": cpu_s(run.operator.pid),
        "requests": (await run.operator.requests()).by("verb", "resource"), "memory_mib": memory_mib(run.operator.pid),
    }  # fmt: skip
    run.found.set("restart_writes", (await run.operator.requests()).writes().total())
    await settle(run)


async def _caught_up(run: Run, operator: Operator, limit_s: float) -> tuple[float | None, dict[str, float]]:
    plan, looks = run.plan, {}
    wanted = {"Tenant": plan.tenants, "ModelDeployment": plan.tenants * plan.models_each,
              "DataSubjectRequest": plan.tenants * len(objects.REQUESTS)}  # fmt: skip

    async def all_looked_at() -> bool:
        looks.update((await operator.reconciles()).by("kind"))
        return all(looks.get(kind, 0) >= many for kind, many in wanted.items())

    return await until(all_looked_at, limit_s, 0.5), looks


async def takeovers(run: Run) -> None:
    """Two replicas; the one at work is killed at rest, killed under load, stopped: until the other has done work."""
    took: dict[str, float] = {}
    cases = (("killed_at_rest", signal.SIGKILL, 0), ("killed_under_load", signal.SIGKILL, run.plan.burst),
             ("stopped", signal.SIGSTOP, 0))  # fmt: skip
    for turn, (name, number, burst) in enumerate(cases):
        leader = run.working
        standby = run.site.start()
        run.say(f"takeover: {name}; a standby warms up")
        await _warm(standby)
        took[name] = await _followed(run, leader.process.send_signal, number, burst, turn)
        if number is signal.SIGSTOP:
            leader.process.send_signal(signal.SIGCONT)
        if leader.process.poll() is None:
            leader.kill()
        leader.process.wait(10)
        run.operator = standby
        await settle(run, limit_s=40.0)
    for name, seconds in took.items():
        run.found.set(f"takeover_{name}_s", seconds)
    run.found.set("takeover_s", max(took.values()))


async def _followed(
    run: Run, end: Callable[[signal.Signals], None], number: signal.Signals, burst: int, turn: int
) -> float:
    """From the end of the leader to the first status that its follower wrote: of a change made just afterwards."""
    cluster, seen = run.site.cluster, Seen("Tenant")
    async with seen.over(run):
        for each in range(1, burst + 1):
            name = objects.name(each % run.plan.tenants)
            await cluster.change("Tenant", name, None, {"quotas": {"gpuCount": 20 + turn}})
        end(number)
        began = time.monotonic()
        generation = await cluster.change("Tenant", objects.name(0), None, {"displayName": f"Followed {turn}"})
        deadline = began + FOLLOWED_S
        while time.monotonic() < deadline:
            moment = await seen.told(("", objects.name(0)), generation)
            if seen.reached(("", objects.name(0)), generation):
                return moment - began
    return time.monotonic() - began


async def _warm(operator: Operator) -> None:
    """Wait until a standby has listed everything: its reads, but for those of the Lease, have come to rest."""
    before = -1.0
    for _ in range(60):
        reads = (await operator.requests()).reads().without("resource", "leases").total()
        if 0 < reads == before:
            return
        before = reads
        await asyncio.sleep(1.5)


async def naive(run: Run) -> None:
    """The same operator without caches is started in its place: what the looks of one restart cost it, beside ours."""
    ours = run.found.raw.get("restart")
    run.working.kill()
    run.say("the naive alternative: every read is a request")
    began = time.monotonic()
    operator = run.operator = run.site.start("bench.operator.naive")
    took, looks = await _caught_up(run, operator, run.plan.naive_s)
    seconds, reads = time.monotonic() - began, (await operator.requests()).reads().total()
    all_looks = max(1.0, sum(looks.values()))
    run.found.set("naive_restart_s", seconds)
    run.found.set("naive_reads_per_look", reads / all_looks)
    run.found.set("naive_cpu_ms_per_look", 1000 * cpu_s(operator.pid) / all_looks)
    if ours:
        mine = max(1.0, sum(ours["looks"].values()))
        mine_reads = sum(many for call, many in ours["requests"].items() if call.split()[0] in {"get", "list"})
        run.found.set("reads_per_look", mine_reads / mine)
        run.found.set("cpu_ms_per_look", 1000 * ours["cpu_s"] / mine)
    run.found.raw["naive"] = {"caught_up": took is not None, "looks": looks, "seconds": seconds,
                              "requests": (await operator.requests()).by("verb", "resource")}  # fmt: skip
