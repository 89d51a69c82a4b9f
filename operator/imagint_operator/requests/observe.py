"""Reads what an erasure's next step depends on: its tenant, the tenant's key, the tenant's other erasures."""

from __future__ import annotations

import asyncio

from imagint_operator import names
from imagint_operator.api.requests import DataSubjectRequest
from imagint_operator.api.tenants import Tenant
from imagint_operator.keyrings import KeyRing
from imagint_operator.kube.readers import Reader
from imagint_operator.requests.observations import Observed, turn
from imagint_operator.turns import in_line


async def observe(reader: Reader, keys: KeyRing, request: DataSubjectRequest, busy: str) -> Observed:
    """Look at the tenant, its key and its line of erasures.

    Raises:
        VaultUnavailableError: Vault does not answer.
    """
    namespace = request.metadata.namespace or ""
    tenant = names.tenant_of(namespace)
    if not tenant:
        return Observed()
    found, state, disabled, siblings = await asyncio.gather(
        reader.one(Tenant, tenant),
        keys.state(namespace),
        keys.upsert_disabled(),
        reader.all(DataSubjectRequest, namespace),
    )
    others = tuple(turn(other) for other in siblings if other.metadata.uid != request.metadata.uid and in_line(other))
    return Observed(found, state, disabled, others, busy)
