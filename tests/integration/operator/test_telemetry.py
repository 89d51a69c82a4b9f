"""One trace from `kubectl apply` to Complete: operator and a real Gateway, across a restart in the middle."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount

from imagint_operator import composition
from imagint_operator.api.base import Condition
from imagint_operator.api.tenants import Tenant
from imagint_operator.dataplane.fakes import FakeProber
from imagint_operator.kube.events import Recorder
from imagint_operator.kube.resources import ObjectKey
from imagint_operator.metrics import Metrics
from imagint_operator.telemetry.fakes import FakeCollector, SeenSpan
from imagint_privacy.keys.fakes import FakeTransit
from imagint_privacy.records.library import Library
from imagint_privacy.tracing import Story, Tracing, configured
from imagint_serving.gateway.application import build_application
from imagint_serving.gateway.identity import Role
from imagint_serving.gateway.rigs import Clock, FakeIssuer, TenantRig, wall_clock

pytest.importorskip(
    "opentelemetry.exporter.otlp.proto.http.trace_exporter", reason="the OTLP exporter is not installed"
)
pytestmark = pytest.mark.stack
KIND = "DataSubjectRequest"
PERSON, PROMPT = "ada@example.com", "a red circle"
STEPS = {"Fence", "ProbeBefore", "Rotate", "Commit", "Copy", "DropCaches", "Trim", "Purge", "ProbeAfter", "Certificate"}


@contextlib.contextmanager
def served(rig: TenantRig, tracing: Tracing) -> Iterator[str]:
    """The tenant's real Gateway under its prefix, as Ray Serve mounts it."""
    inner = build_application(rig.services, tracing=tracing)
    prefix = Mount(f"/{rig.name}", app=inner)

    @contextlib.asynccontextmanager
    async def lifespan(_outer: Starlette) -> AsyncIterator[None]:
        async with inner.router.lifespan_context(inner):
            yield

    outer = Starlette(routes=[prefix], lifespan=lifespan)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(outer, log_config=None, access_log=False))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        deadline = time.monotonic() + 20
        while not answers(f"{url}/{rig.name}/healthz"):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield url
        server.should_exit = True
        thread.join(10)


def answers(url: str) -> bool:
    with contextlib.suppress(httpx.HTTPError):
        return httpx.get(url, trust_env=False).status_code == 200
    return False


class Rig(TenantRig):
    """A tenant whose replicas remember for a whole second: a certificate counts in seconds."""

    def open_library(self, replica: str = "replica-1", cache_seconds: float = 1.0, now: Clock = wall_clock) -> Library:
        return super().open_library(replica, cache_seconds, now)


class Traced:
    """An operator and one tenant's Gateway, both of which send their spans to one collector."""

    def __init__(self, bench: Any, cluster: Any, rig: TenantRig, collector: FakeCollector, prober: FakeProber) -> None:
        self.bench, self.cluster, self.rig, self.collector, self.prober = bench, cluster, rig, collector, prober
        self.namespace = f"tenant-{rig.name}"
        self.endpoint = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}
        real = composition.vault(bench.settings)
        self.keys = composition.Vault(rig.transit.admin(), rig.transit.admin(), real.signer)

    @contextlib.asynccontextmanager
    async def operator(self) -> Any:
        """An operator with an empty memory that looks when it is told to."""
        tracing = configured("imagint-operator", self.endpoint)
        telemetry = composition.Telemetry.of(Metrics(self.bench.clock), tracing)
        async with composition.assembled(self.bench.settings, self.keys, self.bench.clock, telemetry=telemetry) as made:
            yield made
        await asyncio.to_thread(tracing.close)

    async def ask(self, name: str, subject: str) -> dict[str, Any]:
        """kubectl apply; answers the object as the apiserver made it."""
        spec = {"type": "Erase", "subject": subject, "regulation": "GDPR",
                "verification": {"method": "AccountSession", "at": "2026-11-23T12:00:00Z"}}  # fmt: skip
        made = {"apiVersion": "imagint.ai/v1alpha1", "kind": KIND, "spec": spec,
                "metadata": {"name": name, "namespace": self.namespace}}  # fmt: skip
        await asyncio.to_thread(self.cluster.apply, made)
        found: dict[str, Any] = await asyncio.to_thread(self.cluster.get, "dsr", name, self.namespace)
        return found

    async def until(self, made: Any, key: ObjectKey, type_: str, kind: str) -> None:
        """Look until a condition holds."""
        deadline = time.monotonic() + 30
        namespace = key.namespace or None
        while self.cluster.condition(kind, key.name, type_, namespace)[0] != "True":
            assert time.monotonic() < deadline, self.cluster.get(kind, key.name, namespace)
            await made.runtime.look(key)
            await asyncio.sleep(0.05)

    def spans(self, trace_id: str) -> list[SeenSpan]:
        return [span for span in self.collector.spans if span.trace_id == trace_id]


