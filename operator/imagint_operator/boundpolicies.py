"""Reads the policy that a tenant refers to. Changes nothing."""

from __future__ import annotations

from imagint_operator.api.policies import PrivacyPolicy
from imagint_operator.api.tenants import Tenant
from imagint_operator.kube.client import KubeClient
from imagint_operator.kube.resources import PRIVACY_POLICIES


async def policy_of(client: KubeClient, tenant: Tenant) -> PrivacyPolicy | None:
    """The policy that a tenant refers to, if there is one."""
    if tenant.spec.policy_ref is None:
        return None
    found = await client.get(PRIVACY_POLICIES, tenant.spec.policy_ref.name)
    return PrivacyPolicy.model_validate(found) if found else None
