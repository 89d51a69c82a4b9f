"""Reads what a tenant consists of now. Changes nothing."""

from __future__ import annotations

import asyncio
import dataclasses

from imagint_operator import names
from imagint_operator.api.requests import DataSubjectRequest
from imagint_operator.api.tenants import Tenant
from imagint_operator.dataplane.gateways import Gateways
from imagint_operator.errors import OperatorError
from imagint_operator.keyrings import KeyRing
from imagint_operator.kube.client import KubeClient
from imagint_operator.kube.resources import DATA_SUBJECT_REQUESTS, NAMESPACES
from imagint_operator.serve.views import ServeView
from imagint_operator.tenants import walls
from imagint_operator.tenants.observations import GatewayView, KeyView, Observed, destroyed_by


class Observer:
    """Gathers, in parallel, what the plan needs."""

    def __init__(self, client: KubeClient, keys: KeyRing, gateways: Gateways) -> None:
        self._client = client
        self._keys = keys
        self._gateways = gateways

    async def observe(self, tenant: Tenant, view: ServeView | None) -> Observed:
        """Look at the namespace, its contents, the key and the Gateway."""
        name = names.namespace_of(tenant.name)
        wanted = list(walls.contents(tenant))
        contents = asyncio.gather(
            *(self._client.get(walls.resource_of(item), item.name, item.namespace) for item in wanted)
        )
        namespace, key, gateway, found = await asyncio.gather(
            self._client.get(NAMESPACES, name), self._key(name), self._gateway(tenant, view), contents
        )
        return Observed(namespace, dict(zip(wanted, found, strict=True)), key, gateway)

    async def _key(self, name: str) -> KeyView:
        """Look at the key; what its erasures recorded is asked only where a version is there that may be too old."""
        try:
            state = await self._keys.state(name)
            below = 0
            if state is not None and state.min_available_version < state.latest_version > 1:
                requests = await self._client.list_all(DATA_SUBJECT_REQUESTS, name)
                below = destroyed_by([DataSubjectRequest.model_validate(request) for request in requests])
            return KeyView(state=state, destroyed_below=below)
        except OperatorError as error:
            return KeyView(problem=error)

    async def _gateway(self, tenant: Tenant, view: ServeView | None) -> GatewayView:
        if view is None:
            return GatewayView()
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
