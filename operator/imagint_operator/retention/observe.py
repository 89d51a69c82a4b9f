"""Reads what a run's next step depends on: the tenant's key and its erasures. Changes nothing."""

from __future__ import annotations

import asyncio

from imagint_operator import names
from imagint_operator.api.requests import DataSubjectRequest
from imagint_operator.api.tenants import Tenant
from imagint_operator.keyrings import KeyRing
from imagint_operator.kube.client import KubeClient
from imagint_operator.kube.resources import DATA_SUBJECT_REQUESTS
from imagint_operator.retention.observations import Observed
from imagint_operator.turns import before_retention


async def observe(client: KubeClient, keys: KeyRing, tenant: Tenant, busy: str) -> Observed:
    """Look at the tenant's key and its erasures.

    Raises:
        VaultUnavailableError: Vault does not answer.
    """
    namespace = names.namespace_of(tenant.name)
    state, found = await asyncio.gather(keys.state(namespace), client.list_all(DATA_SUBJECT_REQUESTS, namespace))
    requests = [DataSubjectRequest.model_validate(item) for item in found]
    return Observed(state, tuple(sorted(request.name for request in requests if before_retention(request))), busy)
