"""Traces of the controllers' looks: one story an object and generation, the same in every replica and after a restart.

A look is traced while its object is not yet what it is asked to be: a look that finds everything in order tells
nothing, and would make a story endless. An object's kind, namespace, uid and generation are said; its name and what
its spec says are not.
"""

from __future__ import annotations

import contextlib
import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime, timedelta

from imagint_operator.api.base import Condition, Kind
from imagint_operator.api.requests import DataSubjectRequest
from imagint_operator.kube.resources import ObjectKey
from imagint_privacy.tracing import OFF, Attributes, Story, Tracing

RECENT = timedelta(minutes=10)
REMEMBERED = 1000
TOP_CONDITIONS = frozenset({"Ready", "Complete", "Active"})


@dataclass(slots=True)
class _Look:
    looks: Looks
    key: ObjectKey
    begun: int
    stack: contextlib.ExitStack
    told: bool = False


_now: ContextVar[_Look | None] = ContextVar("imagint_look", default=None)


class Looks:
    """The looks of one process."""

    def __init__(self, tracing: Tracing = OFF) -> None:
        self.tracing = tracing
        self._concluded: OrderedDict[str, None] = OrderedDict()

    @contextlib.contextmanager
    def look(self, key: ObjectKey) -> Iterator[None]:
        """One look. Its span begins here and gets its place once the controller knows the object."""
        if not self.tracing.on:
            yield
            return
        with contextlib.ExitStack() as stack:
            token = _now.set(_Look(self, key, time.time_ns(), stack))
            # Left after the span, which the controller puts on the stack later.
            stack.callback(_now.reset, token)
            yield

    def first_time(self, uid: str) -> bool:
        """Whether this process has not concluded this object yet; remembers that it does now."""
        if uid in self._concluded:
            return False
        self._concluded[uid] = None
        if len(self._concluded) > REMEMBERED:
            self._concluded.popitem(last=False)
        return True


def about(seen: Kind) -> None:
    """Say which object the look under way is about. It is traced from here on, unless there is nothing left to tell."""
    look = _now.get()
    if look is None or look.told or settled(seen):
        return
    metadata = seen.metadata
    tell(Story.of(metadata.uid, metadata.generation), _described(seen))


def tell(story: Story, attributes: Attributes) -> None:
    """Make the look under way part of a story."""
    look = _now.get()
    if look is None or look.told:
        return
    look.told = True
    said = {"imagint.kind": look.key.kind, **attributes}
    chapter = look.looks.tracing.chapter(f"look {look.key.kind}", story, said, since=look.begun)
    look.stack.enter_context(chapter)


def conclude(request: DataSubjectRequest, now: datetime) -> None:
    """Tell the whole of a request that is complete: from its creation to its end.

    A process that was killed in between left the end untold: whoever looks at the request within ten minutes tells
    it. Two that do say the same, under the same ids.
    """
    look = _now.get()
    begun, ended = request.metadata.creation_timestamp, request.status.completed_at
    if look is None or begun is None or ended is None or now - ended > RECENT:
        return
    if look.looks.first_time(request.metadata.uid):
        story = Story.of(request.metadata.uid, request.metadata.generation)
        name = f"DataSubjectRequest {request.spec.type.value}"
        look.looks.tracing.whole(name, story, _described(request), begun, ended)


def conclude_run(run: str, attributes: Attributes, begun: datetime, ended: datetime) -> None:
    """Tell the whole of a run of retention that is complete."""
    look = _now.get()
    if look is not None:
        look.looks.tracing.whole("Retention run", story_of_run(run), attributes, begun, ended)


def put(digests: Iterable[str]) -> None:
    """Say that the look under way is about this set of Serve applications: each set is a story of its own."""
    tell(Story.of("serve " + " ".join(sorted(digests)), 0), {})


def story_of_run(run: str) -> Story:
    """The story of a run of retention: its id is unique, and it has no generations."""
    return Story.of(run, 0)


def settled(seen: Kind) -> bool:
    """Whether the object is recorded as being what this generation of it asks for."""
    status = getattr(seen, "status", None)
    if status is None or status.observed_generation != seen.metadata.generation:
        return False
    if seen.metadata.deletion_timestamp is not None:
        return False
    conditions: tuple[Condition, ...] = status.conditions
    top = next((condition for condition in conditions if condition.type in TOP_CONDITIONS), None)
    return top is not None and top.status == "True"


def _described(seen: Kind) -> dict[str, str | int]:
    said: dict[str, str | int] = {
        "imagint.kind": type(seen).__name__,
        "imagint.uid": seen.metadata.uid,
        "imagint.generation": seen.metadata.generation,
    }
    if seen.metadata.namespace:
        said["k8s.namespace.name"] = seen.metadata.namespace
        said["imagint.tenant"] = seen.metadata.namespace
    if isinstance(seen, DataSubjectRequest):
        said["imagint.request.type"] = seen.spec.type.value
        said["imagint.request.regulation"] = seen.spec.regulation.value
    return said
