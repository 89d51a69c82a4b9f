"""Reads the policy that a tenant refers to. Changes nothing."""

from __future__ import annotations

from imagint_operator.api.policies import PrivacyPolicy
from imagint_operator.api.tenants import Tenant
from imagint_operator.kube.readers import Reader


async def policy_of(reader: Reader, tenant: Tenant) -> PrivacyPolicy | None:
    """The policy that a tenant refers to, if there is one."""
    if tenant.spec.policy_ref is None:
        return None
    return await reader.one(PrivacyPolicy, tenant.spec.policy_ref.name)
