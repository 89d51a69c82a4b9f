"""The objects as they were last listed, for the figures. Filled by whoever lists; read from the scrape's thread.

Holds the parsed objects of our own kinds; it asks nobody for anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from imagint_operator.api.base import Kind
from imagint_operator.api.models import ModelDeployment
from imagint_operator.api.requests import DataSubjectRequest
from imagint_operator.api.tenants import Tenant
from imagint_operator.telemetry.figures import Snapshot
from imagint_operator.times import Clock

KINDS: Mapping[str, type[Kind]] = {kind.__name__: kind for kind in (Tenant, ModelDeployment, DataSubjectRequest)}


class Snapshots:
    """What was listed of each kind."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._objects: dict[str, tuple[Kind, ...]] = {}
        self._at = clock()

    def listed(self, kind: str, items: Sequence[Mapping[str, Any]]) -> None:
        """Take up the full list of one kind. One that cannot be read does not hide the others."""
        model = KINDS.get(kind)
        if model is None:
            return
        parsed = []
        for item in items:
            try:
                parsed.append(model.model_validate(item))
            except ValidationError:
                continue
        # A new mapping each time: the scrape reads in a thread of its own.
        self._objects = {**self._objects, kind: tuple(parsed)}
        self._at = self._clock()

    def __call__(self) -> Snapshot:
        """The objects as they were last listed."""
        return Snapshot(self._at, tuple(seen for objects in self._objects.values() for seen in objects))
