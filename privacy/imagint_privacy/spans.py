"""The OpenTelemetry SDK: ids that can be given, and the exporter. Imported only once traces are asked for."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from importlib.metadata import PackageNotFoundError, version

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.id_generator import IdGenerator, RandomIdGenerator

from imagint_privacy.tracing import ENDPOINTS, TracingError

_given: ContextVar[tuple[int, int] | None] = ContextVar("imagint_given_ids", default=None)


class Ids(IdGenerator):
    """Random ids, but for the span that is begun inside `given`."""

    def __init__(self) -> None:
        self._random = RandomIdGenerator()

    def generate_trace_id(self) -> int:
        """See the SDK."""
        ids = _given.get()
        return ids[0] if ids else self._random.generate_trace_id()

    def generate_span_id(self) -> int:
        """See the SDK."""
        ids = _given.get()
        return ids[1] if ids else self._random.generate_span_id()


@contextlib.contextmanager
def given(trace_id: int, span_id: int) -> Iterator[None]:
    """What begins in here has these ids."""
    token = _given.set((trace_id, span_id))
    try:
        yield
    finally:
        _given.reset(token)


def provider(service: str, exporter: SpanExporter) -> TracerProvider:
    """A provider that sends in the background and drops spans rather than wait. Samples as `OTEL_TRACES_SAMPLER` says.

    The resource names the service and nothing that the SDK would find out by itself: no command line, no user.
    """
    named = {"service.namespace": "imagint", "service.name": service, "service.version": _version()}
    instance = os.environ.get("HOSTNAME", "")
    made = TracerProvider(
        resource=Resource(named | ({"service.instance.id": instance} if instance else {})),
        id_generator=Ids(),
        shutdown_on_exit=False,
    )
    made.add_span_processor(BatchSpanProcessor(exporter))
    return made


def exporting(service: str, environment: Mapping[str, str]) -> TracerProvider:
    """A provider that sends to the OTLP endpoint of the environment.

    Raises:
        TracingError: the exporter is not installed, or does not take the settings.
    """
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    except ImportError:
        names = " or ".join(ENDPOINTS)
        raise TracingError(f"{names} is set, and opentelemetry-exporter-otlp-proto-http is not installed") from None
    whole, base = (environment.get(name) for name in ENDPOINTS)
    endpoint = whole or f"{(base or '').rstrip('/')}/v1/traces"
    if not endpoint.startswith(("http://", "https://")):
        raise TracingError("the OTLP endpoint must be an http:// or https:// address")
    return provider(service, OTLPSpanExporter(endpoint=endpoint))


def _version() -> str:
    try:
        return version("imagint")
    except PackageNotFoundError:
        return "0"
