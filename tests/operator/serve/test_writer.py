"""How new a look of Serve's writer is: what an old one says nothing about, and what one at rest still renews."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from imagint_operator.api.base import Kind
from imagint_operator.api.models import ModelDeployment
from imagint_operator.api.tenants import Tenant
from imagint_operator.kube.caches import Caches
from imagint_operator.kube.client import KubeClient
from imagint_operator.kube.connections import Connection
from imagint_operator.kube.readers import CachedReader
from imagint_operator.kube.resources import BY_KIND, ObjectKey
from imagint_operator.serve.applications import Application
from imagint_operator.serve.ports import AppStatus, Deployed
from imagint_operator.serve.views import SERVE
from imagint_operator.serve.writer import ServeWriter
from imagint_operator.settings import Settings

MakeTenant = Callable[..., Tenant]


class Serve:
    """A Serve that runs at once what it is told."""

    def __init__(self) -> None:
        self.apps: Mapping[str, Deployed] = {}
        self.puts = 0

    async def observe(self) -> Mapping[str, Deployed]:
        """See the port."""
        return self.apps

    async def replace(self, applications: Sequence[Application]) -> None:
        """See the port."""
        self.puts += 1
        self.apps = {app.name: Deployed(app.name, AppStatus.RUNNING, app.config) for app in applications}


def complete(*kinds: str) -> Caches:
    """Caches that hold nothing yet and say that this is all there is."""
    models: dict[str, type[Kind]] = {"Tenant": Tenant, "ModelDeployment": ModelDeployment}
    caches = Caches({BY_KIND[kind]: models[kind] for kind in kinds}, ())
    for store in caches.own.values():
        store.complete = True
    return caches


def test_a_look_at_rest_is_a_new_look(make_tenant: MakeTenant, settings: Settings, now: datetime) -> None:
    """Else a tenant with a cluster of its own would never count as drained: it left the shared one long ago."""
    caches, serve, moments = complete("Tenant", "ModelDeployment"), Serve(), iter(range(100))
    told: list[ObjectKey] = []
    elsewhere = make_tenant(spec={"compute": "Dedicated"}, status={"key": {"name": "tenant-acme", "version": 1}})
    caches.own["Tenant"].put(elsewhere.to_wire())

    async def look() -> list[datetime | None]:
        async with KubeClient(Connection("http://127.0.0.1:9", None, None, "")) as client:
            writer = ServeWriter(
                CachedReader(client, caches),
                serve,
                settings,
                clock=lambda: now + timedelta(seconds=next(moments)),
                notify=told.append,
            )
            seen = []
            for _ in range(4):
                await writer.reconcile(SERVE)
                assert writer.view is not None
                assert writer.view.drained(elsewhere)
                seen.append(writer.view.seen_at)
            return seen

    seen = asyncio.run(look())
    assert len(set(seen)) == len(seen)
    assert len(told) == 1  # at the first look, and never again
    assert serve.puts == 0
