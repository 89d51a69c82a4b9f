"""What is measured, part by part, on one site: each leaves it as the next one expects it, an operator running."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from bench.keys.findings import Findings, Say
from bench.operator import objects
from bench.operator.cluster import Turning, ended, holds, told
from bench.operator.counters import Counters
from bench.operator.plans import Plan
from bench.operator.processes import cpu_s, load, memory_mib
from bench.operator.site import Operator, Site


@dataclass
class Run:
    """One run: where, how much, what was found, and the operator that works now."""

    site: Site
    plan: Plan
    found: Findings
    say: Say
    operator: Operator | None = None
    looks: list[tuple[float, float]] = field(default_factory=list)
    """Of each convergence: looks, and seconds."""

    @property
    def working(self) -> Operator:
        """The operator that works now; started when there is none."""
        if self.operator is None:
            self.operator = self.site.start()
        return self.operator


Part = Callable[[Run], Awaitable[None]]


async def tenants(run: Run) -> None:
    """Cold: all Tenants are applied, then the operator is started for the first time; until all are served."""
    plan, cluster = run.plan, run.site.cluster
    run.say(f"creating {plan.tenants} tenants")
    created = await cluster.create_all(map(objects.tenant, range(plan.tenants)))
    turning = Turning(cluster, "Tenant", {"ready": holds("Ready"), "served": holds("GatewayReady")})
    async with turning.watching():
        began, before = time.monotonic(), await run.site.served()
        run.operator = run.site.start()
        await turning.all_of("ready", plan.tenants, plan.limit_s, run.say)
        ready = _last(turning, "ready", began)
        await turning.all_of("served", plan.tenants, plan.limit_s - ready, run.say)
        served = _last(turning, "served", began)
    looks = await run.operator.reconciles()
    raw = {"created_s": created, "load": load(), "ready": _curve(turning, "ready", began),
           "served": _curve(turning, "served", began), "looks": looks.by("kind", "outcome"),
           "cpu_s": cpu_s(run.operator.pid), **_peers(run)}  # fmt: skip
    _missing(run, "tenants", turning, plan.tenants)
    run.found.set(f"tenants_{plan.tenants}_ready_s", ready)
    run.found.set(f"tenants_{plan.tenants}_served_s", served)
    _rate(run, "tenants", looks, served)
    await settle(run)
    writes = (await run.operator.requests()).writes()
    answered = (await run.site.served()).since(before).writes()
    events = writes.of("resource", "events").total()
    run.found.set("api_writes_per_tenant", (writes.total() - events) / plan.tenants)
    run.found.set("api_events_per_tenant", events / plan.tenants)
    run.found.set("api_writes_per_tenant_minimum", objects.minimum_writes())
    raw |= {"writes": writes.by("verb", "resource", "code"), "answered": answered.by("verb", "resource", "subresource")}
    run.found.raw["tenants"] = raw


async def models(run: Run) -> None:
    """While the operator runs: two models for each tenant; until all are Ready behind their gate of quality."""
    plan, cluster = run.plan, run.site.cluster
    many = plan.tenants * plan.models_each
    turning = Turning(cluster, "ModelDeployment", {"told": told, "ready": holds("Ready")})
    async with turning.watching():
        began, before, cpu = time.monotonic(), await run.working.reconciles(), cpu_s(run.working.pid)
        writes = (await run.working.requests()).writes()
        made = (objects.model(number, which) for which in range(plan.models_each) for number in range(plan.tenants))
        created = await cluster.create_all(made)
        await turning.all_of("ready", many, plan.limit_s, run.say)
        took = _last(turning, "ready", began)
    looks = (await run.working.reconciles()).since(before)
    _missing(run, "models", turning, many)
    run.found.set(f"models_{many}_ready_s", took)
    _rate(run, "models", looks, took)
    grown = (await run.working.requests()).writes().since(writes)
    run.found.set("api_writes_per_model", grown.without("resource", "events").total() / many)
    run.found.raw["models"] = {
        "created_s": created, "ready": _curve(turning, "ready", began), "looks": looks.by("kind", "outcome"),
        "cpu_s": cpu_s(run.working.pid) - cpu, "writes": grown.by("verb", "resource", "code"), **_peers(run),
    }  # fmt: skip
    await settle(run)


async def requests(run: Run) -> None:
    """The operator is killed, five requests a tenant pile up, and another one is started: until all have ended."""
    plan, cluster = run.plan, run.site.cluster
    many = plan.tenants * len(objects.REQUESTS)
    run.working.kill()
    run.say(f"creating {many} requests")
    now = datetime.now(UTC)
    created = await cluster.create_all(
        objects.request(number, type_, now) for type_ in objects.REQUESTS for number in range(plan.tenants)
    )
    turning = Turning(cluster, "DataSubjectRequest", {"told": told, "ended": ended})
    async with turning.watching():
        began = time.monotonic()
        run.operator = run.site.start()
        await turning.all_of("ended", many, plan.limit_s, run.say)
        took = _last(turning, "ended", began)
    first = min(turning.seen["told"].values(), default=began) - began
    looks = await run.operator.reconciles()
    _missing(run, "requests", turning, many)
    run.found.set(f"requests_{many}_ended_s", took)
    run.found.set("requests_ended_per_s", len(turning.seen["ended"]) / max(took - first, 0.1))
    _rate(run, "requests", looks, took - first)
    grown = (await run.operator.requests()).writes()
    run.found.set("api_writes_per_request", grown.without("resource", "events").total() / many)
    run.found.raw["requests"] = {
        "created_s": created, "first_s": first, "ended": _curve(turning, "ended", began),
        "told": _curve(turning, "told", began), "looks": looks.by("kind", "outcome"),
        "cpu_s": cpu_s(run.operator.pid), "writes": grown.by("verb", "resource", "code"), **_peers(run),
    }  # fmt: skip
    run.found.set("reconciles_per_s", sum(many for many, _ in run.looks) / sum(took for _, took in run.looks))
    await settle(run)


async def settle(run: Run, *, quiet_s: float = 6.0, limit_s: float = 90.0) -> bool:
    """Wait until the operator has written nothing for a while."""
    began = quiet = time.monotonic()
    before: float | None = None
    while time.monotonic() - began < limit_s:
        writes = (await run.working.requests()).writes().total()
        if writes != before:
            before, quiet = writes, time.monotonic()
        if time.monotonic() - quiet >= quiet_s:
            return True
        run.say(f"settling: {writes:.0f} writes so far")
        await asyncio.sleep(1.0)
    run.found.raw.setdefault("problems", []).append(f"not settled within {limit_s:.0f} s")
    return False


def _rate(run: Run, name: str, looks: Counters, seconds: float) -> None:
    run.looks.append((looks.total(), seconds))
    run.found.set(f"reconciles_per_s_{name}", looks.total() / max(seconds, 0.1))


def _last(turning: Turning, name: str, began: float) -> float:
    return max(turning.seen[name].values(), default=time.monotonic()) - began


def _missing(run: Run, what: str, turning: Turning, many: int) -> None:
    for name, seen in turning.seen.items():
        if len(seen) < many:
            problem = f"{what}: only {len(seen)} of {many} were {name} when the time was over: the seconds are of these"
            run.found.raw.setdefault("problems", []).append(problem)


def _curve(turning: Turning, name: str, began: float) -> list[float]:
    """When each came to be, sorted; at most 500 points."""
    moments = sorted(moment - began for moment in turning.seen[name].values())
    step = max(1, len(moments) // 500)
    return [round(moment, 3) for moment in [*moments[::step], *moments[-1:]]]


def _peers(run: Run) -> dict[str, Any]:
    """Processor seconds so far of those who share the two cores."""
    pids = {name: run.site.stack.pid(name) for name in ("apiserver", "etcd", "vault", "controller-manager")}
    return {"peers_cpu_s": {name: cpu_s(pid) for name, pid in pids.items() if pid}, "memory_mib": _memory(run)}


def _memory(run: Run) -> list[float]:
    return list(memory_mib(run.working.pid))
