"""Vault, for asyncio: the synchronous administration of `imagint_privacy`, run in threads, with the operator's errors.

Can create, rotate, trim and delete keys. There is no way to read anything through it. What destroys goes out under the
shredder's identity, all else under the controller's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from imagint_operator.errors import OperatorError, VaultRefusedError, VaultUnavailableError
from imagint_privacy import errors as privacy
from imagint_privacy.keys.ports import KeyAdmin, KeyState

T = TypeVar("T")


class KeyRing:
    """The keys of all tenants, by name. Without a shredder, one administration does everything."""

    def __init__(self, admin: KeyAdmin, shredder: KeyAdmin | None = None) -> None:
        self._admin = admin
        self._shredder = shredder or admin

    async def state(self, name: str) -> KeyState | None:
        """The key as it is, or None when there is none."""
        return await self._run(lambda: self._admin.state(name))

    async def ensure(self, name: str) -> KeyState:
        """The key, made if need be."""
        return await self._run(lambda: self._admin.ensure(name))

    async def rotate(self, name: str) -> KeyState | None:
        """Add a version."""
        await self._run(lambda: self._shredder.rotate(name))
        return await self.state(name)

    async def raise_minimum(self, name: str, version: int) -> KeyState | None:
        """Refuse everything older than this version."""
        await self._run(lambda: self._shredder.raise_minimum(name, version))
        return await self.state(name)

    async def trim(self, name: str, version: int) -> KeyState | None:
        """Destroy every version older than this one, for good."""
        await self._run(lambda: self._shredder.trim(name, version))
        return await self.state(name)

    async def destroy(self, name: str) -> None:
        """Rotate, raise, trim and delete the whole key."""
        await self._run(lambda: self._shredder.destroy(name))

    async def upsert_disabled(self) -> bool:
        """Whether Vault refuses to make a key again for a late writer."""
        return await self._run(self._admin.upsert_disabled)

    @staticmethod
    async def _run(work: Callable[[], T]) -> T:
        try:
            return await asyncio.to_thread(work)
        except privacy.PrivacyError as error:
            raise translated(error) from error


def translated(error: privacy.PrivacyError) -> OperatorError:
    """The operator's error for one of Vault's."""
    if isinstance(error, privacy.RetryableError):
        return VaultUnavailableError("Vault is sealed or unreachable", after=0.0)
    return VaultRefusedError(f"Vault refuses the operator ({type(error).__name__})")
