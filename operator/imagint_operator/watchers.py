"""Kopf, as the watcher and nothing else: every event is handed on as it came.

Kopf runs in a thread and an event loop of its own, so that nothing it does at its end can touch the work under way.
Only `on.event` handlers are registered: Kopf then writes no annotation, no finalizer and no progress. It neither
posts Events nor peers, and no handler ever raises, so no text of an object can end up in a log through it.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any

import aiohttp
import kopf

from imagint_operator.kube.connections import Connection
from imagint_operator.kube.resources import WATCHED, Resource
from imagint_operator.watchages import Ages

FIRST_PAUSE = 0.5
LAST_PAUSE = 15.0
LOOK_SECONDS = 0.2
ENDING_SECONDS = 2.0
WATCH = "watcher for "  # how Kopf names the tasks that watch
CLOSING_SECONDS = 0.1  # TLS connections say goodbye in the background
_log = logging.getLogger(__name__)


def _run(life: Coroutine[Any, Any, None]) -> None:
    """`asyncio.run` with a bound at its end: a watch of Kopf's that cannot be cancelled would hold it for ever."""
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(life)
    finally:
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.wait(left, timeout=ENDING_SECONDS))
        loop.close()


class WatchDiedError(Exception):
    """Kopf ended without having been told to, or lost one of its watches."""


class Watcher:
    """Watches the custom resources until it is stopped; begins again when Kopf ends by itself."""

    def __init__(
        self,
        connection: Connection,
        *,
        seen: Callable[[Resource, str | None, dict[str, Any]], None] = lambda _resource, _event, _object: None,
        ages: Ages | None = None,
    ) -> None:
        self._connection = connection
        self._tell = seen
        self._ages = ages
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watcher", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    @property
    def running(self) -> bool:
        """Whether it watches, or is about to do so again."""
        return self._thread.is_alive()

    async def stop(self, seconds: float) -> None:
        """End, and wait for the end at most so long."""
        self._stop.set()
        await asyncio.to_thread(self._thread.join, seconds)

    def _run(self) -> None:
        pause = FIRST_PAUSE
        while not self._stop.is_set():
            begun = time.monotonic()
            try:
                _run(self._watch())
            except Exception as error:
                pause = FIRST_PAUSE if time.monotonic() - begun > LAST_PAUSE else min(LAST_PAUSE, pause * 2)
                _log.warning("watching ended (%s); again in %.1f s", type(error).__name__, pause)
            self._stop.wait(pause)

    async def _watch(self) -> None:
        """One life of Kopf, which ends when told to, by itself, or as soon as one of its watches has died."""
        end = asyncio.Event()
        life = asyncio.create_task(
            kopf.operator(
                registry=self._registry(), settings=_settings(), stop_flag=end, clusterwide=True, standalone=True
            )
        )
        looking = asyncio.create_task(self._look_after())
        await asyncio.wait({life, looking}, return_when=asyncio.FIRST_COMPLETED)
        looking.cancel()
        end.set()
        await asyncio.wait({life}, timeout=ENDING_SECONDS)
        if life.done() and not life.cancelled():
            life.exception()  # taken up, so that nobody logs its text
        await asyncio.sleep(CLOSING_SECONDS)
        if not self._stop.is_set():
            raise WatchDiedError

    async def _look_after(self) -> None:
        """Return when told to end or when a watch died: Kopf then goes on, or ends, or hangs at its end (#1077)."""
        alive: set[str] = set()
        while not self._stop.is_set():
            now = {name for task in asyncio.all_tasks() if (name := task.get_name()).startswith(WATCH)}
            if alive - now:
                break
            alive = now
            await asyncio.sleep(LOOK_SECONDS)

    def _registry(self) -> kopf.OperatorRegistry:
        registry = kopf.OperatorRegistry()
        kopf.on.login(registry=registry, id="login", retries=3)(self._login)
        for resource in WATCHED:
            kopf.on.event(resource.group, resource.version, resource.plural, registry=registry, id=resource.plural)(
                self._handler(resource)
            )
        return registry

    def _handler(self, resource: Resource) -> Callable[..., Any]:
        async def changed(event: Any, **_: Any) -> None:
            if self._ages is not None:
                self._ages.heard(resource.plural)
            self._tell(resource, event["type"], event["object"])

        return changed

    async def _login(self, **_: Any) -> kopf.AiohttpSession:
        """A session of our own: the token is read anew for every request, and every answer tells that a watch lives."""
        return kopf.AiohttpSession(
            server=self._connection.server,
            aiohttp_session=aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, ssl=self._connection.ssl_context()),
                trace_configs=[self._tracing()],
                trust_env=False,
            ),
        )

    def _tracing(self) -> aiohttp.TraceConfig:
        tracing = aiohttp.TraceConfig()

        async def begun(_session: Any, _context: Any, params: aiohttp.TraceRequestStartParams) -> None:
            params.headers["Authorization"] = f"Bearer {self._connection.token()}"

        async def answered(_session: Any, _context: Any, params: aiohttp.TraceRequestEndParams) -> None:
            plural = params.url.path.rpartition("/")[2]
            if self._ages is not None and params.response.status == 200 and plural in _PLURALS:
                self._ages.heard(plural)

        tracing.on_request_start.append(begun)
        tracing.on_request_end.append(answered)
        return tracing


_PLURALS = {resource.plural for resource in WATCHED}


def _settings() -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    # A watch is heard of at the latest when it begins again: watchages.py counts on the first of these.
    settings.watching.server_timeout = 120
    settings.watching.client_timeout = 150
    settings.watching.connect_timeout = 5
    settings.watching.inactivity_timeout = 70
    settings.watching.reconnect_backoff = 0.2
    settings.networking.request_timeout = 15
    settings.networking.connect_timeout = 5
    settings.networking.error_backoffs = (0.2, 0.5, 1, 2)
    settings.queueing.worker_limit = None  # a limit below the number of objects deadlocks Kopf's indexing
    settings.queueing.idle_timeout = 0.5  # a task and a queue for each listed object would else stay for seconds
    settings.queueing.exit_timeout = 0.5
    settings.persistence.consistency_timeout = 0  # Kopf never patches here: there is nothing of its own to wait for
    settings.execution.max_workers = 1
    settings.process.ultimate_exiting_timeout = None
    return settings
