"""Deciding what the projector does next: observed state in, actions out.

Pure: no I/O and no clock of its own.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from imagint_serving.projector.observations import Holding, TenantView

MAX_BACKOFF_SECONDS = 8.0
FIRST_BACKOFF_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class Mint:
    """Mint a token for this tenant and hand it over."""

    tenant: TenantView


@dataclass(frozen=True, slots=True)
class Check:
    """Read this tenant's API keys, hand their digests over, and see whether its account is still the same."""

    tenant: TenantView


@dataclass(frozen=True, slots=True)
class Remove:
    """Remove what was handed over to a tenant that is gone."""

    tenant: str


Action = Mint | Check | Remove


def plan(
    tenants: Iterable[TenantView],
    namespaces: Collection[str],
    folders: Mapping[str, Holding],
    now: float,
    budget: int,
) -> list[Action]:
    """Return at most `budget` actions: what changed first, then routine checks, the oldest first."""
    present = {t.name: t for t in tenants if t.namespace in namespaces}
    actions: list[Action] = [Remove(name) for name in sorted(folders.keys() - present.keys())]
    routine: list[tuple[float, str]] = []
    for name, tenant in sorted(present.items()):
        holding = folders.get(name, Holding())
        if now < holding.retry_at:
            continue
        if now >= holding.renew_at:
            actions.append(Mint(tenant))
        if holding.keys != tenant.api_keys:
            actions.append(Check(tenant))
        else:
            routine.append((holding.checked_at, name))
    actions += [Check(present[name]) for _, name in sorted(routine)]
    return actions[:budget]


def renew_at(minted_at: float, expires_at: float) -> float:
    """Return when half of a token's life is over."""
    return minted_at + (expires_at - minted_at) / 2


def backoff(failures: int) -> float:
    """Return how long to wait after that many failures in a row: doubling, and bounded."""
    return min(MAX_BACKOFF_SECONDS, FIRST_BACKOFF_SECONDS * 2.0 ** min(failures - 1, 16)) if failures else 0.0
