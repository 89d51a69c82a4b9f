"""Reads what a run's next step depends on: the tenant's key, its erasures, its legal holds. Changes nothing."""

from __future__ import annotations

import asyncio
import dataclasses
from datetime import datetime

from imagint_operator import names
from imagint_operator.api.holds import LegalHold
from imagint_operator.api.requests import DataSubjectRequest
from imagint_operator.api.retention import RetentionRules
from imagint_operator.api.tenants import Tenant
from imagint_operator.keyrings import KeyRing
from imagint_operator.kube.readers import Reader
from imagint_operator.legalholds import held_subjects, over_tenant
from imagint_operator.retention.observations import Observed
from imagint_operator.turns import before_retention


async def observe(reader: Reader, keys: KeyRing, tenant: Tenant, busy: str, now: datetime) -> Observed:
    """Look at the tenant's key and its erasures.

    Raises:
        VaultUnavailableError: Vault does not answer.
    """
    namespace = names.namespace_of(tenant.name)
    state, requests, held = await asyncio.gather(
        keys.state(namespace), reader.all(DataSubjectRequest, namespace), standing(reader, tenant, now)
    )
    first = tuple(sorted(request.name for request in requests if before_retention(request)))
    return dataclasses.replace(held, key=state, erasures=first, busy=busy)


async def standing(reader: Reader, tenant: Tenant, now: datetime, rules: RetentionRules | None = None) -> Observed:
    """What legal holds forbid a run to forget; `rules` are those it was begun with, if the tenant's may differ."""
    holds = await reader.all(LegalHold, names.namespace_of(tenant.name))
    categories = {rule.category.value for rule in (tenant.spec.retention if rules is None else rules)}
    return Observed(holds=over_tenant(holds, categories, now), excepted=held_subjects(holds, categories, now))
