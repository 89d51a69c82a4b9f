"""Reads what there is of a model: its tenant, its revisions' applications, its tenant's Gateway. Changes nothing."""

from __future__ import annotations

from collections.abc import Callable

from imagint_operator import names
from imagint_operator.api.models import ModelDeployment
from imagint_operator.api.tenants import Tenant
from imagint_operator.kube.readers import Reader
from imagint_operator.models.observations import Observed
from imagint_operator.serve.views import ServeView


async def observe(reader: Reader, model: ModelDeployment, look: Callable[[Tenant], ServeView | None]) -> Observed:
    """Look at the tenant, and at what Serve's writer last saw."""
    name = names.tenant_of(model.metadata.namespace or "")
    tenant = await reader.one(Tenant, name) if name else None
    view = look(tenant) if tenant else None
    if view is None or tenant is None:
        return Observed(tenant=tenant, seen=tenant is None)
    prefix = names.generator_app(tenant.name, model.name, "")
    apps = {app.removeprefix(prefix): state for app, state in view.apps.items() if app.startswith(prefix)}
    gateway = view.apps.get(names.gateway_app(tenant.name))
    return Observed(tenant, apps, gateway, view.problem, None if apps else view.refusal)
