"""One story has the same ids everywhere; nothing that anybody wrote ends up in it; without an endpoint it is free."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import given, strategies
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from imagint_privacy.spans import provider
from imagint_privacy.tracing import OFF, Story, Tracing, TracingError, configured, headers, kind_of, span

CANARY = "ada@example.com"
THEN = datetime(2026, 11, 23, 12, tzinfo=UTC)


class Kept:
    """A tracing that keeps its spans here."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = provider("test", self.exporter)
        self.tracing = Tracing(self.provider)

    @property
    def spans(self) -> dict[str, ReadableSpan]:
        self.provider.force_flush()
        return {found.name: found for found in self.exporter.get_finished_spans()}


@pytest.fixture
def kept() -> Iterator[Kept]:
    made = Kept()
    yield made
    made.tracing.close()


@given(strategies.text(min_size=1, max_size=64), strategies.integers(0, 1000))
def test_a_story_has_valid_ids_that_depend_on_nothing_but_uid_and_generation(uid: str, generation: int) -> None:
    story = Story.of(uid, generation)
    assert story == Story.of(uid, generation)
    assert 0 < story.trace_id < 2**128
    assert 0 < story.root_id < 2**64
    assert story != Story.of(uid, generation + 1)


def test_ids_are_frozen() -> None:
    """Another release must find the trace that this one began."""
    story = Story.of("9c3e2f4a-0000-4000-8000-000000000001", 1)
    assert f"{story.trace_id:032x}-{story.root_id:016x}" == "ca5e253b3e7751d601d2355493dcdf8f-6e9c64da3168d662"


def test_looks_hang_below_the_root_that_comes_last(kept: Kept) -> None:
    story = Story.of("uid", 1)
    with kept.tracing.chapter("look", story, {}, since=1), span("Fence", {"imagint.step": "Fence"}):
        assert headers()["traceparent"].startswith(f"00-{story.trace_id:032x}-")
    kept.tracing.whole("Erase", story, {}, THEN, THEN)
    spans = kept.spans
    assert {found.context.trace_id for found in spans.values() if found.context} == {story.trace_id}
    root, look, fence = spans["Erase"], spans["look"], spans["Fence"]
    assert root.context is not None
    assert look.context is not None
    assert root.context.span_id == story.root_id
    assert root.parent is None
    assert look.parent is not None
    assert look.parent.span_id == story.root_id
    assert fence.parent is not None
    assert fence.parent.span_id == look.context.span_id


def test_a_failure_is_told_by_its_kind_and_never_by_its_text(kept: Kept) -> None:
    look = kept.tracing.chapter("look", Story.of("u", 1), {}, since=1)
    with pytest.raises(ValueError, match=CANARY), look, span("step", {}):
        raise ValueError(CANARY)
    for found in kept.spans.values():
        assert CANARY not in found.to_json()
        assert dict(found.attributes or {})["error.type"] == "ValueError"
        assert not found.events


@pytest.mark.parametrize(
    ("carrier", "continued"),
    [
        pytest.param("00-" + "ab" * 16 + "-" + "cd" * 8 + "-01", True, id="a caller's trace goes on"),
        pytest.param(None, False, id="none is sent"),
        pytest.param(CANARY, False, id="not a traceparent"),
        pytest.param("00-" + "00" * 16 + "-" + "cd" * 8 + "-01", False, id="the invalid trace id"),
        pytest.param("00-" + "ab" * 16 + "-" + "00" * 8 + "-01", False, id="the invalid span id"),
        pytest.param("ff-" + "ab" * 16 + "-" + "cd" * 8 + "-01", False, id="the forbidden version"),
    ],
)
def test_a_request_from_outside(kept: Kept, carrier: str | None, continued: bool) -> None:
    with kept.tracing.server("GET", carrier, {}):
        pass
    found = kept.spans["GET"]
    assert found.context is not None
    assert (f"{found.context.trace_id:032x}" == "ab" * 16) is continued
    assert CANARY not in found.to_json()


def test_outside_of_a_trace_nothing_is_sent_along(kept: Kept) -> None:
    with span("alone", {}):
        assert headers() == {}
    with OFF.server("GET", None, {}), OFF.chapter("look", Story.of("u", 1), {}, since=1):
        assert headers() == {}
    assert kept.spans == {}


def test_a_story_that_is_not_sampled_is_not_sampled_by_anybody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_always_off")
    made = Kept()
    with made.tracing.chapter("look", Story.of("u", 1), {}, since=1):
        assert headers()["traceparent"].endswith("-00")
    assert made.spans == {}
    made.tracing.close()


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        pytest.param(ValueError(CANARY), "ValueError", id="its type"),
        pytest.param(type("E", (Exception,), {"reason": "VaultUnavailable"})(), "VaultUnavailable", id="its reason"),
        pytest.param(type("E", (Exception,), {"reason": CANARY})(), "E", id="a reason that is a text"),
        pytest.param(type("E", (Exception,), {"reason": 7})(), "E", id="a reason of another type"),
    ],
)
def test_the_kind_of_an_error(error: Exception, kind: str) -> None:
    assert kind_of(error) == kind


@pytest.mark.parametrize(
    "environment",
    [
        pytest.param({}, id="no endpoint"),
        pytest.param({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, id="an empty one"),
        pytest.param({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_SDK_DISABLED": "true"}, id="switched off"),
    ],
)
def test_without_an_endpoint_there_are_no_traces(environment: dict[str, str]) -> None:
    assert configured("test", environment) is OFF


def test_an_endpoint_that_is_no_address_is_refused() -> None:
    with pytest.raises(TracingError):
        configured("test", {"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4318"})


def test_without_traces_nothing_of_opentelemetry_is_loaded() -> None:
    """An auditor's bare installation has none of it."""
    code = (
        "import sys; from imagint_privacy import tracing\n"
        "with tracing.span('x', {}): tracing.headers()\n"
        "with tracing.configured('x', {}).chapter('x', tracing.Story.of('u', 1), {}, since=1): pass\n"
        "sys.exit(any(name.startswith('opentelemetry') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
