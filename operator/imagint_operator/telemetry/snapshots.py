"""The objects as the caches hold them, for the figures. Read from the scrape's thread; asks nobody for anything."""

from __future__ import annotations

from datetime import timedelta

from imagint_operator.kube.caches import Caches
from imagint_operator.kube.resources import BY_KIND
from imagint_operator.telemetry.figures import Snapshot
from imagint_operator.times import Clock
from imagint_operator.watchages import Ages


class Snapshots:
    """Everything of our own kinds that is kept, parsed once a version by whoever keeps it."""

    def __init__(self, caches: Caches, ages: Ages, clock: Clock) -> None:
        self._caches = caches
        self._ages = ages
        self._clock = clock

    def __call__(self) -> Snapshot:
        """The objects as they are known now, and how old that may be: as old as the quietest of their watches."""
        ages = self._ages.all()
        oldest = max((ages.get(BY_KIND[kind].plural, 0.0) for kind in self._caches.own), default=0.0)
        objects = tuple(seen for store in self._caches.own.values() for seen in store.all())
        return Snapshot(self._clock() - timedelta(seconds=oldest), objects)
