"""The operator at work: takes keys from the queue, has their controllers look, backs off when they fail.

Knows nothing of what the controllers do. A look that fails for any reason is repeated; none can stop the others.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Protocol

from imagint_operator.errors import FencedError, KubeConflictError, OperatorError, PermanentError, RetryableError
from imagint_operator.kube.resources import ObjectKey
from imagint_operator.metrics import Metrics
from imagint_operator.workqueues import WorkQueue

WORKERS = 24
LOOK_SECONDS = 300.0
REFUSED_SECONDS = 10.0
_log = logging.getLogger(__name__)


class Controller(Protocol):
    """Looks at one object at a time."""

    async def reconcile(self, key: ObjectKey) -> float | None:
        """Bring one object closer to what it should be; answers after how many seconds to look again, if at all."""


class Runtime:
    """The queue and its workers."""

    def __init__(
        self,
        controllers: Mapping[str, Controller],
        queue: WorkQueue[ObjectKey],
        metrics: Metrics,
        refresh: Callable[[ObjectKey], Awaitable[None]] | None = None,
    ) -> None:
        self._controllers = controllers
        self._refresh = refresh
        self._queue = queue
        self._metrics = metrics

    async def work(self, keys: Iterable[ObjectKey]) -> None:
        """Look at these, and then at whatever is asked for, until cancelled."""
        for key in keys:
            self._queue.add(key)
        async with asyncio.TaskGroup() as group:
            for _ in range(WORKERS):
                group.create_task(self._worker())

    async def look(self, key: ObjectKey) -> None:
        """One look, its outcome and when to look again."""
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                with self._metrics.seconds.labels(key.kind).time():
                    again = await self._controllers[key.kind].reconcile(key)
        except KubeConflictError as error:
            await self._see_anew(key)
            self._failed(key, error)
        except OperatorError as error:
            self._failed(key, error)
        except TimeoutError:
            self._failed(key, RetryableError("took too long"))
        except Exception as error:
            # The text of a foreign exception may quote what it stumbled over: only its kind and place are logged.
            place = error.__traceback__
            while place is not None and place.tb_next is not None:
                place = place.tb_next
            where = f"{place.tb_frame.f_code.co_filename}:{place.tb_lineno}" if place else "?"
            self._failed(key, OperatorError(f"{type(error).__name__} at {where}"))
        else:
            self._metrics.reconciles.labels(key.kind, "ok").inc()
            self._queue.succeed(key)
            if again is not None:
                self._queue.add_after(key, again)

    async def _see_anew(self, key: ObjectKey) -> None:
        """What was looked at was not the newest: ask the apiserver, so that the next look does not meet it again."""
        if self._refresh is not None:
            with contextlib.suppress(OperatorError):
                await self._refresh(key)

    def _failed(self, key: ObjectKey, error: OperatorError) -> None:
        self._metrics.reconciles.labels(key.kind, error.reason).inc()
        least = error.after if isinstance(error, RetryableError) else REFUSED_SECONDS
        pause = self._queue.retry(key, at_least=least)
        level = logging.ERROR if isinstance(error, PermanentError) else logging.WARNING
        if isinstance(error, KubeConflictError | FencedError):
            level = logging.INFO
        _log.log(level, "%s: %s: %s; again in %.1f s", key, error.reason, error, pause)

    async def _worker(self) -> None:
        while True:
            key = await self._queue.get()
            self._metrics.queued.set(len(self._queue))
            try:
                await self.look(key)
            finally:
                self._queue.done(key)
