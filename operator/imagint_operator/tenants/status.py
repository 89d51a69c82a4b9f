"""Pure: what a Tenant's status says about what was observed. Says nothing that was not seen."""

from __future__ import annotations

from datetime import datetime

from imagint_operator import names
from imagint_operator.api.base import Condition
from imagint_operator.api.tenants import Compute, KeyStatus, Tenant, TenantState, TenantStatus
from imagint_operator.conditions import Verdict, merged, no, unknown, yes
from imagint_operator.kube.differences import up_to_date
from imagint_operator.serve.ports import AppStatus
from imagint_operator.tenants import walls
from imagint_operator.tenants.observations import Observed
from imagint_operator.tenants.plan import behind, conflict, destroyed_below, shred_at, terminating

READY = "Ready"
NAMESPACE_READY = "NamespaceReady"
KEY_READY = "KeyReady"
GATEWAY_READY = "GatewayReady"
COMPUTE_READY = "ComputeReady"
OWN = (READY, NAMESPACE_READY, KEY_READY, GATEWAY_READY, COMPUTE_READY)


def own(status: TenantStatus) -> TenantStatus:
    """What of a recorded status is written here: the rest is retention's, under its own field manager."""
    mine = tuple(condition for condition in status.conditions if condition.type in OWN)
    return status.model_copy(update={"conditions": mine, "retention": None})


def status(tenant: Tenant, observed: Observed, now: datetime) -> TenantStatus:
    """The status to write."""
    namespace, keyed = _namespace(tenant, observed), _key(tenant, observed)
    ready = _ready(tenant, observed, namespace, keyed)
    verdicts = (ready, namespace, keyed, _gateway(tenant, observed), _compute_ready(tenant, observed))
    here = observed.namespace is not None and conflict(tenant, observed) is None
    return TenantStatus(
        observed_generation=tenant.metadata.generation,
        namespace=names.namespace_of(tenant.name) if here else None,
        compute=_compute(tenant, observed),
        path=f"/{tenant.name}"
        if Compute.SHARED in (_compute(tenant, observed), tenant.spec.compute) or tenant.status.compute
        else None,
        key=_key_status(tenant, observed, now),
        conditions=_conditions(tenant, verdicts, now),
    )


def _key_status(tenant: Tenant, observed: Observed, now: datetime) -> KeyStatus | None:
    """The key as seen; what was recorded stays when it cannot be seen or was lost."""
    if conflict(tenant, observed):
        return None
    state, before = observed.key.state, tenant.status.key
    if state is not None:
        version = before.version if before is not None and behind(tenant, observed) else state.latest_version
        replayed = now if observed.key.replayed else before.replayed_at if before is not None else None
        below = destroyed_below(tenant, observed)
        return KeyStatus(name=state.name, version=version, destroyed_below=below, replayed_at=replayed)
    destroyed = tenant.metadata.deletion_timestamp is not None and observed.key.problem is None
    return None if destroyed else tenant.status.key


def _conditions(tenant: Tenant, verdicts: tuple[Verdict, ...], now: datetime) -> tuple[Condition, ...]:
    return merged(tenant.status.conditions, verdicts, generation=tenant.metadata.generation, now=now)


def _ready(tenant: Tenant, observed: Observed, namespace: Verdict, key: Verdict) -> Verdict:
    if tenant.metadata.deletion_timestamp is not None:
        return _leaving(tenant, observed, shred_at(tenant))
    if observed.gateway.refusal is not None:
        return no(READY, observed.gateway.refusal.reason, observed.gateway.refusal.message)
    for part in (namespace, key):
        if not part.holds:
            return no(READY, part.reason, part.message)
    if tenant.spec.state is TenantState.SUSPENDED:
        return yes(READY, "Suspended", "namespace and key stand; generations are refused, rights are served")
    return yes(READY, "Ready", "namespace and key stand")


def _compute(tenant: Tenant, observed: Observed) -> Compute | None:
    """Where the tenant is served: the new place as soon as its Gateway runs there, the old one until then."""
    if observed.gateway.arrived or (tenant.status.compute is None and observed.gateway.app is not None):
        return tenant.spec.compute
    return tenant.status.compute


def _compute_ready(tenant: Tenant, observed: Observed) -> Verdict:
    wanted, now = tenant.spec.compute, _compute(tenant, observed)
    if observed.gateway.refusal is not None:
        return no(COMPUTE_READY, observed.gateway.refusal.reason, observed.gateway.refusal.message)
    if now is None:
        return unknown(COMPUTE_READY, "Waiting", f"compute {wanted} is not asked for yet")
    if now is not wanted:
        return no(COMPUTE_READY, "Moving", f"served by {now} until the Gateway runs on {wanted}")
    return yes(COMPUTE_READY, "Placed", f"compute is {wanted}")


