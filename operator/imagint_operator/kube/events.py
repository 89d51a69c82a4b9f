"""Kubernetes Events (events.k8s.io/v1) with fixed reasons.

An Event that cannot be written is dropped, never retried.
"""

from __future__ import annotations

import logging
import secrets
from datetime import UTC, datetime
from enum import StrEnum

from imagint_operator.api.base import API_VERSION, Kind
from imagint_operator.errors import OperatorError
from imagint_operator.kube.client import FIELD_MANAGER, KubeClient
from imagint_operator.kube.resources import EVENTS

CONTROLLER = "imagint.ai/operator"
NOTE_LIMIT = 1000
_log = logging.getLogger(__name__)


class EventType(StrEnum):
    """The two types that Kubernetes knows."""

    NORMAL = "Normal"
    WARNING = "Warning"


class Recorder:
    """Tells people, through `kubectl describe` and `kubectl events`, what turned."""

    def __init__(self, client: KubeClient, instance: str) -> None:
        self._client = client
        self._instance = instance

    async def record(self, about: Kind, type_: EventType, *, reason: str, action: str, note: str) -> None:
        """Write one Event about an object."""
        metadata = about.metadata
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
            "reason": reason,
            "type": type_.value,
            "note": note[:NOTE_LIMIT],
            "regarding": {
                "apiVersion": API_VERSION,
                "kind": type(about).__name__,
                "name": metadata.name,
                "uid": metadata.uid,
                **({"namespace": metadata.namespace} if metadata.namespace else {}),
            },
        }
        try:
            await self._client.create(EVENTS, event)
        except OperatorError as error:
            _log.warning("%s: event %s not written by %s: %s", metadata.name, reason, FIELD_MANAGER, error)
