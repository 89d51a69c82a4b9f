"""Vault, for asyncio: the synchronous administration of `imagint_privacy`, run in threads, with the operator's errors.

Can create, rotate, trim and delete keys. There is no way to read anything through it. What destroys goes out under the
shredder's identity, all else under the controller's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from imagint_operator.errors import OperatorError, VaultRefusedError, VaultUnavailableError
from imagint_operator.fences import Fence, unfenced
from imagint_operator.telemetry.calls import Calls
from imagint_privacy import errors as privacy
from imagint_privacy.keys.ports import KeyAdmin, KeyState

T = TypeVar("T")


class KeyRing:
    """The keys of all tenants, by name. Without a shredder, one administration does everything."""

    def __init__(
        self,
        admin: KeyAdmin,
        shredder: KeyAdmin | None = None,
        *,
        fence: Fence | None = None,
        calls: Calls | None = None,
    ) -> None:
        self._admin = admin
        self._shredder = shredder or admin
        self._fence = fence or unfenced()
        self.last: tuple[str, KeyState | None] | None = None
        self._calls = calls or Calls()

    async def state(self, name: str) -> KeyState | None:
        """The key as it is, or None when there is none."""
        return await self._run("state", lambda: self._admin.state(name))

    async def ensure(self, name: str) -> KeyState:
        """The key, made if need be."""
        made = await self._write("ensure", lambda: self._admin.ensure(name))
        self.last = (name, made)
        return made

    async def rotate(self, name: str) -> KeyState | None:
        """Add a version."""
        return await self._change("rotate", name, lambda: self._shredder.rotate(name))

    async def raise_minimum(self, name: str, version: int) -> KeyState | None:
        """Refuse everything older than this version."""
        return await self._change("raise_minimum", name, lambda: self._shredder.raise_minimum(name, version))

    async def trim(self, name: str, version: int) -> KeyState | None:
        """Destroy every version older than this one, for good."""
        return await self._change("trim", name, lambda: self._shredder.trim(name, version))

    async def destroy(self, name: str) -> None:
        """Rotate, raise, trim and delete the whole key."""
        await self._change("destroy", name, lambda: self._shredder.destroy(name))

    async def _change(self, operation: str, name: str, work: Callable[[], object]) -> KeyState | None:
        await self._write(operation, work)
        state = await self.state(name)
        self.last = (name, state)
        return state

    async def upsert_disabled(self) -> bool:
        """Whether Vault refuses to make a key again for a late writer."""
        return await self._run("upsert_disabled", self._admin.upsert_disabled)

    async def sign(self, work: Callable[[], T]) -> T:
        """Have Vault sign: not a key of a tenant, and all the same a call to Vault."""
        return await self._run("sign", work)

    async def _write(self, operation: str, work: Callable[[], T]) -> T:
        """In a thread, which cannot be cut off: fenced at its beginning and, by Vault's session, before each call."""

        def fenced() -> T:
            with self._fence.writing():
                return work()

        return await self._run(operation, fenced)

    async def _run(self, operation: str, work: Callable[[], T]) -> T:
        with self._calls.vault(operation):
            try:
                return await asyncio.to_thread(work)
            except privacy.PrivacyError as error:
                raise translated(error) from error


def translated(error: privacy.PrivacyError) -> OperatorError:
    """The operator's error for one of Vault's."""
    if isinstance(error, privacy.RetryableError):
        return VaultUnavailableError("Vault is sealed or unreachable", after=0.0)
    return VaultRefusedError(f"Vault refuses the operator ({type(error).__name__})")