def _leaving(tenant: Tenant, observed: Observed, moment: datetime | None) -> Verdict:
    if moment is None:
        command = (
            f'kubectl patch tenant {tenant.name} --type=merge -p \'{{"spec":{{"deletion":{{"policy":"Shred"}}}}}}\''
        )
        return no(
            READY,
            "DeletionRefused",
            "deletion.policy is Refuse, so everything is kept and served. To destroy the tenant's key and all its data "
            f"for good: {command}",
        )
    if observed.key.problem is not None:
        return no(READY, observed.key.problem.reason, "the key is destroyed as soon as Vault answers")
    if observed.key.state is None:
        return no(READY, "KeyDestroyed", "the key is destroyed; the namespace goes next")
    if observed.gateway.problem is not None:
        return no(READY, observed.gateway.problem.reason, "the key is destroyed once Ray confirms that nothing runs")
    stage = "the tenant is switched off" if observed.gateway.drained else "the tenant's applications are being stopped"
    return no(READY, "Shredding", f"{stage}; its key is destroyed from {moment.isoformat()} on")


def _namespace(tenant: Tenant, observed: Observed) -> Verdict:
    name = names.namespace_of(tenant.name)
    if problem := conflict(tenant, observed):
        return no(
            NAMESPACE_READY,
            "NamespaceConflict",
            f"namespace {name} {problem}: delete it, or give this Tenant another name; it is not touched",
        )
    if terminating(observed):
        return no(NAMESPACE_READY, "NamespaceTerminating", f"namespace {name} is being deleted")
    if observed.namespace is None:
        return no(NAMESPACE_READY, "NamespaceMissing", f"there is no namespace {name}")
    wanted = walls.contents(tenant)
    behind = [key.name for key, manifest in wanted.items() if not up_to_date(observed.contents.get(key), manifest)]
    if behind and tenant.metadata.deletion_timestamp is None:
        return no(NAMESPACE_READY, "WallsIncomplete", f"not yet in place in {name}: {', '.join(sorted(set(behind)))}")
    return yes(NAMESPACE_READY, "NamespaceReady", f"namespace {name} with quota, network policies and rights")


def _key(tenant: Tenant, observed: Observed) -> Verdict:
    name = names.namespace_of(tenant.name)
    if observed.key.problem is not None:
        return unknown(KEY_READY, observed.key.problem.reason, str(observed.key.problem))
    if conflict(tenant, observed):
        return no(KEY_READY, "NamespaceConflict", "the key belongs to the owner of the namespace")
    if observed.key.state is None:
        return _keyless(tenant, name)
    if not observed.key.state.never_exportable:
        return no(KEY_READY, "KeyExportable", f"key {name} can leave Vault: whoever took it can undo an erasure")
    return _restored(tenant, observed, name) or yes(KEY_READY, "KeyReady", f"key {name} stands and cannot leave Vault")


def _restored(tenant: Tenant, observed: Observed, name: str) -> Verdict | None:
    """What is to say of a key when Vault was restored from a snapshot."""
    below = destroyed_below(tenant, observed)
    if observed.key.state is not None and behind(tenant, observed):
        newest = observed.key.state.latest_version
        return no(
            KEY_READY,
            "KeyBehind",
            f"Vault's newest version of key {name} is {newest}, but version {below} was in use: Vault was restored "
            f"from a snapshot taken before the rotation to {below}, and opens nothing. Restore a newer snapshot; the "
            "key is not rotated before",
        )
    if observed.key.replayed:
        return yes(
            KEY_READY,
            "KeyReplayed",
            f"Vault was restored from an older snapshot: every version of key {name} below {below} was destroyed again",
        )
    return None


def _keyless(tenant: Tenant, name: str) -> Verdict:
    if tenant.metadata.deletion_timestamp is not None:
        return no(KEY_READY, "KeyDestroyed", f"Vault has no key {name} any more")
    if tenant.status.key is None:
        return no(KEY_READY, "KeyMissing", f"Vault has no key {name} yet")
    had = tenant.status.key.version
    return no(KEY_READY, "KeyLost", f"Vault had version {had} of key {name} and has none now: no data can be opened. "
              "Restore Vault; a new key would not help and is not made")  # fmt: skip


def _gateway(tenant: Tenant, observed: Observed) -> Verdict:
    gateway, app = observed.gateway, names.gateway_app(tenant.name)
    if gateway.refusal is not None and gateway.app is None:
        return no(GATEWAY_READY, gateway.refusal.reason, gateway.refusal.message)
    if gateway.problem is not None:
        return unknown(GATEWAY_READY, gateway.problem.reason, str(gateway.problem))
    if gateway.drained:
        return no(GATEWAY_READY, "Drained", f"application {app} and the tenant's models are gone")
    if gateway.app is None:
        return no(GATEWAY_READY, "Waiting", f"application {app} is not asked for yet")
    if gateway.app.status is AppStatus.DEPLOY_FAILED:
        return no(GATEWAY_READY, "DeployFailed", f"Ray Serve could not start {app}: its log says why")
    if not gateway.app.running:
        return no(GATEWAY_READY, "Deploying", f"Ray Serve is starting {app}")
    if gateway.status is None or not gateway.status.ready:
        reason = gateway.status.reason if gateway.status else ""
        return no(
            GATEWAY_READY, "NotReady", f"the Gateway answers that it is not ready ({reason or 'no reason given'})"
        )
    return yes(GATEWAY_READY, "Serving", f"the Gateway answers under /{tenant.name}")
