"""Counters in Prometheus' text format: parsed, summed by labels, and taken away from each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from prometheus_client.parser import text_string_to_metric_families

RECONCILES = "imagint_operator_reconciles_total"
REQUESTS = "imagint_operator_api_requests_total"
SERVED = "apiserver_request_total"
WRITING = frozenset({"POST", "PUT", "PATCH", "APPLY", "DELETE", "DELETECOLLECTION"})
_WRITES = frozenset({"create", "update", "patch", "apply", "delete"})
_Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Counters:
    """The counters of one name, by their labels."""

    values: Mapping[_Labels, float] = field(default_factory=dict)

    def since(self, before: Counters) -> Counters:
        """How much each grew."""
        grown = {labels: value - before.values.get(labels, 0.0) for labels, value in self.values.items()}
        return Counters({labels: value for labels, value in grown.items() if value})

    def by(self, *labels: str) -> dict[str, float]:
        """Summed by some labels, the names joined by a blank."""
        sums: dict[str, float] = {}
        for given, value in self.values.items():
            key = " ".join(dict(given).get(label, "") for label in labels)
            sums[key] = sums.get(key, 0.0) + value
        return dict(sorted(sums.items()))

    def total(self) -> float:
        """All together."""
        return sum(self.values.values())

    def without(self, label: str, value: str) -> Counters:
        """Those whose label is another."""
        return Counters({labels: many for labels, many in self.values.items() if dict(labels).get(label) != value})

    def of(self, label: str, value: str) -> Counters:
        """Those whose label is this."""
        return Counters({labels: many for labels, many in self.values.items() if dict(labels).get(label) == value})

    def writes(self) -> Counters:
        """Those that wrote, of the operator's own and of the apiserver's verbs, but for the Lease."""
        kept = {
            labels: value
            for labels, value in self.values.items()
            if dict(labels)["verb"] in WRITING | _WRITES and dict(labels)["resource"] != "leases"
        }
        return Counters(kept)

    def reads(self) -> Counters:
        """The operator's own that read."""
        return Counters({labels: v for labels, v in self.values.items() if dict(labels)["verb"] not in _WRITES})


def parse(text: str, name: str) -> Counters:
    """Every sample of this name."""
    return Counters(dict(_samples(text, name)))


def _samples(text: str, name: str) -> Iterator[tuple[_Labels, float]]:
    # Only the lines of this series: the apiserver's whole page is megabytes.
    lines = [line for line in text.splitlines() if line.startswith(name)]
    for family in text_string_to_metric_families("\n".join(lines) + "\n"):
        for sample in family.samples:
            if sample.name == name:
                yield tuple(sorted(sample.labels.items())), sample.value
