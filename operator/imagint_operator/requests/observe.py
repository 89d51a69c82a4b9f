"""Reads what an erasure's next step depends on: its tenant, the tenant's key, the tenant's other erasures."""

from __future__ import annotations

import asyncio

from imagint_operator import names
from imagint_operator.api.requests import DataSubjectRequest
from imagint_operator.api.tenants import Tenant
from imagint_operator.keyrings import KeyRing
from imagint_operator.kube.client import KubeClient
from imagint_operator.kube.resources import DATA_SUBJECT_REQUESTS, TENANTS
from imagint_operator.requests.observations import Observed, turn
from imagint_operator.turns import in_line


async def observe(client: KubeClient, keys: KeyRing, request: DataSubjectRequest, busy: str) -> Observed:
    """Look at the tenant, its key and its line of erasures.

    Raises:
        VaultUnavailableError: Vault does not answer.
    """
    namespace = request.metadata.namespace or ""
    tenant = names.tenant_of(namespace)
    if not tenant:
        return Observed()
    found, state, disabled, siblings = await asyncio.gather(
        client.get(TENANTS, tenant),
        keys.state(namespace),
        keys.upsert_disabled(),
        client.list_all(DATA_SUBJECT_REQUESTS, namespace),
    )
    parsed = [DataSubjectRequest.model_validate(item) for item in siblings]
    others = tuple(turn(other) for other in parsed if other.metadata.uid != request.metadata.uid and in_line(other))
    return Observed(Tenant.model_validate(found) if found else None, state, disabled, others, busy)
