"""Reads what an erasure's next step depends on: its tenant, the tenant's key, the tenant's other erasures."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime

from imagint_operator import names
from imagint_operator.api.requests import DataSubjectRequest, RequestType, StepName, StepState
from imagint_operator.api.tenants import Tenant
from imagint_operator.conditions import find, holds
from imagint_operator.keyrings import KeyRing
from imagint_operator.kube.client import KubeClient
from imagint_operator.kube.resources import DATA_SUBJECT_REQUESTS, TENANTS
from imagint_privacy.keys.ports import KeyState

COMPLETE = "Complete"


@dataclass(frozen=True, slots=True, order=True)
class Turn:
    """Where an erasure stands in its tenant's line: the smallest goes first."""

    behind: bool
    received_at: datetime
    name: str


@dataclass(frozen=True, slots=True)
class Observed:
    """Everything that the plan is made from, beside the request itself."""

    tenant: Tenant | None = None
    key: KeyState | None = None
    upsert_disabled: bool = False
    others: tuple[Turn, ...] = ()
    busy: str = ""


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


def received_at(request: DataSubjectRequest) -> datetime:
    """When the clock began to run."""
    return request.spec.received_at or request.metadata.creation_timestamp or datetime.now(UTC)


def turn(request: DataSubjectRequest) -> Turn:
    """An erasure whose key was rotated and not yet trimmed goes before all others; then the oldest."""
    return Turn(not between_rotate_and_trim(request), received_at(request), request.name)


def between_rotate_and_trim(request: DataSubjectRequest) -> bool:
    """Whether the tenant's key is, or may be, rotated for this erasure and not yet trimmed."""
    return request.status.key_versions is not None and not _done(request, StepName.TRIM)


def in_line(request: DataSubjectRequest) -> bool:
    """Whether this erasure still wants the tenant to itself. One whose probe failed after the trim lets others by."""
    if request.spec.type is not RequestType.ERASE or request.metadata.deletion_timestamp is not None:
        return False
    if holds(request.status.conditions, COMPLETE):
        return False
    found = find(request.status.conditions, COMPLETE)
    stuck = found is not None and found.reason in {"ProbeFailed", "EvidenceRefused", "DataPlaneRefused"}
    return between_rotate_and_trim(request) or not stuck


def _done(request: DataSubjectRequest, name: StepName) -> bool:
    return any(step.name is name and step.state is StepState.DONE for step in request.status.steps)
