"""The data plane continues the trace that it is asked in, and says of a request what it was, not what it held."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from imagint_privacy.spans import provider
from imagint_privacy.tracing import OFF, Story, Tracing, headers
from imagint_serving.prober.gateways import HttpGateway
from imagint_serving.traces import Traced, data_plane_tracing

CANARY = "subj-canarycanarycanarycanary2a"
ASKED = f"00-{'ab' * 16}-{'cd' * 8}-01"


class Seen:
    """An application that is traced, and its spans."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = provider("test", self.exporter)
        self.tracing = Tracing(self.provider)
        self.sent: dict[str, str] = {}

    def client(self, tracing: Tracing | None = None) -> TestClient:
        async def show(request: Request) -> PlainTextResponse:
            self.sent = headers()
            if request.path_params["handle"] == "crash":
                raise ValueError(CANARY)
            return PlainTextResponse("fine", status_code=int(request.query_params.get("status", 200)))

        app = Starlette(routes=[Route("/subjects/{handle}", show), Route("/healthz", show)])
        app.add_middleware(Traced, tracing=tracing or self.tracing, said={"imagint.tenant": "tenant-acme"})
        return TestClient(app, raise_server_exceptions=False)

    def spans(self) -> list[ReadableSpan]:
        self.provider.force_flush()
        return list(self.exporter.get_finished_spans())


@pytest.fixture
def seen() -> Iterator[Seen]:
    made = Seen()
    yield made
    made.tracing.close()


def test_a_request_is_part_of_the_callers_trace(seen: Seen) -> None:
    carried = {"traceparent": ASKED, "tracestate": f"vendor={CANARY}", "baggage": f"user={CANARY}"}
    assert seen.client().get(f"/subjects/{CANARY}?q={CANARY}", headers=carried).status_code == 200
    (span,) = seen.spans()
    assert span.context is not None
    assert span.parent is not None
    assert f"{span.context.trace_id:032x}" == "ab" * 16
    assert f"{span.parent.span_id:016x}" == "cd" * 8
    assert seen.sent["traceparent"].split("-")[1] == "ab" * 16
    assert "canary" not in span.to_json()
    assert dict(span.attributes or {})["imagint.tenant"] == "tenant-acme"


@pytest.mark.parametrize(
    ("path", "status", "error"),
    [
        pytest.param("/subjects/a?status=404", 404, None, id="the caller is wrong"),
        pytest.param("/subjects/a?status=503", 503, "503", id="we cannot"),
        pytest.param("/subjects/crash", None, "ValueError", id="a bug, by its type"),
    ],
)
def test_what_is_a_failure(seen: Seen, path: str, status: int | None, error: str | None) -> None:
    seen.client().get(path)
    (span,) = seen.spans()
    said: dict[str, Any] = dict(span.attributes or {})
    assert said.get("error.type") == error
    assert status is None or said["http.response.status_code"] == status
    assert CANARY not in span.to_json()


@pytest.mark.parametrize(
    "path", [pytest.param("/healthz", id="at the root"), pytest.param("/acme/healthz", id="below")]
)
def test_a_health_check_tells_nothing(seen: Seen, path: str) -> None:
    seen.client().get(path)
    assert seen.spans() == []


def test_an_odd_method_is_not_repeated(seen: Seen) -> None:
    seen.client().request("CANARY", "/subjects/a")
    (span,) = seen.spans()
    assert "CANARY" not in span.to_json()


def test_without_an_endpoint_nothing_is_different(seen: Seen) -> None:
    assert seen.client(OFF).get("/subjects/a", headers={"traceparent": ASKED}).text == "fine"
    assert seen.sent == {}
    assert seen.spans() == []


def test_the_prober_tells_the_gateway_which_trace_it_is_in(seen: Seen, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("secret")
    asked: list[str | None] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.headers.get("traceparent"))
        return httpx.Response(200, json={"records": {}, "objects": 0, "total": 0})

    gateway = HttpGateway("http://serve", tmp_path / "token", httpx.MockTransport(answer))
    story = Story.of("uid", 1)
    with seen.tracing.chapter("look", story, {}, since=1):
        call(gateway)
    call(gateway)
    gateway.close()
    assert asked[0] is not None
    assert asked[0].startswith(f"00-{story.trace_id:032x}-")
    assert asked[1] is None


def call(gateway: HttpGateway) -> None:
    gateway._call("GET", "acme", "/root")


def test_a_data_plane_serves_without_traces_rather_than_not_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "no address")
    assert data_plane_tracing("imagint-gateway") is OFF
