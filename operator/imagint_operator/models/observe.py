"""Reads what there is of a model: its tenant, its application, its tenant's Gateway. Changes nothing."""

from __future__ import annotations

from imagint_operator import names
from imagint_operator.api.models import ModelDeployment
from imagint_operator.api.tenants import Tenant
from imagint_operator.kube.readers import Reader
from imagint_operator.models.observations import Observed
from imagint_operator.serve.views import ServeView


async def observe(reader: Reader, model: ModelDeployment, view: ServeView | None) -> Observed:
    """Look at the tenant, and at what Serve's writer last saw."""
    name = names.tenant_of(model.metadata.namespace or "")
    tenant = await reader.one(Tenant, name) if name else None
    if view is None or tenant is None:
        return Observed(tenant=tenant)
    app = view.apps.get(names.generator_app(tenant.name, model.name))
    gateway = view.apps.get(names.gateway_app(tenant.name))
    return Observed(tenant, app, gateway, view.problem)
