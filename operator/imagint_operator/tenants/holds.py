"""Pure: which legal holds stand against the end of a whole tenant. The hook that the observer is given reads them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

Holds = Callable[[str], Awaitable[tuple[str, ...]]]


async def no_holds(_namespace: str) -> tuple[str, ...]:
    """For a cluster without legal holds."""
    return ()


def standing(holds: Iterable[Mapping[str, Any]], now: datetime) -> tuple[str, ...]:
    """The names of the holds that stand now, whomever they are about: shredding a tenant would destroy their data too.

    A hold that is being deleted is lifted. One without an end, or with an end that cannot be read, stands.
    """
    return tuple(sorted(hold["metadata"]["name"] for hold in holds if _stands(hold, now)))


def _stands(hold: Mapping[str, Any], now: datetime) -> bool:
    if hold["metadata"].get("deletionTimestamp"):
        return False
    try:
        until = datetime.fromisoformat(hold.get("spec", {})["until"])
        return until.tzinfo is None or until > now
    except (KeyError, TypeError, ValueError):
        return True
