"""Notices that Vault came back, or came back as something older, by one cheap read every few seconds.

Whoever restores Vault from a snapshot undoes what was done since, the newest change first of all: so it is enough to
look at the key that this operator changed last. When that change is gone, every tenant is looked at, at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from imagint_operator import names
from imagint_operator.api.requests import DataSubjectRequest, StepName
from imagint_operator.api.tenants import Tenant
from imagint_operator.errors import OperatorError, VaultUnavailableError
from imagint_operator.keyrings import KeyRing
from imagint_operator.kube.readers import Reader
from imagint_operator.kube.resources import ObjectKey
from imagint_privacy.keys.ports import KeyState

VAULT = ObjectKey("Vault", "", "state")
LOOK_SECONDS = 3.0


class VaultWatch:
    """Looks at Vault, and has all tenants looked at when it turned."""

    def __init__(self, keys: KeyRing, reader: Reader, everybody: Callable[[], Awaitable[None]]) -> None:
        self._keys = keys
        self._reader = reader
        self._everybody = everybody
        self._answers = True

    async def reconcile(self, _key: ObjectKey) -> float:
        """One read; answers after how many seconds to look again."""
        try:
            turned = not self._answers or await self._undone()
            if turned or self._keys.last is None:
                await self._begin()
            answers = True
        except VaultUnavailableError:
            turned, answers = self._answers, False
        except OperatorError:
            return LOOK_SECONDS
        self._answers = answers
        if turned and answers:
            self._keys.last = None
        if turned:
            await self._everybody()
        return LOOK_SECONDS

    async def _begin(self) -> None:
        """Find the key that was changed last, by whatever operator: from now on its state is remembered."""
        tenants, requests = await asyncio.gather(self._reader.all(Tenant), self._reader.all(DataSubjectRequest))
        name = newest(tenants, requests)
        if name is None:
            await self._keys.upsert_disabled()
            return
        state = await self._keys.state(name)
        if self._keys.last is None and state is not None:
            self._keys.last = (name, state)

    async def _undone(self) -> bool:
        """Whether the newest change of this operator is not there any more."""
        last = self._keys.last
        if last is None:
            return False
        now = await self._keys.state(last[0])
        return self._keys.last is last and older(now, last[1])


def newest(tenants: Iterable[Tenant], requests: Iterable[DataSubjectRequest]) -> str | None:
    """The key that was made or trimmed last, as far as it is recorded; of those that are there to be looked at.

    A tenant that never got a key, or whose key was destroyed with it, has nothing that could be seen to be older.
    """
    tenants = tuple(tenant for tenant in tenants if _has_key(tenant))
    theirs = {names.namespace_of(tenant.name) for tenant in tenants}
    made = [(tenant.metadata.creation_timestamp, names.namespace_of(tenant.name)) for tenant in tenants]
    ended = [(tenant, retention.last) for tenant in tenants if (retention := tenant.status.retention) is not None]
    made += [(last.finished_at, names.namespace_of(tenant.name)) for tenant, last in ended if last is not None]
    for request in requests:
        trims = [step for step in request.status.steps if step.name is StepName.TRIM]
        made += [(step.finished_at, place) for step in trims if (place := request.metadata.namespace or "") in theirs]
    dated = [(moment, name) for moment, name in made if moment is not None]
    return max(dated)[1] if dated else None


def _has_key(tenant: Tenant) -> bool:
    deletion = tenant.status.deletion
    return tenant.status.key is not None and (deletion is None or deletion.begun_at is None)


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
