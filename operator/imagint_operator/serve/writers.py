"""The writers of all Ray clusters: one for the cluster that tenants share, and one for every tenant with its own.

Each owns the full set of its cluster's applications. Others ask for a tenant's `view` and `address` and need not know
how many clusters there are. The writer of a tenant that has left goes once nothing of it is there any more.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable

from imagint_operator import names
from imagint_operator.api.tenants import Compute, Tenant
from imagint_operator.errors import OperatorError, ServeUnavailableError
from imagint_operator.fences import Fence
from imagint_operator.kube.client import KubeClient
from imagint_operator.kube.readers import Reader
from imagint_operator.kube.resources import RAY_SERVICES, ObjectKey
from imagint_operator.serve import places
from imagint_operator.serve.applications import Application
from imagint_operator.serve.kuberay import KubeRayServe
from imagint_operator.serve.rayservices import Place
from imagint_operator.serve.rendering import Rendered
from imagint_operator.serve.rest import RestServe
from imagint_operator.serve.views import SERVE, ServeView
from imagint_operator.serve.writer import ServeWriter
from imagint_operator.settings import Ray, Settings
from imagint_operator.telemetry.calls import Calls
from imagint_operator.times import Clock

Notify = Callable[[ObjectKey], None]
_Signature = tuple[object, ...]


def serve_port(
    client: KubeClient, settings: Settings, fence: Fence | None = None, calls: Calls | None = None
) -> RestServe | KubeRayServe:
    """The adapter of the cluster that tenants share, as the settings say."""
    if settings.ray is Ray.KUBERAY:
        return KubeRayServe(client, Place(names.PLATFORM_NAMESPACE), settings)
    return RestServe(settings.ray_dashboard, settings.ray_token_file, settings.serve_url, fence=fence, calls=calls)


def serve_key(tenant: str) -> ObjectKey:
    """The key of a tenant's own cluster in the work queue; SERVE is the shared one's."""
    return ObjectKey(SERVE.kind, names.namespace_of(tenant), SERVE.name)


class ServeWriters:
    """Keeps every cluster's applications equal to what the custom resources ask for."""

    def __init__(
        self,
        client: KubeClient,
        reader: Reader,
        shared: RestServe | KubeRayServe,
        settings: Settings,
        *,
        clock: Clock,
        notify: Notify,
    ) -> None:
        self._client = client
        self._reader = reader
        self._settings = settings
        self._clock = clock
        self._notify = notify
        self._rendered = Rendered(settings)
        self._shared = ServeWriter(reader, shared, settings, clock=clock, notify=notify)
        self._own: dict[str, ServeWriter] = {}
        self._homes: dict[str, Compute] = {}
        self._told: dict[str, _Signature] = {}
        self._searched = settings.ray_image is None

    async def reconcile(self, key: ObjectKey) -> float | None:
        """Look at one cluster; answers after how many seconds to look again, if at all."""
        if key.namespace:
            return await self._reconcile_own(names.tenant_of(key.namespace), key)
        try:
            return await self._shared.reconcile(key)
        finally:  # a shared cluster that is down keeps nobody else waiting
            await self._look_for_own()

    def pause(self) -> float:
        """How long to let changes of the shared cluster gather before it is looked at again."""
        return self._shared.pause

    def view(self, tenant: Tenant) -> ServeView | None:
        """What the writers last saw of a tenant: at its home, and whether it has arrived at its new place."""
        refusal = places.refusal(tenant, self._settings)
        own, home = self._own.get(tenant.name), places.home(tenant)
        if own is None and home is Compute.SHARED:
            shared = self._shared.view
            return dataclasses.replace(shared, refusal=refusal) if shared and refusal else shared
        views = {Compute.SHARED: self._shared.view, Compute.DEDICATED: own.view if own else None}
        here = views[home]
        if own is None and refusal is not None and self._shared.view is not None:
            shared = self._shared.view
            here = ServeView(leaving=shared.leaving, problem=_unreachable(tenant), seen_at=shared.seen_at)
        seen = [view for view in views.values() if view is not None]
        if here is None or (own is not None and len(seen) < len(views)):
            return None  # one of them was not looked at yet
        there = views[tenant.spec.compute]
        if there is not None and there.problem is not None and there is not here and refusal is None:
            refusal = places.Refusal(there.problem.reason, f"the new place is not ready: {there.problem}")
        gateway = there.apps.get(names.gateway_app(tenant.name)) if there else None
        return dataclasses.replace(
            here,
            present=frozenset().union(*(view.present for view in seen)),
            leaving={uid: name for uid, name in here.leaving.items() if all(uid in view.leaving for view in seen)},
            problem=here.problem or next((view.problem for view in seen if _leaves(tenant) and view.problem), None),
            arrived=refusal is None and tenant.spec.compute is not home and gateway is not None and gateway.running,
            refusal=refusal,
            seen_at=min((view.seen_at for view in seen if view.seen_at is not None), default=None),
        )

    def address(self, tenant: str) -> str:
        """Where the Serve that holds the tenant's Gateway is reached."""
        return places.address(tenant, self._homes.get(tenant, Compute.SHARED), self._settings)

    async def _reconcile_own(self, tenant: str, key: ObjectKey) -> float | None:
        writer = self._writer(tenant)
        again = await writer.reconcile(key)
        view = writer.view
        needed = any(Compute.DEDICATED in (places.home(found), found.spec.compute) for found in writer.tenants)
        if view is not None and not view.apps and not view.present and not needed:
            self._own.pop(tenant, None)
            self._told.pop(tenant, None)
            return None
        return again

    def _writer(self, tenant: str) -> ServeWriter:
        if tenant not in self._own:
            port = KubeRayServe(self._client, Place(names.namespace_of(tenant), tenant), self._settings)
            self._own[tenant] = ServeWriter(
                self._reader, port, self._settings, clock=self._clock, notify=self._notify, tenant=tenant
            )
        return self._own[tenant]

    async def _look_for_own(self) -> None:
        """Wake the writers of those clusters that have something new to be told, or that were never looked at."""
        self._homes = {tenant.name: places.home(tenant) for tenant in self._shared.tenants}
        if self._settings.ray_image is None:
            return
        dedicated = {tenant.name: tenant for tenant in self._shared.tenants if self._concerns(tenant)}
        theirs: dict[str, list[Application]] = {}
        for app in self._rendered.of(dedicated.values(), self._shared.models).values():
            theirs.setdefault(app.name.partition(".")[0], []).append(app)
        for tenant in dedicated.values():
            signature = self._signature(tenant, theirs.get(tenant.name, ()))
            if self._told.get(tenant.name) != signature:
                self._told[tenant.name] = signature
                self._notify(serve_key(tenant.name))
        for name in self._own.keys() - dedicated.keys():
            self._notify(serve_key(name))
        await self._search()

    def _concerns(self, tenant: Tenant) -> bool:
        return Compute.DEDICATED in (places.home(tenant), tenant.spec.compute) or tenant.name in self._own

    def _signature(self, tenant: Tenant, apps: Iterable[Application]) -> _Signature:
        wanted = places.places(tenant, self._settings)
        told = tuple((app.name, app.digest, app.generation) for app in apps)
        return (tenant.metadata.uid, tuple(sorted(wanted)), told)

    async def _search(self) -> None:
        """Once: clusters that an operator before this one made and was stopped before it could remove."""
        if self._searched:
            return
        try:
            found = await self._client.list_all(RAY_SERVICES)
        except OperatorError:  # not installed or not reachable: whoever needs one says so
            return
        self._searched = True
        for item in found:
            labels, namespace = item["metadata"].get("labels") or {}, item["metadata"]["namespace"]
            tenant = names.tenant_of(namespace)
            if tenant and item["metadata"]["name"] == names.RAY_SERVICE and names.is_managed(labels, tenant):
                self._writer(tenant)
                self._notify(serve_key(tenant))


def _unreachable(tenant: Tenant) -> OperatorError | None:
    """What is served by KubeRay cannot be seen to be gone by an operator that is not told of KubeRay."""
    if tenant.status.compute is not Compute.DEDICATED:
        return None
    return ServeUnavailableError("the tenant is served by KubeRay, and the operator is no longer told of a Ray image")


def _leaves(tenant: Tenant) -> bool:
    return tenant.metadata.deletion_timestamp is not None