@pytest.fixture
def traced(bench: Any, cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Traced]:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
    transit, issuer = FakeTransit(datetime.now(UTC)), FakeIssuer(tmp_path / "platform.json")
    rig = Rig("traced", tmp_path / "rig", transit, issuer)
    states = transit.admin().state
    with FakeCollector() as collector, FakeProber("secret", states, bench.gateways) as prober:
        prober.clock = bench.clock
        tracing = configured("imagint-gateway", {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url})
        with served(rig, tracing) as url:
            token = tmp_path / "operator-token"
            token.write_text(issuer.token(Role.OPERATOR))
            changed = {"serve_url": url, "prober_url": prober.url, "dataplane_token_file": token}
            bench.settings = bench.settings.model_copy(update=changed)
            yield Traced(bench, cluster, rig, collector, prober)


async def test_one_trace_from_apply_to_complete_across_a_restart(traced: Traced) -> None:
    subject = traced.rig.services.library.handle(PERSON)
    answer = await asyncio.to_thread(draw, traced)
    spec = {"residency": {"region": "eu"}}
    await asyncio.to_thread(
        traced.cluster.apply,
        {"apiVersion": "imagint.ai/v1alpha1", "kind": "Tenant", "metadata": {"name": "traced"}, "spec": spec},
    )
    key = ObjectKey(KIND, traced.namespace, "ada")
    async with traced.operator() as first:
        await traced.until(first, ObjectKey("Tenant", "", "traced"), "KeyReady", "tenant")
        request = await traced.ask("ada", subject)
        traced.prober.down = True  # the first operator comes as far as Fence, and is gone
        await first.runtime.look(key)
    traced.prober.down = False
    async with traced.operator() as second:
        await traced.until(second, key, "Complete", "dsr")

    story = Story.of(request["metadata"]["uid"], 1)
    last = (f"{KIND} Erase", "POST /privacy/v1/erasures/{request_id}/complete")
    await seen(lambda: {span.name for span in traced.collector.spans} >= set(last))
    spans = traced.spans(f"{story.trace_id:032x}")
    check_tree(spans, f"{story.root_id:016x}")
    check_peers(spans, traced.namespace)
    assert [span.said for span in traced.collector.spans if span.said] == []
    for canary in (subject, PERSON, PROMPT, answer["data"][0].get("id", subject)):
        assert canary.encode() not in traced.collector.raw
    called = [span for span in traced.collector.spans if span.trace_id == "ab" * 16]
    assert [(span.name, span.parent_id) for span in called] == [("POST /v1/images/generations", "cd" * 8)]


