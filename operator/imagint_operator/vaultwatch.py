"""Notices that Vault came back, or came back as something older, by one cheap read every few seconds.

Whoever restores Vault from a snapshot undoes what was done since, the newest change first of all: so it is enough to
look at the key that this operator changed last. When that change is gone, every tenant is looked at, at once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from imagint_operator.errors import OperatorError, VaultUnavailableError
from imagint_operator.keyrings import KeyRing
from imagint_operator.kube.resources import ObjectKey
from imagint_privacy.keys.ports import KeyState

VAULT = ObjectKey("Vault", "", "state")
LOOK_SECONDS = 3.0


class VaultWatch:
    """Looks at Vault, and has all tenants looked at when it turned."""

    def __init__(self, keys: KeyRing, everybody: Callable[[], Awaitable[None]]) -> None:
        self._keys = keys
        self._everybody = everybody
        self._answers = True

    async def reconcile(self, _key: ObjectKey) -> float:
        """One read; answers after how many seconds to look again."""
        try:
            turned = not self._answers or await self._undone()
            if turned or self._keys.last is None:
                await self._keys.upsert_disabled()
            answers = True
        except VaultUnavailableError:
            turned, answers = self._answers, False
        except OperatorError:
            return LOOK_SECONDS
        self._answers = answers
        if turned:
            self._keys.last = None
            await self._everybody()
        return LOOK_SECONDS

    async def _undone(self) -> bool:
        """Whether the newest change of this operator is not there any more."""
        last = self._keys.last
        if last is None:
            return False
        now = await self._keys.state(last[0])
        return self._keys.last is last and older(now, last[1])


def older(now: KeyState | None, known: KeyState | None) -> bool:
    """Whether a key is what it was before it became what is known; nothing of a key is ever lowered."""
    if known is None:
        return now is not None
    return now is None or any(
        there < then
        for there, then in (
            (now.latest_version, known.latest_version),
            (now.min_available_version, known.min_available_version),
            (now.min_decryption_version, known.min_decryption_version),
        )
    )
