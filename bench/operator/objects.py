"""What is applied: tenants, two models each and five requests each; and what a tenant needs at least, counted by hand.

The handles are made up. Of the requests, two are of rights that are recorded and not carried out yet (Access, Export),
two are carried out in a few steps (Restrict, Object), and one is an erasure with its whole protocol and certificate.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any

from imagint_operator.api.tenants import Tenant
from imagint_operator.tenants import walls

IMAGINT = "/apis/imagint.ai/v1alpha1"
API_VERSION = "imagint.ai/v1alpha1"
REQUESTS = ("Access", "Export", "Restrict", "Object", "Erase")
FINALIZER_WRITES, NAMESPACE_WRITES, STATUS_WRITES = 1, 1, 2
WALLS = 11
"""Counted by hand: a quota, limits, four network policies, a ServiceAccount, a Role and three RoleBindings."""


def minimum_writes() -> int:
    """The finalizer, the namespace, its walls and two statuses: Ready, and, once Ray has started its Gateway, served.

    Raises:
        ValueError: the operator builds another number of walls than were counted.
    """
    made = Tenant.model_validate(tenant(0) | {"metadata": {"name": "t0000", "uid": "u", "generation": 1}})
    if len(walls.contents(made)) != WALLS:
        raise ValueError(f"a tenant has {len(walls.contents(made))} walls, counted were {WALLS}: count again")
    return FINALIZER_WRITES + NAMESPACE_WRITES + WALLS + STATUS_WRITES


def name(number: int) -> str:
    """A tenant's name."""
    return f"t{number:04}"


def namespace(number: int) -> str:
    """A tenant's namespace."""
    return f"tenant-{name(number)}"


def tenant(number: int) -> dict[str, Any]:
    """A tenant with quotas."""
    spec = {
        "displayName": f"Tenant {number}",
        "residency": {"region": "eu-central"},
        "quotas": {"requestsPerMinute": 120, "imagesPerDay": 10000},
        "deletion": {"policy": "Shred"},
    }
    return {"apiVersion": API_VERSION, "kind": "Tenant", "metadata": {"name": name(number)}, "spec": spec}


def model(number: int, which: int) -> dict[str, Any]:
    """One of a tenant's models: the bundled one."""
    metadata = {"name": f"m{which}", "namespace": namespace(number)}
    spec = {"source": {"type": "Bundled", "name": "shapes"}}
    return {"apiVersion": API_VERSION, "kind": "ModelDeployment", "metadata": metadata, "spec": spec}


def request(number: int, type_: str, now: datetime, *, suffix: str = "") -> dict[str, Any]:
    """A request of somebody who showed who they are."""
    moment = now.isoformat(timespec="seconds").replace("+00:00", "Z")
    spec = {
        "type": type_,
        "subject": handle(f"{number} {type_} {suffix}"),
        "regulation": "GDPR",
        "receivedAt": moment,
        "verification": {"method": "AccountSession", "at": moment},
    }
    metadata = {"name": f"{type_.lower()}{suffix}", "namespace": namespace(number)}
    return {"apiVersion": API_VERSION, "kind": "DataSubjectRequest", "metadata": metadata, "spec": spec}


def handle(seed: str) -> str:
    """A subject that is nobody."""
    digest = hashlib.sha256(seed.encode()).digest()
    return "subj-" + "".join("abcdefghijklmnopqrstuvwxyz234567"[byte % 32] for byte in digest[:26])