def draw(traced: Traced) -> dict[str, Any]:
    """One image of a person, asked for by a caller who traces too."""
    url = f"{traced.bench.settings.serve_url}/traced/v1/images/generations"
    image = {"model": "shapes", "prompt": PROMPT, "size": "64x64", "user": PERSON}
    headers = {**traced.rig.bearer, "traceparent": f"00-{'ab' * 16}-{'cd' * 8}-01", "baggage": f"user={PERSON}"}
    answer = httpx.post(url, json=image, headers=headers, trust_env=False, timeout=30)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def check_tree(spans: list[SeenSpan], root_id: str) -> None:
    by_id = {span.span_id: span for span in spans}
    root, looks = by_id[root_id], [span for span in spans if span.name == f"look {KIND}"]
    assert root.name == f"{KIND} Erase"
    assert root.parent_id == ""
    assert root.attributes["imagint.request.type"] == "Erase"
    assert {span.parent_id for span in looks} == {root_id}
    assert len(looks) >= 2, "one of each operator"
    assert any(span.attributes.get("error.type") == "ProberUnavailable" for span in looks)
    assert {span.name for span in spans} >= STEPS
    assert [span.name for span in spans if span.parent_id and span.parent_id not in by_id] == []


def check_peers(spans: list[SeenSpan], namespace: str) -> None:
    by_id = {span.span_id: span for span in spans}
    told = [span for span in spans if span.service == "imagint-gateway"]
    paths = {f"POST /privacy/v1/erasures/{{request_id}}/{step}" for step in ("commit", "copies", "purge", "complete")}
    assert {span.name for span in told} >= paths
    assert {by_id[span.parent_id].service for span in told} == {"imagint-operator"}
    assert {span.name for span in spans} >= {
        "POST /v1/transit/keys/{name}/rotate", "POST /v1/transit/keys/{name}/trim", "POST /v1/transit/sign/{name}",
    }  # fmt: skip
    writes = [span for span in spans if span.name.startswith("PATCH /apis/imagint.ai")]
    assert {span.attributes["k8s.namespace.name"] for span in writes} == {namespace}


async def test_a_collector_that_is_away_holds_nothing_up(bench: Any, caplog: pytest.LogCaptureFixture) -> None:
    tracing = configured("imagint-operator", {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"})
    with caplog.at_level(logging.CRITICAL, "opentelemetry"):
        keys = composition.vault(bench.settings)
        telemetry = composition.Telemetry.of(Metrics(), tracing)
        async with composition.assembled(bench.settings, keys, bench.clock, telemetry=telemetry) as made:
            await made.runtime.look(ObjectKey("Tenant", "", "nobody"))
        await asyncio.wait_for(asyncio.to_thread(tracing.close, 0.5), 60)


async def test_a_condition_that_flaps_is_one_event_and_then_a_series(bench: Any, cluster: Any) -> None:
    tenant = Tenant.model_validate(
        {"metadata": {"name": "flapping", "uid": "11111111-2222-4333-8444-555555555555"},
         "spec": {"residency": {"region": "eu"}}}
    )  # fmt: skip
    sealed = Condition.model_validate(
        {"type": "Ready", "status": "False", "reason": "VaultUnavailable", "message": "Vault is sealed",
         "lastTransitionTime": "2026-11-23T12:00:00Z"}
    )  # fmt: skip
    times = iter([0.0, 1.0, 2.0, 3.0, 700.0])
    async with composition.assembled(bench.settings, composition.vault(bench.settings), bench.clock) as made:
        recorder = Recorder(made.client, "test", monotonic=lambda: next(times))
        for _ in range(5):
            await recorder.record(tenant, sealed, action="Reconcile")
    found = json.loads(cluster.run("get", "events.events.k8s.io", "-n", "default", "-o", "json"))["items"]
    mine = [event for event in found if event["regarding"]["name"] == "flapping"]
    assert sorted(event.get("series", {}).get("count", 1) for event in mine) == [1, 4]
    assert {(event["type"], event["reason"], event["note"]) for event in mine} == {
        ("Warning", "VaultUnavailable", "Vault is sealed")
    }


async def seen(look: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 15
    while not look():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)
