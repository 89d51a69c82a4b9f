"""Pure: from a Tenant and what was observed to what has to be done next. Planning what was done plans nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from imagint_operator import names
from imagint_operator.api.tenants import Tenant
from imagint_operator.kube.differences import up_to_date
from imagint_operator.kube.resources import NAMESPACES, ObjectKey
from imagint_operator.tenants import walls
from imagint_operator.tenants.observations import Observed
from imagint_operator.tenants.shredding import Shredding, let_go
from imagint_operator.turns import destroyed_by_retention

CLOCK_SKEW = timedelta(seconds=60)  # of Vault against the apiserver


@dataclass(frozen=True, slots=True)
class AddFinalizer:
    """Make sure that the tenant cannot vanish before its key is destroyed."""


@dataclass(frozen=True, slots=True)
class Apply:
    """Bring one object to what it should be."""

    key: ObjectKey
    manifest: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class EnsureKey:
    """Make the tenant's key in Vault."""

    name: str


@dataclass(frozen=True, slots=True)
class DestroyAgain:
    """Destroy again what a restored Vault brought back: every version of the key below this one."""

    name: str
    version: int


@dataclass(frozen=True, slots=True)
class CloseGateway:
    """Have the Gateway serve no tree of before the last erasure: it was restored with everything around it."""

    tenant: str
    below: int


Action = AddFinalizer | Apply | EnsureKey | DestroyAgain | CloseGateway | Shredding


def plan(tenant: Tenant, observed: Observed, now: datetime) -> tuple[Action, ...]:
    """What has to be done, in order. Actions of one plan may depend on the ones before."""
    if tenant.metadata.deletion_timestamp is None:
        return _keep(tenant, observed)
    return let_go(tenant, observed, now, stranger=conflict(tenant, observed) is not None)


def conflict(tenant: Tenant, observed: Observed) -> str | None:
    """Why the namespace of that name is not ours, if it is not."""
    if observed.namespace is None:
        return None
    metadata = observed.namespace["metadata"]
    if tenant.status.namespace_uid is not None and metadata.get("uid") == tenant.status.namespace_uid:
        return None  # what was taken from its labels by hand is put back
    if not names.is_managed(metadata.get("labels") or {}, tenant.name):
        return "was not made by Imagint"
    if (metadata.get("annotations") or {}).get(names.TENANT_UID) != tenant.metadata.uid:
        return "belongs to an earlier Tenant of the same name"
    return None


def terminating(observed: Observed) -> bool:
    """Whether the namespace is on its way out."""
    return observed.namespace is not None and bool(observed.namespace["metadata"].get("deletionTimestamp"))


def _keep(tenant: Tenant, observed: Observed) -> tuple[Action, ...]:
    finalizer: tuple[Action, ...] = () if names.FINALIZER in tenant.metadata.finalizers else (AddFinalizer(),)
    if conflict(tenant, observed) or terminating(observed) or observed.storage_of is not None:
        return finalizer
    outer = walls.namespace(tenant)
    applies = [(ObjectKey(NAMESPACES.kind, "", outer["metadata"]["name"]), outer, observed.namespace)]
    applies += [(key, manifest, observed.contents.get(key)) for key, manifest in walls.contents(tenant).items()]
    changes = tuple(Apply(key, manifest) for key, manifest, live in applies if not up_to_date(live, manifest))
    if stale := _restored(tenant, observed):
        return (*finalizer, *stale, *changes)
    needs_key = observed.key.problem is None and observed.key.state is None and tenant.status.key is None
    return finalizer + changes + ((EnsureKey(names.namespace_of(tenant.name)),) if needs_key else ())


def destroyed_below(tenant: Tenant, observed: Observed) -> int:
    """Below which version all was destroyed: as recorded here, by its erasures and its retention, as Vault shows it."""
    recorded = tenant.status.key.destroyed_below if tenant.status.key else 0
    shown = observed.key.state.min_available_version if observed.key.state else 0
    return max(recorded, observed.key.destroyed_below, destroyed_by_retention(tenant.status.retention), shown)


def behind(tenant: Tenant, observed: Observed) -> bool:
    """Whether Vault has not even the version that the survivors moved to: it was restored from before a rotation."""
    state = observed.key.state
    return state is not None and state.latest_version < destroyed_below(tenant, observed)


def inherited(tenant: Tenant, observed: Observed) -> bool:
    """Whether the key of this name was made before the Tenant that has recorded none: it is an earlier Tenant's.

    A snapshot of Vault brought it back after it was destroyed. Whoever took it over would open what that one sealed.
    """
    state, since = observed.key.state, tenant.metadata.creation_timestamp
    if state is None or since is None or tenant.status.key is not None:
        return False
    return any(datetime.fromisoformat(made) < since - CLOCK_SKEW for made in state.created_at.values())


def _restored(tenant: Tenant, observed: Observed) -> tuple[Action, ...]:
    """Replay: what was destroyed once is destroyed whenever it is there. A key that is behind is left as it is."""
    state, version = observed.key.state, destroyed_below(tenant, observed)
    if state is None:
        return ()
    lowest = min(state.min_available_version, state.min_decryption_version, state.min_encryption_version)
    again = lowest < version and not behind(tenant, observed)
    served = observed.gateway.status.key_version if observed.gateway.status else None
    old = served is not None and served < version
    closing = (CloseGateway(tenant.name, version),) if old else ()
    return (*closing, DestroyAgain(state.name, version)) if again else closing
