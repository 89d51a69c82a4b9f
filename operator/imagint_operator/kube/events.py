"""Kubernetes Events (events.k8s.io/v1) with the fixed reasons of `reasons.py`.

An Event that cannot be written is dropped, never retried, and one that was said a moment ago is not said again. The
note is the message of a condition of ours and nothing else.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from enum import StrEnum

from imagint_operator.api.base import API_VERSION, Condition, ConditionStatus, Kind
from imagint_operator.conditions import find
from imagint_operator.errors import OperatorError
from imagint_operator.kube.client import FIELD_MANAGER, KubeClient
from imagint_operator.kube.damping import Damper
from imagint_operator.kube.reasons import abnormal, calm
from imagint_operator.kube.resources import EVENTS

CONTROLLER = "imagint.ai/operator"
NOTE_LIMIT = 1000
_log = logging.getLogger(__name__)


class EventType(StrEnum):
    """The two types that Kubernetes knows."""

    NORMAL = "Normal"
    WARNING = "Warning"


def event_type(condition: Condition) -> EventType:
    """Normal for what holds and for what is on its way; Warning for what somebody should look at."""
    holds = condition.status is ConditionStatus.TRUE and not abnormal(condition.reason)
    normal = holds or calm(condition.reason)
    return EventType.NORMAL if normal else EventType.WARNING


def on_its_way(before: Iterable[Condition], condition: Condition) -> bool:
    """Whether it only says how far something is that was not there before either: that is no news, and no Event."""

    def coming(one: Condition | None) -> bool:
        return one is None or (one.status is not ConditionStatus.TRUE and calm(one.reason))

    return coming(find(before, condition.type)) and coming(condition)


class Recorder:
    """Tells people, through `kubectl describe` and `kubectl events`, what turned."""

    def __init__(self, client: KubeClient, instance: str, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._instance = instance
        self._damper = Damper()
        self._monotonic = monotonic

    async def record(
        self, about: Kind, condition: Condition, *, action: str, prefix: str = "", repeats: bool = False
    ) -> None:
        """Write one Event about a condition that turned; how often it turned unsaid before is its series.

        What `repeats` tells something else each time: only how much the object tells in all is bounded.
        """
        metadata = about.metadata
        unsaid = self._damper.say(metadata.uid, prefix + condition.reason, self._monotonic(), repeats=repeats)
        if unsaid is None:
            return
        namespace = metadata.namespace or "default"
        now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        event = {
            "apiVersion": EVENTS.api_version,
            "kind": EVENTS.kind,
            "metadata": {"name": f"{metadata.name}.{secrets.token_hex(8)}", "namespace": namespace},
            "eventTime": now,
            "reportingController": CONTROLLER,
            "reportingInstance": self._instance,
            "action": action,
            "reason": prefix + condition.reason,
            "type": event_type(condition).value,
            "note": condition.message[:NOTE_LIMIT],
            "regarding": {
                "apiVersion": API_VERSION,
                "kind": type(about).__name__,
                "name": metadata.name,
                "uid": metadata.uid,
                **({"namespace": metadata.namespace} if metadata.namespace else {}),
            },
            **({"series": {"count": unsaid + 1, "lastObservedTime": now}} if unsaid else {}),
        }
        try:
            await self._client.create(EVENTS, event)
        except OperatorError as error:
            _log.warning("%s: event %s not written by %s: %s", metadata.name, condition.reason, FIELD_MANAGER, error)
