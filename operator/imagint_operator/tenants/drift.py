"""Pure: what somebody else changed or deleted of what the operator keeps, who it was, and where to change it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from imagint_operator.api.base import Condition, ConditionStatus
from imagint_operator.api.tenants import Tenant
from imagint_operator.conditions import holds
from imagint_operator.kube.differences import APPLIED
from imagint_operator.kube.resources import NAMESPACES, ObjectKey
from imagint_operator.tenants.observations import Observed
from imagint_operator.tenants.plan import Action, Apply

REPAIRED = "DriftRepaired"
OURS = frozenset({"imagint-operator", "kube-controller-manager", "kube-apiserver"})
QUIET = timedelta(seconds=60)
NAMED = 8


@dataclass(frozen=True, slots=True)
class Drift:
    """One object that was not as the operator had left it."""

    key: ObjectKey
    deleted: bool
    manager: str


def drifted(tenant: Tenant, before: Observed, actions: Iterable[Action], after: Observed) -> tuple[Drift, ...]:
    """What was repaired: what is applied although the Tenant wants of it what it wanted before."""
    stood = holds(tenant.status.conditions, "NamespaceReady")
    found = (_drift(action, before, stood) for action in actions if isinstance(action, Apply))
    return tuple(drift for drift in found if drift is not None and drift.key not in after.refused)


def _drift(action: Apply, before: Observed, stood: bool) -> Drift | None:
    live = before.namespace if action.key.kind == NAMESPACES.kind else before.contents.get(action.key)
    if live is None:
        return Drift(action.key, deleted=True, manager="") if stood else None
    wanted = action.manifest["metadata"]["annotations"][APPLIED]
    applied = (live["metadata"].get("annotations") or {}).get(APPLIED, "")
    manager = _manager(live)
    # Applied by us for something else: the Tenant or the operator has changed, and nobody has interfered.
    return Drift(action.key, deleted=False, manager=manager) if applied == wanted or (stood and not applied) else None


def _manager(live: Mapping[str, Any]) -> str:
    """Who wrote last, besides us and the control plane."""
    others = [
        (str(entry.get("time", "")), str(entry.get("manager", "")))
        for entry in live["metadata"].get("managedFields") or []
        if entry.get("manager") not in OURS and entry.get("subresource") != "status"
    ]
    return max(others, default=("", ""))[1]


@dataclass
class DriftLog:
    """At most one Event a minute for one Tenant; what comes in between is told with the next."""

    told: dict[str, datetime] = field(default_factory=dict)
    kept: dict[str, list[Drift]] = field(default_factory=dict)

    def to_tell(self, uid: str, found: Iterable[Drift], now: datetime) -> tuple[Drift, ...]:
        """What to tell now; nothing while the last Event is too young."""
        known = self.kept.setdefault(uid, [])
        known += [drift for drift in found if drift not in known]
        if not known or (uid in self.told and now < self.told[uid] + QUIET):
            return ()
        self.told[uid] = now
        return tuple(self.kept.pop(uid))

    def forget(self, uid: str) -> None:
        """The Tenant is gone."""
        self.told.pop(uid, None)
        self.kept.pop(uid, None)


def event(tenant: Tenant, drifts: tuple[Drift, ...], now: datetime) -> Condition:
    """What the Event says, in the shape of a condition. It is not one: a repair is not a state."""
    told = "; ".join(_sentence(drift) for drift in drifts[:NAMED])
    more = f" and {len(drifts) - NAMED} more" if len(drifts) > NAMED else ""
    message = f"put back: {told}{more}. To change it, change the Tenant {tenant.name}"
    return Condition(
        type="Drift",
        status=ConditionStatus.FALSE,
        reason=REPAIRED,
        message=message[:1024],
        last_transition_time=now,
        observed_generation=tenant.metadata.generation,
    )


def _sentence(drift: Drift) -> str:
    what = f"{drift.key.kind} {drift.key.name}"
    if drift.deleted:
        return f"{what} was deleted"
    return f"{what} was changed by field manager {drift.manager}" if drift.manager else f"{what} was changed"
