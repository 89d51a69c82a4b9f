"""Pure: what a Tenant's status says about what was observed. Says nothing that was not seen."""

from __future__ import annotations

from datetime import datetime

from imagint_operator import names
from imagint_operator.api.base import Condition
from imagint_operator.api.deletion import DeletionStatus
from imagint_operator.api.tenants import Compute, KeyStatus, Tenant, TenantState, TenantStatus
from imagint_operator.conditions import Verdict, find, merged, no, unknown, yes
from imagint_operator.kube.differences import up_to_date
from imagint_operator.kube.resources import RESOURCE_QUOTAS
from imagint_operator.serve.ports import AppStatus
from imagint_operator.tenants import walls
from imagint_operator.tenants.leaving import leaving
from imagint_operator.tenants.leftovers import remaining
from imagint_operator.tenants.observations import Observed
from imagint_operator.tenants.plan import behind, conflict, destroyed_below, inherited, terminating
from imagint_operator.tenants.quotas import exceeded
from imagint_operator.tenants.shredding import begun, shred_at
from imagint_operator.terms import POLICY_BOUND, REGION_NOT_IN_POLICY

READY = "Ready"
NAMESPACE_READY = "NamespaceReady"
KEY_READY = "KeyReady"
GATEWAY_READY = "GatewayReady"
COMPUTE_READY = "ComputeReady"
WITHIN_QUOTA = "WithinQuota"
OWN = (READY, NAMESPACE_READY, KEY_READY, GATEWAY_READY, COMPUTE_READY, WITHIN_QUOTA)


def own(status: TenantStatus) -> TenantStatus:
    """What of a recorded status is written here: the rest is retention's, under its own field manager."""
    mine = tuple(condition for condition in status.conditions if condition.type in OWN)
    return status.model_copy(update={"conditions": mine, "retention": None})


def status(tenant: Tenant, observed: Observed, now: datetime) -> TenantStatus:
    """The status to write."""
    namespace, keyed = _namespace(tenant, observed), _key(tenant, observed)
    ready, gateway = _ready(tenant, observed, namespace, keyed, now), _gateway(tenant, observed)
    verdicts = (ready, namespace, keyed, gateway, _compute_ready(tenant, observed), *_quota(observed))
    here = observed.namespace is not None and conflict(tenant, observed) is None
    return TenantStatus(
        observed_generation=tenant.metadata.generation,
        namespace=names.namespace_of(tenant.name) if here else None,
        namespace_uid=_namespace_uid(tenant, observed),
        compute=_compute(tenant, observed),
        path=f"/{tenant.name}"
        if Compute.SHARED in (_compute(tenant, observed), tenant.spec.compute) or tenant.status.compute
        else None,
        key=_key_status(tenant, observed, now),
        deletion=_deletion(tenant, observed),
        conditions=_conditions(tenant, verdicts, now),
    )


def _key_status(tenant: Tenant, observed: Observed, now: datetime) -> KeyStatus | None:
    """The key as seen; what was recorded stays when it cannot be seen or was lost."""
    if conflict(tenant, observed) or inherited(tenant, observed):
        return tenant.status.key
    state, before = observed.key.state, tenant.status.key
    if state is not None:
        version = before.version if before is not None and behind(tenant, observed) else state.latest_version
        replayed = now if observed.key.replayed else before.replayed_at if before is not None else None
        below = destroyed_below(tenant, observed)
        return KeyStatus(name=state.name, version=version, destroyed_below=below, replayed_at=replayed)
    deletion = tenant.status.deletion
    return None if deletion is not None and deletion.gone_at is not None else tenant.status.key


def _namespace_uid(tenant: Tenant, observed: Observed) -> str | None:
    """What makes the namespace this Tenant's, for as long as the Tenant is there."""
    if observed.namespace is None or conflict(tenant, observed):
        return tenant.status.namespace_uid
    uid: str | None = observed.namespace["metadata"].get("uid")
    return uid


def _deletion(tenant: Tenant, observed: Observed) -> DeletionStatus | None:
    """As recorded; what was not begun is forgotten when it is refused after all."""
    if observed.deletion is not None:
        return observed.deletion
    refused = shred_at(tenant) is None and not begun(tenant)
    return None if refused else tenant.status.deletion


def _conditions(tenant: Tenant, verdicts: tuple[Verdict, ...], now: datetime) -> tuple[Condition, ...]:
    return merged(tenant.status.conditions, verdicts, generation=tenant.metadata.generation, now=now)


