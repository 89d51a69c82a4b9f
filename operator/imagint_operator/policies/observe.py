"""Reads what a policy's plan depends on: its editions' ConfigMaps and the tenants that use it. Changes nothing."""

from __future__ import annotations

import asyncio
from datetime import datetime

from imagint_operator import names
from imagint_operator.api.policies import PrivacyPolicy
from imagint_operator.api.tenants import Tenant
from imagint_operator.kube.client import KubeClient
from imagint_operator.kube.readers import Reader
from imagint_operator.kube.resources import CONFIG_MAPS
from imagint_operator.policies.observations import Observed
from imagint_operator.policies.plan import wanted


async def observe(client: KubeClient, reader: Reader, policy: PrivacyPolicy, now: datetime) -> Observed:
    """Look at the editions that matter now and at who uses the policy."""
    looked_for = wanted(policy, now)
    found, tenants = await asyncio.gather(
        asyncio.gather(*(client.get(CONFIG_MAPS, name, names.PLATFORM_NAMESPACE) for name in looked_for)),
        reader.all(Tenant),
    )
    references = ((tenant.name, tenant.spec.policy_ref) for tenant in tenants)
    users = sorted(name for name, reference in references if reference is not None and reference.name == policy.name)
    return Observed(dict(zip(looked_for, found, strict=True)), tuple(users))
