"""Reads what a request's next step depends on: its tenant, the key, the other erasures, the holds. Changes nothing."""

from __future__ import annotations

import asyncio
import dataclasses
from datetime import datetime

from imagint_operator import names
from imagint_operator.api.holds import LegalHold
from imagint_operator.api.requests import DataSubjectRequest, RequestType
from imagint_operator.api.tenants import Tenant
from imagint_operator.keyrings import KeyRing
from imagint_operator.kube.client import KubeClient
from imagint_operator.kube.resources import DATA_SUBJECT_REQUESTS, LEGAL_HOLDS, TENANTS
from imagint_operator.legalholds import against
from imagint_operator.requests.observations import Observed, turn
from imagint_operator.turns import in_line


async def observe(client: KubeClient, keys: KeyRing, request: DataSubjectRequest, busy: str, now: datetime) -> Observed:
    """Look at what a request of this type depends on.

    Raises:
        VaultUnavailableError: Vault does not answer.
    """
    tenant = names.tenant_of(request.metadata.namespace or "")
    if not tenant:
        return Observed()
    if request.spec.type is not RequestType.ERASE:
        return await _limited(client, tenant, request)
    found, *more = await asyncio.gather(client.get(TENANTS, tenant), _line(client, keys, request, busy, now))
    return dataclasses.replace(more[0], tenant=Tenant.model_validate(found) if found else None)


async def standing(client: KubeClient, request: DataSubjectRequest, now: datetime) -> tuple[str, ...]:
    """The names of the legal holds that stand against an erasure, read now."""
    found = await client.list_all(LEGAL_HOLDS, request.metadata.namespace or "")
    categories = {category.value for category in request.spec.scope.categories}
    return against([LegalHold.model_validate(item) for item in found], request.spec.subject, categories, now)


async def _limited(client: KubeClient, tenant: str, request: DataSubjectRequest) -> Observed:
    found = await client.get(TENANTS, tenant)
    lift = request.spec.lift
    named = await client.get(DATA_SUBJECT_REQUESTS, lift.request, request.metadata.namespace) if lift else None
    return Observed(
        tenant=Tenant.model_validate(found) if found else None,
        lifted=DataSubjectRequest.model_validate(named) if named else None,
    )


async def _line(client: KubeClient, keys: KeyRing, request: DataSubjectRequest, busy: str, now: datetime) -> Observed:
    namespace = request.metadata.namespace or ""
    holds, state, disabled, siblings = await asyncio.gather(
        standing(client, request, now),
        keys.state(namespace),
        keys.upsert_disabled(),
        client.list_all(DATA_SUBJECT_REQUESTS, namespace),
    )
    parsed = [DataSubjectRequest.model_validate(item) for item in siblings]
    others = tuple(turn(other) for other in parsed if other.metadata.uid != request.metadata.uid and in_line(other))
    return Observed(key=state, upsert_disabled=disabled, others=others, busy=busy, holds=holds)
