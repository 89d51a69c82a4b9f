"""observe → plan → execute → status, for one Tenant at a time."""

from __future__ import annotations

from imagint_operator.api.tenants import Tenant, TenantStatus
from imagint_operator.conditions import find, holds, turned
from imagint_operator.kube import statuses
from imagint_operator.kube.events import Recorder, on_its_way
from imagint_operator.kube.resources import TENANTS, ObjectKey
from imagint_operator.serve.views import SERVE
from imagint_operator.telemetry import looks
from imagint_operator.tenants.drift import Drift, DriftLog, drifted, event
from imagint_operator.tenants.execute import Executor
from imagint_operator.tenants.observations import Observed
from imagint_operator.tenants.observe import Observer, seen
from imagint_operator.tenants.plan import plan
from imagint_operator.tenants.shredding import RemoveFinalizer, begun, shred_at
from imagint_operator.tenants.status import GATEWAY_READY, READY, own, status
from imagint_operator.terms import POLICY_BOUND, binding_of
from imagint_operator.turns import retention_of
from imagint_operator.world import World
from imagint_privacy.tracing import span

LEAVING_SECONDS = 0.3
UNREADY_SECONDS = 1.0
BLOCKED_SECONDS = 10.0
# What only a person changes: it is not asked for every second.
BLOCKED = frozenset({"StorageTaken", "RegionNotInPolicy", "NamespaceConflict", "KeyInherited", "DeletionRefused"})


class TenantController:
    """Keeps one Tenant true."""

    def __init__(self, observer: Observer, executor: Executor, recorder: Recorder, world: World) -> None:
        self._client = executor.clients.controller
        self._reader = observer.reader
        self._observer = observer
        self._executor = executor
        self._recorder = recorder
        self._world = world
        self._drift = DriftLog()

    async def reconcile(self, key: ObjectKey) -> float | None:
        """Look at one Tenant; answers after how many seconds to look again."""
        tenant = await seen(self._reader, key.name)
        if tenant is None:
            self._world.wake(SERVE)
            return None
        looks.about(tenant)
        with span("observe", {}):
            observed = await self._observer.observe(tenant, self._world.view(tenant))
        actions = plan(tenant, observed, self._world.clock())
        before, (tenant, observed) = observed, await self._executor.execute(tenant, actions, observed)
        if RemoveFinalizer() in actions:
            self._drift.forget(tenant.metadata.uid)
            self._world.wake(SERVE)
            return None
        await self._tell_drift(tenant, drifted(tenant, before, actions, observed))
        after = status(tenant, observed, self._world.clock())
        await self._settle(tenant, after, acted=bool(actions))
        if tenant.spec.policy_ref is not None or find(tenant.status.conditions, POLICY_BOUND) is not None:
            self._world.wake(binding_of(tenant.name))
        if tenant.spec.retention or tenant.spec.policy_ref is not None or tenant.status.retention is not None:
            self._world.wake(retention_of(tenant.name))
        return self._again(tenant, after, observed)

    async def _tell_drift(self, tenant: Tenant, found: tuple[Drift, ...]) -> None:
        now = self._world.clock()
        told = self._drift.to_tell(tenant.metadata.uid, found, now)
        if told:
            await self._recorder.record(tenant, event(tenant, told, now), action="Repair", repeats=True)

    async def _settle(self, tenant: Tenant, after: TenantStatus, *, acted: bool) -> None:
        written = await statuses.write(self._client, TENANTS, tenant, own(tenant.status), after)
        behind = tenant.status.observed_generation != after.observed_generation
        if (
            acted
            or behind
            or (written and (tenant.status.key != after.key or tenant.status.compute is not after.compute))
        ):
            self._world.wake(SERVE)
        for condition in turned(tenant.status.conditions, after.conditions):
            if on_its_way(tenant.status.conditions, condition):
                continue
            if condition.type in {READY, GATEWAY_READY} or condition.reason == "KeyReplayed":
                prefix = "Gateway" if condition.type == GATEWAY_READY else ""
                await self._recorder.record(tenant, condition, action="Reconcile", prefix=prefix)

    def _again(self, tenant: Tenant, after: TenantStatus, observed: Observed) -> float:
        """When to look next. Serve's writer calls when an application turns, so only what nobody reports is polled."""
        moment = shred_at(tenant)
        if tenant.metadata.deletion_timestamp is not None and after.deletion != tenant.status.deletion:
            self._world.wake(SERVE)
            return 0.0  # the next step of a deletion; what it waits for is looked at when it is asked
        if moment is not None:
            if not observed.gateway.drained:
                self._world.wake(SERVE)
            left = (moment - self._world.clock()).total_seconds()
            waits = begun(tenant) or observed.holds or observed.deletion_problem is not None
            return max(UNREADY_SECONDS if waits else LEAVING_SECONDS, min(left, self._world.resync))
        app = observed.gateway.app
        starting = app is not None and app.running and not holds(after.conditions, GATEWAY_READY)
        incomplete = not holds(after.conditions, READY) and tenant.metadata.deletion_timestamp is None
        ready = find(after.conditions, READY)
        if ready is not None and ready.reason in BLOCKED:
            return min(self._world.resync, BLOCKED_SECONDS)
        if starting or (incomplete and observed.key.problem is None):
            return UNREADY_SECONDS
        # While Vault is away nothing can be done: whoever watches it tells when it is back.
        return self._world.rest(TENANTS.kind)
