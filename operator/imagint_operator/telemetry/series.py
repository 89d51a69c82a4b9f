"""Every series that the operator exposes: the registry is built from this table, and so is the page about it.

Labels are kinds, reasons, steps, types and regulations. Never a tenant, an object, a subject: neither is anybody's
name here, nor does the number of series grow with the number of tenants.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class SeriesType(StrEnum):
    """As Prometheus names them."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Series:
    """One series, by its name without a counter's `_total`."""

    name: str
    type: SeriesType
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()

    @property
    def shown(self) -> str:
        """The name that a query uses."""
        return f"{self.name}_total" if self.type is SeriesType.COUNTER else self.name


_CALL = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 120)
_LOOK = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
_HOUR, _DAY = 3600.0, 86400.0
_ERASURE = (1, 5, 15, 60, 300, 900, _HOUR, 6 * _HOUR, _DAY, 3 * _DAY, 7 * _DAY, 14 * _DAY, 30 * _DAY, 45 * _DAY)
_C, _G, _H = SeriesType.COUNTER, SeriesType.GAUGE, SeriesType.HISTOGRAM

RECONCILES = Series("imagint_operator_reconciles", _C, "Looks at an object, by outcome: ok, or the error's reason",
                    ("kind", "outcome"))  # fmt: skip
RECONCILE_SECONDS = Series("imagint_operator_reconcile_seconds", _H, "Time of one look", ("kind",), _LOOK)
RETRIES = Series("imagint_operator_retries", _C, "Looks that failed and are repeated after a pause", ("kind",))
QUEUE_LENGTH = Series("imagint_operator_queue_length", _G, "Objects that are due to be looked at")
QUEUE_SECONDS = Series("imagint_operator_queue_seconds", _H, "Time from an event to the begin of the look", ("kind",),
                       _LOOK)  # fmt: skip
API_REQUESTS = Series("imagint_operator_api_requests", _C, "Requests to the apiserver; code 0: no answer came",
                      ("verb", "resource", "code"))  # fmt: skip
API_SECONDS = Series("imagint_operator_api_request_seconds", _H, "Time of a request to the apiserver",
                     ("verb", "resource"), _CALL)  # fmt: skip
CALLS = Series("imagint_operator_calls", _C, "Calls to Vault, Gateways, the prober, Serve and recipients, by outcome",
               ("peer", "operation", "outcome"))  # fmt: skip
CALL_SECONDS = Series("imagint_operator_call_seconds", _H, "Time of such a call", ("peer", "operation"), _CALL)
WATCH_AGE = Series("imagint_operator_watch_age_seconds", _G, "Time since the watch of a kind last heard anything",
                   ("kind",))  # fmt: skip
LEADER = Series("imagint_operator_leader", _G, "1 in the replica that works, 0 in those that wait")
ERASURE_SECONDS = Series("imagint_erasure_seconds", _H, "Time from receipt to completion of an erasure",
                         ("regulation",), _ERASURE)  # fmt: skip
COMPLETIONS = Series("imagint_dsr_completions", _C, "Requests that were completed since this process began", ("type",))
CERTIFICATES = Series("imagint_certificates", _C, "Certificates that were issued since this process began")

OBJECTS = Series("imagint_objects", _G, "Objects by status and reason of their top condition (Ready, Complete, Active)",
                 ("kind", "status", "reason"))  # fmt: skip
TENANTS = Series("imagint_tenants", _G, "Tenants by state: Active, Suspended, or Deleting", ("state",))
STALE_OBJECTS = Series("imagint_stale_objects", _G, "Objects whose newest generation the operator has not acted on",
                       ("kind",))  # fmt: skip
STALE_SECONDS = Series("imagint_stale_seconds", _G, "For how long the oldest of them has been seen to wait", ("kind",))
DSR_OPEN = Series("imagint_dsr_open", _G, "Requests that are not complete", ("type", "regulation"))
DSR_OLDEST = Series("imagint_dsr_oldest_seconds", _G, "Age, from receipt, of the oldest open request", ("type",))
DSR_DEADLINE = Series("imagint_dsr_deadline_seconds", _G, "Time left to the nearest due date; negative when overdue",
                      ("type",))  # fmt: skip
DSR_OVERDUE = Series("imagint_dsr_overdue", _G, "Open requests whose due date has passed", ("type", "regulation"))
UNTRIMMED = Series("imagint_key_untrimmed_seconds", _G,
                   "Longest time that a key is rotated and not yet trimmed; 0 when none is")  # fmt: skip
RETENTION_LATE = Series("imagint_retention_late_seconds", _G,
                        "Longest time since a run of retention was due and is not complete")  # fmt: skip
RETENTION_BEHIND = Series("imagint_retention_behind", _G, "Tenants whose retention is late by more than one interval")
CERTIFICATE_AGE = Series("imagint_certificate_age_seconds", _G, "Time since the newest certificate was issued")
SNAPSHOT_AGE = Series(
    "imagint_snapshot_age_seconds",
    _G,
    "Age of the objects that these figures are from: since the quietest of their watches was heard of",
)
BREACH_DEADLINE = Series("imagint_breach_deadline_seconds", _G,
                         "Time left to tell the authority of a breach (72 hours, GDPR 33)")  # fmt: skip
RECEIPTS_OVERDUE = Series("imagint_processor_receipts_overdue", _G,
                          "Processors' receipts for erasures that did not come in time")  # fmt: skip

KEPT = (
    RECONCILES, RECONCILE_SECONDS, RETRIES, QUEUE_SECONDS, API_REQUESTS, API_SECONDS, CALLS, CALL_SECONDS,
    ERASURE_SECONDS, COMPLETIONS, CERTIFICATES,
)  # fmt: skip
"""Counted while the process runs."""
LOOKED_UP = (
    QUEUE_LENGTH, WATCH_AGE, LEADER, OBJECTS, TENANTS, STALE_OBJECTS, STALE_SECONDS, DSR_OPEN, DSR_OLDEST,
    DSR_DEADLINE, DSR_OVERDUE, UNTRIMMED, RETENTION_LATE, RETENTION_BEHIND, CERTIFICATE_AGE, SNAPSHOT_AGE,
    BREACH_DEADLINE, RECEIPTS_OVERDUE,
)  # fmt: skip
"""Looked up when somebody asks."""
ALL = (*KEPT, *LOOKED_UP)
