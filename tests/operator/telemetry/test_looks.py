"""Which looks are told, to which story they belong, and what is said of an object."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from imagint_operator.api.requests import DataSubjectRequest
from imagint_operator.errors import VaultUnavailableError
from imagint_operator.kube.resources import ObjectKey
from imagint_operator.metrics import Metrics
from imagint_operator.runtime import Runtime
from imagint_operator.telemetry import looks
from imagint_operator.telemetry.looks import Looks
from imagint_operator.workqueues import WorkQueue
from imagint_privacy.spans import provider
from imagint_privacy.tracing import Story, Tracing, headers

KEY = ObjectKey("DataSubjectRequest", "tenant-acme", "ada")
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
Make = Callable[..., DataSubjectRequest]


class Seen:
    """Spans, as they were exported."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self._provider = provider("test", self._exporter)
        self.tracing = Tracing(self._provider)

    def spans(self) -> list[ReadableSpan]:
        self._provider.force_flush()
        return list(self._exporter.get_finished_spans())


@pytest.fixture
def seen() -> Iterator[Seen]:
    made = Seen()
    yield made
    made.tracing.close()


class Telling:
    """A controller that says what it looks at, and does something."""

    def __init__(self, request: DataSubjectRequest, then: Callable[[], Any] = headers) -> None:
        self._request, self._then = request, then
        self.sent: dict[str, str] = {}

    async def reconcile(self, _key: ObjectKey) -> float | None:
        looks.about(self._request)
        self.sent = headers()
        self._then()
        return None


async def look(seen: Seen, controller: Telling) -> None:
    queue: WorkQueue[ObjectKey] = WorkQueue()
    runtime = Runtime({KEY.kind: controller}, queue, Metrics(), looks=Looks(seen.tracing))
    await runtime.look(KEY)
    assert headers() == {}, "the look is over"


def top(status: str, reason: str) -> list[dict[str, str]]:
    said = {"status": status, "reason": reason, "message": "", "lastTransitionTime": NOW.isoformat()}
    return [{"type": "Complete", **said}]


async def test_every_look_and_every_replica_tells_the_same_story(seen: Seen, make_request: Make) -> None:
    story = Story.of("uid-ada", 1)
    for _ in range(2):
        controller = Telling(make_request())
        await look(seen, controller)
        assert controller.sent["traceparent"].split("-")[1] == f"{story.trace_id:032x}"
    assert {span.parent.span_id for span in seen.spans() if span.parent} == {story.root_id}
    assert len(seen.spans()) == 2


async def test_another_generation_is_another_story(seen: Seen, make_request: Make) -> None:
    for generation in (1, 2):
        await look(seen, Telling(make_request(generation=generation)))
    assert len({span.context.trace_id for span in seen.spans() if span.context}) == 2


@pytest.mark.parametrize(
    ("status", "metadata", "told"),
    [
        pytest.param({}, {}, True, id="new"),
        pytest.param({"observedGeneration": 1, "conditions": top("False", "Queued")}, {}, True, id="under way"),
        pytest.param({"observedGeneration": 1, "conditions": top("True", "Erased")}, {}, False, id="there"),
        pytest.param({"observedGeneration": 1, "conditions": top("True", "Erased")}, {"generation": 2}, True,
                     id="there, and changed since"),
        pytest.param({"observedGeneration": 1, "conditions": top("True", "Erased")},
                     {"deletionTimestamp": NOW.isoformat()}, True, id="on its way out"),
    ],
)  # fmt: skip
async def test_what_is_in_order_is_not_told(
    seen: Seen, make_request: Make, status: Any, metadata: Any, told: bool
) -> None:
    await look(seen, Telling(make_request(status=status, **metadata)))
    assert bool(seen.spans()) is told


async def test_a_span_says_ids_and_no_more(seen: Seen, make_request: Make) -> None:
    def fail() -> None:
        raise VaultUnavailableError("canary text")

    await look(seen, Telling(make_request("canary-name"), fail))
    (span,) = seen.spans()
    assert dict(span.attributes or {}) == {
        "imagint.kind": "DataSubjectRequest", "imagint.uid": "uid-canary-name", "imagint.generation": 1,
        "k8s.namespace.name": "tenant-acme", "imagint.tenant": "tenant-acme", "imagint.request.type": "Erase",
        "imagint.request.regulation": "GDPR", "error.type": "VaultUnavailable",
    }  # fmt: skip
    assert "subj-" not in span.to_json()
    assert "canary text" not in span.to_json()


@pytest.mark.parametrize(
    ("ended", "times"),
    [
        pytest.param(timedelta(seconds=5), 1, id="just now, also by a process that began after it"),
        pytest.param(timedelta(minutes=11), 0, id="long ago: somebody told it"),
    ],
)
async def test_the_end_is_told_once_a_process(seen: Seen, make_request: Make, ended: timedelta, times: int) -> None:
    created = (NOW - timedelta(hours=1)).isoformat()
    done = make_request(status={"completedAt": (NOW - ended).isoformat()}, creationTimestamp=created)
    shared = Looks(seen.tracing)
    for _ in range(3):
        with shared.look(KEY):
            looks.conclude(done, NOW)
    roots = [span for span in seen.spans() if span.parent is None]
    assert len(roots) == times
    for root in roots:
        assert root.context is not None
        assert root.context.span_id == Story.of("uid-ada", 1).root_id
        assert (root.end_time or 0) - (root.start_time or 0) == (timedelta(hours=1) - ended).total_seconds() * 1e9


async def test_a_put_to_serve_is_a_story_of_its_set_of_applications(seen: Seen) -> None:
    shared = Looks(seen.tracing)
    for digests in (("a", "b"), ("b", "a"), ("a", "c")):
        with shared.look(ObjectKey("Serve", "", "apps")):
            looks.put(digests)
    first, second, third = (span.context.trace_id for span in seen.spans() if span.context)
    assert first == second != third


async def test_a_run_of_retention_is_a_story_of_its_own(seen: Seen) -> None:
    with Looks(seen.tracing).look(ObjectKey("Retention", "", "acme")):
        looks.tell(looks.story_of_run("run-1"), {"imagint.tenant": "tenant-acme"})
        looks.conclude_run("run-1", {"imagint.tenant": "tenant-acme"}, NOW, NOW + timedelta(minutes=1))
    spans = {span.name: span for span in seen.spans()}
    root, look = spans["Retention run"].context, spans["look Retention"].parent
    assert root is not None
    assert look is not None
    assert root.span_id == look.span_id == looks.story_of_run("run-1").root_id


async def test_without_traces_nothing_is_sent(make_request: Make) -> None:
    controller = Telling(make_request())
    await Runtime({KEY.kind: controller}, WorkQueue(), Metrics()).look(KEY)
    assert controller.sent == {}
