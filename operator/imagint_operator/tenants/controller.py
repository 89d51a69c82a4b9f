"""observe → plan → execute → status, for one Tenant at a time."""

from __future__ import annotations

from imagint_operator.api.tenants import Tenant, TenantStatus
from imagint_operator.conditions import holds, turned
from imagint_operator.kube import statuses
from imagint_operator.kube.client import KubeClient
from imagint_operator.kube.events import Recorder
from imagint_operator.kube.resources import TENANTS, ObjectKey
from imagint_operator.serve.views import SERVE
from imagint_operator.telemetry import looks
from imagint_operator.tenants.execute import Executor
from imagint_operator.tenants.observations import Observed
from imagint_operator.tenants.observe import Observer
from imagint_operator.tenants.plan import RemoveFinalizer, plan, shred_at
from imagint_operator.tenants.status import GATEWAY_READY, READY, own, status
from imagint_operator.turns import retention_of
from imagint_operator.world import World
from imagint_privacy.tracing import span

LEAVING_SECONDS = 0.3
UNREADY_SECONDS = 1.0


class TenantController:
    """Keeps one Tenant true."""

    def __init__(
        self, client: KubeClient, observer: Observer, executor: Executor, recorder: Recorder, world: World
    ) -> None:
        self._client = client
        self._observer = observer
        self._executor = executor
        self._recorder = recorder
        self._world = world

    async def reconcile(self, key: ObjectKey) -> float | None:
        """Look at one Tenant; answers after how many seconds to look again."""
        found = await self._client.get(TENANTS, key.name)
        if found is None:
            self._world.wake(SERVE)
            return None
        tenant = Tenant.model_validate(found)
        looks.about(tenant)
        with span("observe", {}):
            observed = await self._observer.observe(tenant, self._world.view())
        actions = plan(tenant, observed, self._world.clock())
        observed = await self._executor.execute(tenant, actions, observed)
        if RemoveFinalizer() in actions:
            self._world.wake(SERVE)
            return None
        after = status(tenant, observed, self._world.clock())
        await self._settle(tenant, after, acted=bool(actions))
        if tenant.spec.retention or tenant.status.retention is not None:
            self._world.wake(retention_of(tenant.name))
        return self._again(tenant, after, observed)

    async def _settle(self, tenant: Tenant, after: TenantStatus, *, acted: bool) -> None:
        written = await statuses.write(self._client, TENANTS, tenant, own(tenant.status), after)
        behind = tenant.status.observed_generation != after.observed_generation
        if acted or behind or (written and tenant.status.key != after.key):
            self._world.wake(SERVE)
        for condition in turned(tenant.status.conditions, after.conditions):
            if condition.type in {READY, GATEWAY_READY} or condition.reason == "KeyReplayed":
                prefix = "Gateway" if condition.type == GATEWAY_READY else ""
                await self._recorder.record(tenant, condition, action="Reconcile", prefix=prefix)

    def _again(self, tenant: Tenant, after: TenantStatus, observed: Observed) -> float:
        """When to look next. Serve's writer calls when an application turns, so only what nobody reports is polled."""
        moment = shred_at(tenant)
        if moment is not None:
            if not observed.gateway.drained:
                self._world.wake(SERVE)
            left = (moment - self._world.clock()).total_seconds()
            return max(LEAVING_SECONDS, min(left, self._world.resync))
        app = observed.gateway.app
        starting = app is not None and app.running and not holds(after.conditions, GATEWAY_READY)
        incomplete = not holds(after.conditions, READY) and tenant.metadata.deletion_timestamp is None
        return UNREADY_SECONDS if starting or incomplete else self._world.resync
