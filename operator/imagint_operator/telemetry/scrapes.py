"""What is looked up when Prometheus asks, and the tallies of what has newly ended since it last asked.

Runs in the thread of the scrape. Everything it asks answers from memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from threading import Lock

from prometheus_client import Counter, Histogram
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from imagint_operator.api.requests import DataSubjectRequest, RequestType
from imagint_operator.telemetry import series
from imagint_operator.telemetry.figures import Figure, Snapshot, certified, complete, figures, received, stale
from imagint_operator.times import Clock


class Sources:
    """Where the figures come from. Whoever knows better sets them; until then they say what is true without it."""

    def __init__(self) -> None:
        self.queue_length: Callable[[], int] = lambda: 0
        self.watch_ages: Callable[[], Mapping[str, float]] = dict
        self.leads: Callable[[], bool] = lambda: True
        self.snapshot: Callable[[], Snapshot] | None = None


class Tallies:
    """What ended, counted once each: from the begin of this term at work on, and only in the replica that works."""

    def __init__(self, completions: Counter, certificates: Counter, erasures: Histogram, begun: datetime) -> None:
        self._completions, self._certificates, self._erasures = completions, certificates, erasures
        self._begun = begun
        self._counted: set[str] = set()
        self._stale: dict[tuple[str, int], datetime] = {}

    def begin(self, moment: datetime) -> None:
        """Count from this moment on."""
        self._begun = moment

    def take(self, snapshot: Snapshot, now: datetime) -> Mapping[tuple[str, int], datetime]:
        """Count what is new; answers since when each stale object was seen as such."""
        ended = [seen for seen in snapshot.objects if isinstance(seen, DataSubjectRequest) and complete(seen)]
        for request in ended:
            if request.metadata.uid not in self._counted:
                self._count(request)
        self._counted = {request.metadata.uid for request in ended}
        keys = [(seen.metadata.uid, seen.metadata.generation) for seen in snapshot.objects if stale(seen)]
        self._stale = {key: self._stale.get(key, now) for key in keys}
        return self._stale

    def _count(self, request: DataSubjectRequest) -> None:
        ended, since = request.status.completed_at, received(request)
        if ended is None or ended < self._begun:
            return
        self._completions.labels(request.spec.type.value).inc()
        if certified(request):
            self._certificates.inc()
        if request.spec.type is RequestType.ERASE and since is not None:
            self._erasures.labels(request.spec.regulation.value).observe(max(0.0, (ended - since).total_seconds()))


class Lookup(Collector):
    """The gauges of `series.LOOKED_UP`."""

    def __init__(self, sources: Sources, clock: Clock) -> None:
        self.tallies: Tallies | None = None
        self._sources = sources
        self._clock = clock
        self._lock = Lock()

    def describe(self) -> Iterable[Metric]:
        """Every family, without samples: so two collectors cannot expose the same name."""
        return _families(()).values()

    def collect(self) -> Iterable[Metric]:
        """Every family that has something to say now."""
        with self._lock:
            return [family for family in _families(self._now()).values() if family.samples]

    def _now(self) -> Iterator[Figure]:
        sources = self._sources
        yield Figure(series.QUEUE_LENGTH, sources.queue_length())
        yield Figure(series.LEADER, int(sources.leads()))
        for kind, age in sorted(sources.watch_ages().items()):
            yield Figure(series.WATCH_AGE, age, (kind,))
        if sources.snapshot is not None and sources.leads():
            now, snapshot = self._clock(), sources.snapshot()
            since = self.tallies.take(snapshot, now) if self.tallies is not None else {}
            yield from figures(snapshot, since, now)


def _families(found: Iterable[Figure]) -> Mapping[str, GaugeMetricFamily]:
    families = {one.name: GaugeMetricFamily(one.name, one.help, labels=one.labels) for one in series.LOOKED_UP}
    for figure in found:
        families[figure.series.name].add_metric(figure.labels, figure.value)
    return families
