"""Prometheus metrics of the operator: how much it does, how long it takes, what waits.

Labels carry kinds and reasons, never names.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server


class Metrics:
    """The operator's own series, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.reconciles = Counter(
            "imagint_operator_reconciles", "Looks at an object", ["kind", "outcome"], registry=self.registry
        )
        self.seconds = Histogram(
            "imagint_operator_reconcile_seconds", "Time of one look", ["kind"], registry=self.registry
        )
        self.queued = Gauge("imagint_operator_queue_length", "Objects to look at", registry=self.registry)

    def serve(self, host: str, port: int) -> None:
        """Answer GET /metrics, in a thread of its own. Port 0 means not at all."""
        if port:
            start_http_server(port, addr=host, registry=self.registry)
