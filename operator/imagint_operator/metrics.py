"""Prometheus metrics of the operator: how much it does, how long it takes, what waits, and which clocks run.

The series stand in `telemetry/series.py`. Labels carry kinds and reasons, never names.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Histogram, make_wsgi_app

from imagint_operator.telemetry import series
from imagint_operator.telemetry.scrapes import Lookup, Sources, Tallies
from imagint_operator.telemetry.series import Series
from imagint_operator.times import Clock, utc_now

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment


class Metrics:
    """The operator's own series, in a registry of their own. `sources` is where the gauges come from."""

    def __init__(self, clock: Clock = utc_now) -> None:
        self.registry = CollectorRegistry()
        self.sources = Sources()
        # Asked first: what it finds to have ended is then in the counters of the same answer.
        lookup = Lookup(self.sources, clock)
        self.registry.register(lookup)
        self.reconciles = self._counter(series.RECONCILES)
        self.seconds = self._histogram(series.RECONCILE_SECONDS)
        self.retries = self._counter(series.RETRIES)
        self.queue_seconds = self._histogram(series.QUEUE_SECONDS)
        self.api_requests = self._counter(series.API_REQUESTS)
        self.api_seconds = self._histogram(series.API_SECONDS)
        self.calls = self._counter(series.CALLS)
        self.call_seconds = self._histogram(series.CALL_SECONDS)
        erasures = self._histogram(series.ERASURE_SECONDS)
        completions, certificates = self._counter(series.COMPLETIONS), self._counter(series.CERTIFICATES)
        self._clock = clock
        self._tallies = lookup.tallies = Tallies(completions, certificates, erasures, clock())

    def begin_term(self) -> None:
        """This replica begins to work: what ended before was counted by the one that worked then."""
        self._tallies.begin(self._clock())

    def application(self) -> WSGIApplication:
        """The WSGI application that answers GET and HEAD of a scrape; `health.py` serves it."""
        scrape: WSGIApplication = make_wsgi_app(self.registry)

        def answer(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
            if environ["REQUEST_METHOD"] != "HEAD":
                return scrape(environ, start)
            start("200 OK", [("Content-Type", "text/plain")])  # a probe: nothing is looked up for it
            return [b""]

        return answer

    def _counter(self, of: Series) -> Counter:
        return Counter(of.name, of.help, of.labels, registry=self.registry)

    def _histogram(self, of: Series) -> Histogram:
        return Histogram(of.name, of.help, of.labels, registry=self.registry, buckets=of.buckets)
