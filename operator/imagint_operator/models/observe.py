"""Reads what there is of a model: its tenant, its revisions' applications, its tenant's Gateway. Changes nothing."""

from __future__ import annotations

from imagint_operator import names
from imagint_operator.api.models import ModelDeployment
from imagint_operator.api.tenants import Tenant
from imagint_operator.kube.client import KubeClient
from imagint_operator.kube.resources import TENANTS
from imagint_operator.models.observations import Observed
from imagint_operator.serve.views import ServeView


async def observe(client: KubeClient, model: ModelDeployment, view: ServeView | None) -> Observed:
    """Look at the tenant, and at what Serve's writer last saw."""
    name = names.tenant_of(model.metadata.namespace or "")
    found = await client.get(TENANTS, name) if name else None
    tenant = Tenant.model_validate(found) if found else None
    if view is None or tenant is None:
        return Observed(tenant=tenant)
    prefix = names.generator_app(tenant.name, model.name, "")
    apps = {app.removeprefix(prefix): state for app, state in view.apps.items() if app.startswith(prefix)}
    return Observed(tenant, apps, view.apps.get(names.gateway_app(tenant.name)), view.problem)
