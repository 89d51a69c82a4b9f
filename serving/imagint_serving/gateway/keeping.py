"""Keeping one tenant's library open: opens it as soon as that is possible, keeps its beat and the copies of its tree.

The Vault token, Vault and the storage may all come later than the Gateway, or go away. So nothing here ends the
process: until the library is open, every use of it is refused with the reason, and the next try comes soon.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from imagint_privacy.errors import (
    CopyFailedError,
    KeyBehindError,
    KeyRevivedError,
    KeysUnavailableError,
    PrivacyError,
    RetryableError,
    StaleTreeError,
    StorageUnavailableError,
)
from imagint_privacy.records.library import Library
from imagint_serving.gateway.errors import ApiError, UnavailableError
from imagint_serving.gateway.workers import Workers

BEAT_SECONDS = 1.0
COPY_SECONDS = 60.0
"""The tree's copies are at most about this much older than the tree: who loses the database loses no more keys."""
FIRST_RETRY_SECONDS, LAST_RETRY_SECONDS = 0.1, 2.0

_log = logging.getLogger("ray.serve.imagint.gateway")


class LibraryKeeper:
    """The library, or the reason why there is none."""

    def __init__(self, open_library: Callable[[], Library]) -> None:
        self._open = open_library
        self._library: Library | None = None
        self._copied = -COPY_SECONDS
        self._reason = ("not_ready", "The service is starting.")

    @property
    def library(self) -> Library:
        """The open library.

        Raises:
            UnavailableError: it is not open; the code says why.
        """
        if self._library is None:
            raise UnavailableError(*self._reason, retry_after=1)
        return self._library

    async def run(self, workers: Workers) -> None:
        """Open the library and keep its beat until cancelled."""
        pause = FIRST_RETRY_SECONDS
        while True:
            if await self._step(workers):
                pause = FIRST_RETRY_SECONDS
                await asyncio.sleep(BEAT_SECONDS)
            else:
                await asyncio.sleep(pause)
                pause = min(pause * 1.5, LAST_RETRY_SECONDS)

    def close(self) -> None:
        """Close the library."""
        library, self._library = self._library, None
        if library is not None:
            library.close()

    async def _step(self, workers: Workers) -> bool:
        try:
            library = self._library
            if library is None:
                self._library = library = await workers.run(self._open)
                _log.info("the library is open")
            await workers.run(library.beat)
            await self._copy(workers, library)
        except (PrivacyError, ApiError, OSError) as error:
            self._note(error)
            return False
        return True

    async def _copy(self, workers: Workers, library: Library) -> None:
        if time.monotonic() - self._copied < COPY_SECONDS:
            return
        self._copied = time.monotonic()
        try:
            await workers.run(library.copy_tree)
        except CopyFailedError:
            _log.warning("the copies of the key tree are behind; the next try comes in %d s", COPY_SECONDS)

    def _note(self, error: Exception) -> None:
        reason = (reason_code(error), "The service cannot reach its keys or its storage.")
        if reason != self._reason:
            self._reason = reason
            _log.warning("the library: %s (%s)", type(error).__name__, reason[0])


def reason_code(error: Exception) -> str:
    """Name, for a machine, why the library cannot be used."""
    match error:
        case KeysUnavailableError():
            return "keys_unavailable"
        case StorageUnavailableError() | OSError():
            return "storage_unavailable"
        case KeyBehindError() | KeyRevivedError() | StaleTreeError():
            return "restored_from_before"
        case RetryableError():
            return "unavailable"
        case ApiError(code=str(code)):
            return code
        case PrivacyError():
            return type(error).__name__.removesuffix("Error").lower()
    return "unavailable"
