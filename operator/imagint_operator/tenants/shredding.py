"""Pure: what the deletion of a Tenant needs next, and what is recorded before it.

Drain → destroy the key → probe → carry the certificates over → certify → release. Each step is recorded in
`status.deletion` before it is taken, so that a crash resumes, and nothing is claimed that was not recorded. Whoever is
waited for is waited for with patience, and not for ever: a dead data plane or prober cannot keep a key alive.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from imagint_operator import names
from imagint_operator.api.deletion import (
    DeletionOutcome,
    DeletionStatus,
    DeletionStep,
    KeyAssurance,
    ShredKey,
)
from imagint_operator.api.tenants import DeletionPolicy, Tenant
from imagint_operator.tenants.observations import KeyView, Observed

ROOT_PATIENCE = timedelta(seconds=30)
DRAIN_PATIENCE = timedelta(minutes=10)
PROBE_PATIENCE = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class RetainRoot:
    """Have the prober keep the tenant's last root; `final`: if it cannot now, go on without."""

    final: bool


@dataclass(frozen=True, slots=True)
class Record:
    """Write down how far the deletion has come, and nothing else."""

    deletion: DeletionStatus


@dataclass(frozen=True, slots=True)
class DestroyKey:
    """Destroy the tenant's key, every version of it, for good."""

    name: str


@dataclass(frozen=True, slots=True)
class ProbeGone:
    """Have the prober see that the key is gone; `final`: if it cannot look now, go on without."""

    final: bool


@dataclass(frozen=True, slots=True)
class Archive:
    """Carry the namespace's certificates over, and list the requests that end with it."""


@dataclass(frozen=True, slots=True)
class Certify:
    """Sign the certificate and store it."""


@dataclass(frozen=True, slots=True)
class DeleteNamespace:
    """Delete exactly the namespace that was seen."""

    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class RemoveFinalizer:
    """Let the Tenant go."""


Shredding = RetainRoot | Record | DestroyKey | ProbeGone | Archive | Certify | DeleteNamespace | RemoveFinalizer


def shred_at(tenant: Tenant) -> datetime | None:
    """When the key of a deleted tenant is to be destroyed; None when it is not."""
    deleted = tenant.metadata.deletion_timestamp
    if deleted is None or (tenant.spec.deletion.policy is DeletionPolicy.REFUSE and not begun(tenant)):
        return None
    return deleted + timedelta(seconds=tenant.spec.deletion.grace_seconds)


def begun(tenant: Tenant) -> bool:
    """Whether the destruction of the key was decided: then it is carried to its end, whatever the spec says since."""
    return tenant.status.deletion is not None and tenant.status.deletion.begun_at is not None


def withheld(tenant: Tenant, observed: Observed) -> bool:
    """Whether a hold came after the destruction was decided and before it began: with Vault sealed that can be days.

    Destroying begins with a rotation: a key with no newer version than the one recorded is whole.
    """
    deletion, state = tenant.status.deletion, observed.key.state
    if deletion is None or deletion.step is not DeletionStep.DESTROY_KEY or deletion.key is None or state is None:
        return False
    return bool(observed.holds) and state.latest_version <= deletion.key.version


def let_go(tenant: Tenant, observed: Observed, now: datetime, *, stranger: bool) -> tuple[Shredding, ...]:
    """The next step of a deletion. `stranger`: the namespace of that name is somebody else's, and is not touched."""
    moment = shred_at(tenant)
    if names.FINALIZER not in tenant.metadata.finalizers or moment is None:
        return ()
    deletion = tenant.status.deletion
    if deletion is None:
        return _begin(tenant, observed, now, stranger=stranger)
    if observed.key.problem is not None and deletion.step is not DeletionStep.RELEASE:
        return ()
    if deletion.step is DeletionStep.DRAIN:
        return _destruction(tenant, deletion, observed, now)
    if observed.key.state is not None:
        return () if withheld(tenant, observed) else (DestroyKey(observed.key.state.name),)
    return _after(deletion, observed, now, stranger=stranger)


def _begin(tenant: Tenant, observed: Observed, now: datetime, *, stranger: bool) -> tuple[Shredding, ...]:
    deleted, had, state = tenant.metadata.deletion_timestamp, tenant.status.key, observed.key.state
    if observed.key.problem is not None and not (stranger and had is None):
        return ()
    if had is None and (stranger or state is None):
        return () if observed.holds else _release(observed, stranger=stranger)
    if state is None:
        last = ShredKey(version=had.version) if had is not None else None
        return (Record(DeletionStatus(step=DeletionStep.DRAIN, started_at=now, key=last)),)
    return (RetainRoot(final=deleted is not None and now >= deleted + ROOT_PATIENCE),)


def _destruction(tenant: Tenant, deletion: DeletionStatus, observed: Observed, now: datetime) -> tuple[Shredding, ...]:
    """From here there is no way back: the grace is over, no hold stands, and nothing runs, as far as can be known."""
    moment, stopped = shred_at(tenant), observed.gateway.drained
    if moment is None or now < moment or observed.holds:
        return ()
    if not stopped and now < max(moment, deletion.started_at) + DRAIN_PATIENCE:
        return ()
    key = _seen(observed.key) or (ShredKey(version=tenant.status.key.version) if tenant.status.key else deletion.key)
    facts = {"key": key, "stopped_at": now if stopped else None, "shred_at": moment, "begun_at": now}
    gone = {"step": DeletionStep.PROBE, "gone_at": now, "outcome": DeletionOutcome.KEY_ALREADY_GONE}
    onward = gone if observed.key.state is None else {"step": DeletionStep.DESTROY_KEY}
    return (Record(deletion.model_copy(update=facts | onward)),)


def _after(deletion: DeletionStatus, observed: Observed, now: datetime, *, stranger: bool) -> tuple[Shredding, ...]:
    """What follows once the key is seen gone."""
    match deletion.step:
        case DeletionStep.DESTROY_KEY:
            gone = {"step": DeletionStep.PROBE, "gone_at": now, "outcome": DeletionOutcome.SHREDDED}
            return (Record(deletion.model_copy(update=gone)),)
        case DeletionStep.PROBE:
            return (ProbeGone(final=deletion.gone_at is not None and now >= deletion.gone_at + PROBE_PATIENCE),)
        case DeletionStep.ARCHIVE:
            return (Archive(),)
        case DeletionStep.CERTIFY:
            return (Certify(),)
    return _release(observed, stranger=stranger) if deletion.evidence is not None else (Certify(),)


def _release(observed: Observed, *, stranger: bool) -> tuple[Shredding, ...]:
    """The namespace, and then the Tenant. It stays as long as its namespace does, so that the reason can be read."""
    namespace = observed.namespace
    if namespace is None or stranger:
        return (RemoveFinalizer(),)
    metadata = namespace["metadata"]
    return () if metadata.get("deletionTimestamp") else (DeleteNamespace(metadata["name"], metadata["uid"]),)


def _seen(key: KeyView) -> ShredKey | None:
    state = key.state
    if state is None:
        return None
    created = state.created_at.get(state.latest_version)
    seen = {
        KeyAssurance.NOT_EXPORTABLE: not state.exportable,
        KeyAssurance.NO_PLAINTEXT_BACKUP: not state.allow_plaintext_backup,
        KeyAssurance.UPSERT_DISABLED: key.upsert_disabled,
    }
    return ShredKey(
        version=state.latest_version,
        oldest_version=max(1, state.min_available_version),
        created_at=datetime.fromisoformat(created) if created else None,
        assurances=tuple(assurance for assurance, holds in seen.items() if holds),
    )
