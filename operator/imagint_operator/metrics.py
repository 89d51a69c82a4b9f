"""Prometheus metrics of the operator: how much it does, how long it takes, what waits, and which clocks run.

The series stand in `telemetry/series.py`. Labels carry kinds and reasons, never names.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING
from wsgiref.simple_server import WSGIRequestHandler, make_server

from prometheus_client import CollectorRegistry, Counter, Histogram, make_wsgi_app
from prometheus_client.exposition import ThreadingWSGIServer

from imagint_operator.telemetry import series
from imagint_operator.telemetry.scrapes import Lookup, Sources, Tallies
from imagint_operator.telemetry.series import Series
from imagint_operator.times import Clock, utc_now

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - wsgiref's own name
        """Stay silent: a scrape is no news."""


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
        lookup.tallies = Tallies(completions, certificates, erasures, clock())

    def serve(self, host: str, port: int) -> None:
        """Answer GET and HEAD of /metrics, in a thread of its own. Port 0 means not at all."""
        if port:
            server = make_server(host, port, self.application(), ThreadingWSGIServer, handler_class=_Quiet)
            threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()

    def application(self) -> WSGIApplication:
        """The WSGI application that answers a scrape, for whoever serves more than that on the same port."""
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
