"""OpenTelemetry traces for every process of Imagint: off, and free, unless an OTLP endpoint is set.

Both planes use it; OpenTelemetry is imported only once traces are asked for, so that an auditor's installation needs
none of it. What is under way is remembered in the context of the task or thread: code in the middle opens a span
without being handed anything, and outside of a traced piece of work that costs a look into a context variable.

Spans carry ids, templates and types. Never the text of an exception, a handle, a prompt, a path as it was sent, or
what a caller put into `tracestate` or `baggage`.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import threading
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from imagint_privacy.errors import PrivacyError

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span, SpanKind, Tracer

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
TRACEPARENT = "traceparent"
# W3C Trace Context, section 3.2; only version 00 and what extends it, and never the all-zero ids.
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?")
Attributes = Mapping[str, str | int]

_under_way: ContextVar[Tracing | None] = ContextVar("imagint_tracing", default=None)


class TracingError(PrivacyError):
    """Traces are asked for, and this installation cannot export them."""


class Pen(Protocol):
    """What may be said about a span while it lasts."""

    def name(self, name: str) -> None:
        """Name it anew, once more is known."""

    def say(self, name: str, value: str | int) -> None:
        """Set an attribute."""

    def fail(self, kind: str) -> None:
        """Mark it as failed, by the kind of failure and nothing else."""


class _NoPen:
    def name(self, name: str) -> None:
        """Nobody listens."""

    def say(self, name: str, value: str | int) -> None:
        """Nobody listens."""

    def fail(self, kind: str) -> None:
        """Nobody listens."""


class _SpanPen:
    def __init__(self, span: Span) -> None:
        self._span = span

    def name(self, name: str) -> None:
        self._span.update_name(name)

    def say(self, name: str, value: str | int) -> None:
        self._span.set_attribute(name, value)

    def fail(self, kind: str) -> None:
        from opentelemetry.trace import Status, StatusCode

        self._span.set_attribute("error.type", kind)
        self._span.set_status(Status(StatusCode.ERROR))


SILENT: Pen = _NoPen()


@dataclass(frozen=True, slots=True)
class Story:
    """The ids of the one trace that tells what became of one generation of one object.

    They are computed, not drawn: every replica, and each after a restart, finds the same ones.
    """

    trace_id: int
    root_id: int

    @classmethod
    def of(cls, uid: str, generation: int) -> Story:
        """The story of an object's uid and generation."""
        digest = hashlib.sha256(f"imagint.ai/trace/v1\n{uid}\n{generation}".encode()).digest()
        # An id of zero is not valid; the chance is nil, and the rule is kept all the same.
        return cls(int.from_bytes(digest[:16]) or 1, int.from_bytes(digest[16:24]) or 1)