def _ready(tenant: Tenant, observed: Observed, namespace: Verdict, key: Verdict, now: datetime) -> Verdict:
    if tenant.metadata.deletion_timestamp is not None:
        return leaving(tenant, observed, now)
    if observed.storage_of is not None:
        return no(
            READY,
            "StorageTaken",
            f"Tenant {observed.storage_of} keeps its data at an address in spec.storage, and no two Tenants share one: "
            "nothing was made. Delete this Tenant and make it with other addresses",
        )
    if observed.gateway.refusal is not None:
        return no(READY, observed.gateway.refusal.reason, observed.gateway.refusal.message)
    for part in (namespace, key):
        if not part.holds:
            return no(READY, part.reason, part.message)
    policy = find(tenant.status.conditions, POLICY_BOUND)
    if tenant.spec.policy_ref is not None and policy is not None and policy.reason == REGION_NOT_IN_POLICY:
        return no(READY, policy.reason, policy.message)
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


def _quota(observed: Observed) -> tuple[Verdict, ...]:
    """Said only while it is so."""
    quota = next((live for key, live in observed.contents.items() if key.kind == RESOURCE_QUOTAS.kind), None)
    over = exceeded(quota)
    if not over:
        return ()
    message = f"more is in use than spec.quotas allows ({', '.join(over)}): nothing is taken away, and nothing new fits"
    return (no(WITHIN_QUOTA, "QuotaBelowUse", message),)


def _namespace(tenant: Tenant, observed: Observed) -> Verdict:
    name = names.namespace_of(tenant.name)
    if problem := conflict(tenant, observed):
        return no(
            NAMESPACE_READY,
            "NamespaceConflict",
            f"namespace {name} {problem}: it is not touched. Delete it, or make the Tenant under another name",
        )
    if left := remaining(observed.namespace):
        return no(NAMESPACE_READY, "NamespaceStuck", f"namespace {name} cannot go. {'; '.join(left)}")
    if terminating(observed):
        return no(NAMESPACE_READY, "NamespaceTerminating", f"namespace {name} is being deleted")
    if observed.refused:
        return no(NAMESPACE_READY, "WallsRefused", _refused(name, observed))
    if observed.namespace is None:
        return no(NAMESPACE_READY, "NamespaceMissing", f"there is no namespace {name}")
    wanted = walls.contents(tenant)
    behind = [key.name for key, manifest in wanted.items() if not up_to_date(observed.contents.get(key), manifest)]
    if behind and tenant.metadata.deletion_timestamp is None:
        return no(NAMESPACE_READY, "WallsIncomplete", f"not yet in place in {name}: {', '.join(sorted(set(behind)))}")
    return yes(NAMESPACE_READY, "NamespaceReady", f"namespace {name} with quota, network policies and rights")


def _refused(name: str, observed: Observed) -> str:
    told = "; ".join(f"{key.kind} {key.name}: {error}" for key, error in sorted(observed.refused.items()))
    return f"the apiserver refuses what belongs into {name} (a quota, an admission policy or a missing right): {told}"


def _key(tenant: Tenant, observed: Observed) -> Verdict:
    name = names.namespace_of(tenant.name)
    if observed.key.problem is not None:
        return unknown(KEY_READY, observed.key.problem.reason, str(observed.key.problem))
    if conflict(tenant, observed):
        return no(KEY_READY, "NamespaceConflict", "the key belongs to the owner of the namespace")
    if observed.key.state is None:
        return _keyless(tenant, name)
    if inherited(tenant, observed):
        return no(
            KEY_READY,
            "KeyInherited",
            f"key {name} is older than this Tenant: it is an earlier Tenant's, brought back by a snapshot of Vault. It "
            "opens what that one sealed, and is not used. Delete this Tenant with deletion.policy Shred: that destroys "
            "the key for good. Then make it anew",
        )
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
    if tenant.metadata.deletion_timestamp is not None and (begun(tenant) or tenant.status.key is None):
        return no(KEY_READY, "KeyDestroyed", f"Vault has no key {name} any more")
    if tenant.status.key is None:
        return no(KEY_READY, "KeyMissing", f"Vault has no key {name} yet")
    had = tenant.status.key.version
    return no(KEY_READY, "KeyLost", f"Vault had version {had} of key {name} and has none now: no data can be opened. "
              "Restore Vault; a new key would not help and is not made")  # fmt: skip


def _gateway(tenant: Tenant, observed: Observed) -> Verdict:
    gateway, app = observed.gateway, names.gateway_app(tenant.name)
    before = find(tenant.status.conditions, GATEWAY_READY)
    if not gateway.seen and before is not None and before.observed_generation == tenant.metadata.generation:
        # An operator that has just begun has not looked at Serve yet: what its predecessor saw is the last known.
        return Verdict(GATEWAY_READY, before.status, before.reason, before.message)
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
