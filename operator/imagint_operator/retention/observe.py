"""Reads what a run's next step depends on: the tenant's key, its erasures, its legal holds. Changes nothing."""

from __future__ import annotations

import asyncio
import dataclasses
from datetime import datetime

from imagint_operator import names
from imagint_operator.api.holds import LegalHold
from imagint_operator.api.requests import DataSubjectRequest
from imagint_operator.api.tenants import Tenant
from imagint_operator.keyrings import KeyRing
from imagint_operator.kube.client import KubeClient
from imagint_operator.kube.resources import DATA_SUBJECT_REQUESTS, LEGAL_HOLDS
from imagint_operator.legalholds import held_subjects, over_tenant
from imagint_operator.retention.observations import Observed
from imagint_operator.turns import before_retention


async def observe(client: KubeClient, keys: KeyRing, tenant: Tenant, busy: str, now: datetime) -> Observed:
    """Look at the tenant's key and its erasures.

    Raises:
        VaultUnavailableError: Vault does not answer.
    """
    namespace = names.namespace_of(tenant.name)
    state, found, held = await asyncio.gather(
        keys.state(namespace), client.list_all(DATA_SUBJECT_REQUESTS, namespace), standing(client, tenant, now)
    )
    requests = [DataSubjectRequest.model_validate(item) for item in found]
    first = tuple(sorted(request.name for request in requests if before_retention(request)))
    return dataclasses.replace(held, key=state, erasures=first, busy=busy)


async def standing(client: KubeClient, tenant: Tenant, now: datetime) -> Observed:
    """What legal holds forbid a run to forget, read now."""
    found = await client.list_all(LEGAL_HOLDS, names.namespace_of(tenant.name))
    holds = [LegalHold.model_validate(item) for item in found]
    categories = {rule.category.value for rule in tenant.spec.retention}
    return Observed(holds=over_tenant(holds, categories, now), excepted=held_subjects(holds, categories, now))
