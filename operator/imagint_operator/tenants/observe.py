"""Reads what a tenant consists of now. Changes nothing."""

from __future__ import annotations

import asyncio
import dataclasses

from imagint_operator import names
from imagint_operator.api.holds import LegalHold
from imagint_operator.api.requests import DataSubjectRequest
from imagint_operator.api.tenants import Tenant
from imagint_operator.dataplane.gateways import Gateways
from imagint_operator.errors import OperatorError
from imagint_operator.keyrings import KeyRing
from imagint_operator.kube.client import KubeClient
from imagint_operator.kube.readers import LiveReader, Reader
from imagint_operator.kube.resources import NAMESPACES
from imagint_operator.legalholds import in_force
from imagint_operator.serve.views import ServeView
from imagint_operator.tenants import walls
from imagint_operator.tenants.observations import GatewayView, KeyView, Object, Observed, destroyed_by
from imagint_operator.tenants.places import storage_taken
from imagint_operator.times import Clock


async def seen(reader: Reader, name: str) -> Tenant | None:
    """A Tenant as it is known; one that is being deleted as the apiserver has it now.

    Destroying a key names no version that could be refused: a cache that is behind, as after a takeover, may still show
    a Tenant whose successor of the same name has a key of that name.
    """
    known = await reader.one(Tenant, name)
    if known is None or known.metadata.deletion_timestamp is None:
        return known
    return await reader.fresh(Tenant, name)


class Observer:
    """Gathers, in parallel, what the plan needs."""

    def __init__(self, client: KubeClient, reader: Reader, keys: KeyRing, gateways: Gateways, clock: Clock) -> None:
        self._client = client
        self.reader = reader
        self._keys = keys
        self._gateways = gateways
        self._clock = clock

    async def observe(self, tenant: Tenant, view: ServeView | None) -> Observed:
        """Look at the namespace, its contents, the key and the Gateway."""
        name = names.namespace_of(tenant.name)
        wanted = list(walls.contents(tenant))
        contents = asyncio.gather(
            *(self.reader.get(walls.resource_of(item), item.name, item.namespace) for item in wanted)
        )
        namespace, key, gateway, found = await asyncio.gather(
            self._namespace(name), self._key(tenant, name), self._gateway(tenant, view), contents
        )
        leaving = tenant.metadata.deletion_timestamp is not None
        holds = await self._standing(name) if leaving else ()
        seen = Observed(namespace, dict(zip(wanted, found, strict=True)), key, gateway, holds)
        return dataclasses.replace(seen, storage_of=await self._storage_of(tenant))

    async def _namespace(self, name: str) -> Object | None:
        """One that is not kept is asked for: what is kept are only those that carry our label."""
        found = await self.reader.get(NAMESPACES, name)
        return found if found is not None else await self._client.get(NAMESPACES, name)

    async def _standing(self, namespace: str) -> tuple[str, ...]:
        """The legal holds in force, read from the apiserver itself: what comes next cannot be undone."""
        holds = await LiveReader(self._client).all(LegalHold, namespace)
        return tuple(sorted(hold.name for hold in holds if in_force(hold, self._clock())))

    async def _storage_of(self, tenant: Tenant) -> str | None:
        """Whose place it is; asked only of a Tenant that names one and does not have it yet."""
        if tenant.spec.storage is None or tenant.status.key is not None:
            return None
        return storage_taken(tenant, await self.reader.all(Tenant))

    async def _key(self, tenant: Tenant, name: str) -> KeyView:
        """Look at the key; what its erasures recorded is asked only where a version is there that may be too old."""
        try:
            state = await self._keys.state(name)
            if tenant.metadata.deletion_timestamp is not None:
                return KeyView(state=state, upsert_disabled=await self._keys.upsert_disabled())
            below = 0
            if state is not None and state.min_available_version < state.latest_version > 1:
                below = destroyed_by(await self.reader.all(DataSubjectRequest, name))
            return KeyView(state=state, destroyed_below=below)
        except OperatorError as error:
            return KeyView(problem=error)

    async def _gateway(self, tenant: Tenant, view: ServeView | None) -> GatewayView:
        if view is None:
            return GatewayView(seen=False)
        app = view.apps.get(names.gateway_app(tenant.name))
        seen = GatewayView(
            app, problem=view.problem, drained=view.drained(tenant), arrived=view.arrived, refusal=view.refusal
        )
        if view.problem is not None or app is None or not app.running:
            return seen
        try:
            return dataclasses.replace(seen, status=await self._gateways.status(tenant.name), drained=False)
        except OperatorError as error:
            return dataclasses.replace(seen, problem=error, drained=False)