class Tracing:
    """Where a process sends its spans. Without a provider, nowhere."""

    def __init__(self, provider: TracerProvider | None = None) -> None:
        self._provider = provider
        self._tracer: Tracer | None = provider.get_tracer("imagint") if provider is not None else None

    @property
    def on(self) -> bool:
        """Whether anything is exported."""
        return self._tracer is not None

    @contextlib.contextmanager
    def server(self, name: str, carrier: str | None, attributes: Attributes) -> Iterator[Pen]:
        """Answer one request from outside, as part of the trace that its `traceparent` names, if it names one."""
        if self._tracer is None:
            yield SILENT
            return
        from opentelemetry.trace import SpanKind

        with self._span(name, SpanKind.SERVER, attributes, _from_carrier(carrier)) as pen:
            yield pen

    @contextlib.contextmanager
    def chapter(self, name: str, story: Story, attributes: Attributes, *, since: int) -> Iterator[Pen]:
        """One piece of work in an object's story, from a moment in nanoseconds on."""
        if self._tracer is None:
            yield SILENT
            return
        from opentelemetry.trace import SpanKind

        with self._span(name, SpanKind.INTERNAL, attributes, self._below(name, story), since=since) as pen:
            yield pen

    def whole(self, name: str, story: Story, attributes: Attributes, begun: datetime, ended: datetime) -> None:
        """Export the root of a story, once it has ended. Said twice, it is the same span."""
        if self._tracer is None:
            return
        from opentelemetry.context import Context

        from imagint_privacy.spans import given

        with given(story.trace_id, story.root_id):
            span = self._tracer.start_span(name, Context(), start_time=_nanoseconds(begun), attributes=dict(attributes))
        span.end(_nanoseconds(ended))

    def close(self, seconds: float = 1.5) -> None:
        """Send what is left, for at most so long: a collector that does not answer delays no end of a process."""
        if self._provider is None:
            return
        thread = threading.Thread(target=self._provider.shutdown, name="traces", daemon=True)
        thread.start()
        thread.join(seconds)

    def _below(self, name: str, story: Story) -> Context:
        from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

        flags = TraceFlags(TraceFlags.SAMPLED if self._sampled(name, story) else TraceFlags.DEFAULT)
        parent = SpanContext(story.trace_id, story.root_id, is_remote=True, trace_flags=flags)
        return set_span_in_context(NonRecordingSpan(parent))

    def _sampled(self, name: str, story: Story) -> bool:
        """A sampler decides by the trace's id: alike in every replica."""
        from opentelemetry.sdk.trace.sampling import Decision

        assert self._provider is not None  # noqa: S101 - there is no tracer without it
        decision = self._provider.sampler.should_sample(None, story.trace_id, name).decision
        return decision is Decision.RECORD_AND_SAMPLE

    @contextlib.contextmanager
    def _span(
        self,
        name: str,
        kind: SpanKind,
        attributes: Attributes,
        context: Context | None = None,
        *,
        since: int | None = None,
    ) -> Iterator[Pen]:
        from opentelemetry.trace import use_span

        assert self._tracer is not None  # noqa: S101 - nothing is under way without one
        span = self._tracer.start_span(name, context, kind=kind, attributes=dict(attributes), start_time=since)
        pen, token = _SpanPen(span), _under_way.set(self)
        try:
            with use_span(span, end_on_exit=True, record_exception=False, set_status_on_exception=False):
                try:
                    yield pen
                except BaseException as error:
                    pen.fail(kind_of(error))
                    raise
        finally:
            _under_way.reset(token)


OFF = Tracing()


@contextlib.contextmanager
def span(name: str, attributes: Attributes, *, outgoing: bool = False) -> Iterator[Pen]:
    """A part of the piece of work that is under way here; nothing when none is traced."""
    tracing = _under_way.get()
    if tracing is None:
        yield SILENT
        return
    from opentelemetry.trace import SpanKind

    with tracing._span(name, SpanKind.CLIENT if outgoing else SpanKind.INTERNAL, attributes) as pen:
        yield pen


def headers() -> dict[str, str]:
    """What tells a peer which trace its work belongs to: W3C `traceparent`, and nothing outside of a trace."""
    if _under_way.get() is None:
        return {}
    from opentelemetry.trace import get_current_span

    context = get_current_span().get_span_context()
    return {TRACEPARENT: f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags):02x}"}


def kind_of(error: BaseException) -> str:
    """The kind of an error: its fixed reason where it has one, else its type."""
    reason = getattr(error, "reason", None)
    named = isinstance(reason, str) and reason.isascii() and reason.isalnum() and len(reason) <= 64
    return reason if named and reason else type(error).__name__


def configured(service: str, environment: Mapping[str, str]) -> Tracing:
    """Traces as the environment asks for: to an OTLP collector over HTTP, or none.

    Raises:
        TracingError: an endpoint is set and the exporter is not installed, or takes no such setting.
    """
    if not any(environment.get(name) for name in ENDPOINTS) or environment.get("OTEL_SDK_DISABLED") == "true":
        return OFF
    from imagint_privacy.spans import exporting

    return Tracing(exporting(service, environment))


def _from_carrier(carrier: str | None) -> Context:
    from opentelemetry.context import Context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    if carrier is None or not _TRACEPARENT.fullmatch(carrier):
        return Context()
    return TraceContextTextMapPropagator().extract({TRACEPARENT: carrier}, Context())


def _nanoseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1e6) * 1000
