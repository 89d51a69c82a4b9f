"""A small true OTLP collector: takes spans over HTTP as the specification says, and shows them. For tests."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

PATH = "/v1/traces"


@dataclass(frozen=True, slots=True)
class SeenSpan:
    """One span as it arrived."""

    service: str
    name: str
    trace_id: str
    span_id: str
    parent_id: str
    start: int
    end: int
    attributes: Mapping[str, str]
    failed: bool
    said: str


class FakeCollector:
    """Listens on a port of its own; `raw` is every byte that was sent, unpacked."""

    def __init__(self) -> None:
        self.spans: list[SeenSpan] = []
        self.raw = b""
        self._lock = threading.Lock()
        handler = type("Handler", (_Handler,), {"collector": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        """The base endpoint, as `OTEL_EXPORTER_OTLP_ENDPOINT` takes it."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def take(self, body: bytes) -> None:
        """Take up one export.

        Raises:
            DecodeError: it is none.
        """
        request = ExportTraceServiceRequest.FromString(body)
        found = [
            SeenSpan(
                service=_attributes(part.resource.attributes).get("service.name", ""),
                name=span.name,
                trace_id=span.trace_id.hex(),
                span_id=span.span_id.hex(),
                parent_id=span.parent_span_id.hex(),
                start=span.start_time_unix_nano,
                end=span.end_time_unix_nano,
                attributes=_attributes(span.attributes),
                failed=span.status.code == span.status.STATUS_CODE_ERROR,
                said=span.status.message + "".join(event.name for event in span.events),
            )
            for part in request.resource_spans
            for scope in part.scope_spans
            for span in scope.spans
        ]
        with self._lock:
            self.spans += found
            self.raw += body


class _Handler(BaseHTTPRequestHandler):
    collector: FakeCollector
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """One export."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        status, answer = 200, ExportTraceServiceResponse().SerializeToString()
        try:
            if self.path != PATH or self.headers.get("Content-Type") != "application/x-protobuf":
                status, answer = 404, b""
            else:
                self.collector.take(gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)
        except (DecodeError, OSError):
            status, answer = 400, b""
        self.send_response(status)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's own name
        """Stay silent."""


def _attributes(found: object) -> dict[str, str]:
    return {pair.key: _text(pair.value) for pair in found}  # type: ignore[attr-defined]


def _text(value: AnyValue) -> str:
    return str(getattr(value, value.WhichOneof("value") or "string_value"))
