"""Pure: the draft of the report to the authority, with the contents of GDPR 33(3). Counts and words of the incident.

Immutable: a changed incident gets another draft under another name, and the earlier one stays as it was.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from imagint_operator import names
from imagint_operator.api.breaches import BreachIncident, ReportRef
from imagint_privacy.clocks import breach_notification_due

FILE = "report.json"
FORMAT = "imagint.ai/breach-report/v1"
UID = "imagint.ai/incident-uid"


def text(incident: BreachIncident) -> str:
    """The draft; the same incident always gives the same bytes."""
    spec = incident.spec
    wire = spec.to_wire()
    draft = {
        "format": FORMAT,
        "incident": {"name": incident.name, "uid": incident.metadata.uid},
        "regulation": spec.regulation.value,
        "discoveredAt": wire["discoveredAt"],
        "notifyBy": breach_notification_due(spec.discovered_at).isoformat().replace("+00:00", "Z"),
        "risk": spec.risk.value,
        "article33(3)": {
            "a": {
                "nature": wire["nature"],
                "description": spec.description,
                "occurred": wire["occurred"],
                "affected": wire["affected"],
            },
            "b": {"contact": spec.contact},
            "c": {"consequences": spec.consequences},
            "d": {"measures": spec.measures},
        },
    }
    return json.dumps(draft, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def reference(incident: BreachIncident) -> ReportRef:
    """Where the draft lies: its name tells its contents apart from those of an earlier draft."""
    digest = hashlib.sha256(text(incident).encode()).hexdigest()
    return ReportRef(config_map=f"breach-{incident.name}-report-{digest[:10]}", digest=f"sha256:{digest}")


def config_map(incident: BreachIncident, ref: ReportRef) -> dict[str, Any]:
    """The immutable ConfigMap that holds the draft. It outlives its incident."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": ref.config_map,
            "namespace": names.PLATFORM_NAMESPACE,
            "labels": {names.MANAGED_BY: names.OPERATOR},
            "annotations": {UID: incident.metadata.uid},
        },
        "immutable": True,
        "data": {FILE: text(incident)},
    }


def belongs(found: Mapping[str, Any], incident: BreachIncident) -> bool:
    """Whether a ConfigMap of that name is this incident's draft, as it stands."""
    return bool(found.get("immutable")) and (found.get("data") or {}).get(FILE) == text(incident)
