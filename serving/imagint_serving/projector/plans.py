"""Deciding what the projector does next: observed state in, actions out.

Pure: no I/O and no clock of its own.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from imagint_serving.projector.observations import Attempts, Holding, TenantView

CHECK_SECONDS = 0.75
MAX_BACKOFF_SECONDS = 8.0
FIRST_BACKOFF_SECONDS = 0.25
NOT_YET_SECONDS = 0.5


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
        if holding.filed and not tenant.shared:
            actions.append(Remove(name))  # it moved to a cluster of its own, where kubelet keeps its token
        if tenant.shared and now >= max(holding.renew_at, holding.minting.retry_at):
            actions.append(Mint(tenant))
        if now < holding.checking.retry_at:
            continue
        if holding.keys != tenant.api_keys:
            actions.append(Check(tenant))
        elif now >= holding.checked_at + CHECK_SECONDS:
            routine.append((holding.checked_at, name))
    actions += [Check(present[name]) for _, name in sorted(routine)]
    return actions[:budget]


def renew_at(minted_at: float, expires_at: float) -> float:
    """Return when half of a token's life is over."""
    return minted_at + (expires_at - minted_at) / 2


def backoff(failures: int, bound: float = MAX_BACKOFF_SECONDS) -> float:
    """Return how long to wait after that many failures in a row: doubling, and bounded."""
    return min(bound, FIRST_BACKOFF_SECONDS * 2.0 ** min(failures - 1, 16)) if failures else 0.0


def failed(attempts: Attempts, now: float, *, not_yet: bool) -> Attempts:
    """Return the attempts after one more failure; what merely is not there yet is soon tried again."""
    failures = attempts.failures + 1
    bound = NOT_YET_SECONDS if not_yet else MAX_BACKOFF_SECONDS
    return Attempts(failures, now + backoff(failures, bound))
