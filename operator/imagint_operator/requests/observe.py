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
from imagint_operator.kube.readers import Reader
from imagint_operator.legalholds import against
from imagint_operator.requests.observations import Observed, turn
from imagint_operator.turns import in_line


async def observe(reader: Reader, keys: KeyRing, request: DataSubjectRequest, busy: str, now: datetime) -> Observed:
    """Look at what a request of this type depends on.

    Raises:
        VaultUnavailableError: Vault does not answer.
    """
    tenant = names.tenant_of(request.metadata.namespace or "")
    if not tenant:
        return Observed()
    if request.spec.type is not RequestType.ERASE:
        return await _limited(reader, tenant, request)
    found, line = await asyncio.gather(reader.one(Tenant, tenant), _line(reader, keys, request, busy, now))
    return dataclasses.replace(line, tenant=found)


async def standing(reader: Reader, request: DataSubjectRequest, now: datetime) -> tuple[str, ...]:
    """The names of the legal holds that stand against an erasure."""
    categories = {category.value for category in request.spec.scope.categories}
    holds = await reader.all(LegalHold, request.metadata.namespace or "")
    return against(holds, request.spec.subject, categories, now)


async def _limited(reader: Reader, tenant: str, request: DataSubjectRequest) -> Observed:
    lift = request.spec.lift
    named = await reader.one(DataSubjectRequest, lift.request, request.metadata.namespace) if lift else None
    return Observed(tenant=await reader.one(Tenant, tenant), lifted=named)


async def _line(reader: Reader, keys: KeyRing, request: DataSubjectRequest, busy: str, now: datetime) -> Observed:
    namespace = request.metadata.namespace or ""
    holds, state, disabled, siblings = await asyncio.gather(
        standing(reader, request, now),
        keys.state(namespace),
        keys.upsert_disabled(),
        reader.all(DataSubjectRequest, namespace),
    )
    others = tuple(turn(other) for other in siblings if other.metadata.uid != request.metadata.uid and in_line(other))
    return Observed(key=state, upsert_disabled=disabled, others=others, busy=busy, holds=holds)
