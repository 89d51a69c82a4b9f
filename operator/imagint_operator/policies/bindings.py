"""Says on a Tenant what its policy binds it to, under a field manager of its own."""

from __future__ import annotations

from imagint_operator.api.base import ApiModel, Conditions
from imagint_operator.api.tenants import Tenant
from imagint_operator.boundpolicies import policy_of
from imagint_operator.conditions import find, merged, turned
from imagint_operator.kube import statuses
from imagint_operator.kube.client import KubeClient
from imagint_operator.kube.events import Recorder
from imagint_operator.kube.readers import Reader
from imagint_operator.kube.resources import TENANTS, ObjectKey
from imagint_operator.telemetry import looks
from imagint_operator.terms import POLICY_BOUND, bound
from imagint_operator.turns import retention_of
from imagint_operator.world import World

FIELD_MANAGER = "imagint-operator-policies"


class BindingPart(ApiModel):
    """What of a Tenant's status is written here."""

    conditions: Conditions = ()


class BindingController:
    """Keeps the condition PolicyBound of one Tenant true."""

    def __init__(self, client: KubeClient, reader: Reader, recorder: Recorder, world: World) -> None:
        self._client = client
        self._reader = reader
        self._recorder = recorder
        self._world = world

    async def reconcile(self, key: ObjectKey) -> float | None:
        """Look at one tenant and its policy."""
        tenant = await self._reader.one(Tenant, key.name)
        if tenant is None:
            return None
        looks.about(tenant)
        policy = await policy_of(self._reader, tenant)
        recorded = find(tenant.status.conditions, POLICY_BOUND)
        before = BindingPart(conditions=(recorded,) if recorded else ())
        verdict = bound(tenant, policy)
        conditions = merged(
            before.conditions,
            (verdict,) if verdict else (),
            generation=tenant.metadata.generation,
            now=self._world.clock(),
        )
        after = BindingPart(conditions=conditions)
        written = await statuses.write(self._client, TENANTS, tenant, before, after, manager=FIELD_MANAGER)
        news = turned(before.conditions, after.conditions)
        for condition in news:
            await self._recorder.record(tenant, condition, action="Bind", prefix="Policy")
        if written:
            self._world.wake(retention_of(tenant.name))
        if news or bool(before.conditions) != bool(after.conditions):
            self._world.wake(ObjectKey(TENANTS.kind, "", tenant.name))
        return None
