"""Reads what a run's next step depends on: the tenant's key and its erasures. Changes nothing."""

from __future__ import annotations

import asyncio

from imagint_operator import names
from imagint_operator.api.requests import DataSubjectRequest
from imagint_operator.api.tenants import Tenant
from imagint_operator.keyrings import KeyRing
from imagint_operator.kube.readers import Reader
from imagint_operator.retention.observations import Observed
from imagint_operator.turns import before_retention


async def observe(reader: Reader, keys: KeyRing, tenant: Tenant, busy: str) -> Observed:
    """Look at the tenant's key and its erasures.

    Raises:
        VaultUnavailableError: Vault does not answer.
    """
    namespace = names.namespace_of(tenant.name)
    state, requests = await asyncio.gather(keys.state(namespace), reader.all(DataSubjectRequest, namespace))
    return Observed(state, tuple(sorted(request.name for request in requests if before_retention(request))), busy)
