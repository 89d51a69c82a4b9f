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
    """What was listed of each kind. Whoever lists only leaves it here: it is parsed by who scrapes, once a version."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._listed: dict[str, Sequence[Mapping[str, Any]]] = {}
        self._parsed: dict[str, tuple[str, Kind]] = {}
        self._at = clock()

    def listed(self, kind: str, items: Sequence[Mapping[str, Any]]) -> None:
        """Take up the full list of one kind."""
        if kind in KINDS:
            # A new mapping each time: the scrape reads in a thread of its own.
            self._listed = {**self._listed, kind: items}
            self._at = self._clock()

    def __call__(self) -> Snapshot:
        """The objects as they were last listed. One that cannot be read does not hide the others."""
        at, listed = self._at, self._listed
        before, self._parsed = self._parsed, {}
        for kind, items in listed.items():
            for item in items:
                metadata = item["metadata"]
                uid, version = metadata["uid"], metadata.get("resourceVersion", "")
                known = before.get(uid)
                if known is None or not version or known[0] != version:
                    try:
                        known = (version, KINDS[kind].model_validate(item))
                    except ValidationError:
                        continue
                self._parsed[uid] = known
        return Snapshot(at, tuple(seen for _version, seen in self._parsed.values()))
