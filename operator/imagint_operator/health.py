"""Whether this process is well: /healthz and /readyz beside /metrics, and the end of a process whose watch is dead.

A watch that is silent while the apiserver answers is dead: nothing in this process is sure to bring it back, so the
process ends with `WATCH_DEAD` and whoever supervises it starts a new one. While the apiserver is away, or does not
serve a kind, or forbids it, silence is explained: it is said once, `/readyz` says 503, and the process waits.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

from prometheus_client.exposition import ThreadingWSGIServer

from imagint_operator.errors import OperatorError, WatchDeadError
from imagint_operator.fences import Monotonic, boot_seconds
from imagint_operator.kube.client import KubeClient
from imagint_operator.kube.resources import Resource
from imagint_operator.watchages import Ages

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

SILENT_SECONDS = 180.0  # Kopf's watches begin again every 120 s, the reflectors hear a bookmark every 60 s
ANSWERING_SECONDS = 30.0
LOOK_SECONDS = 5.0
STUCK_SECONDS = 30.0
_log = logging.getLogger(__name__)


class Health:
    """Looks at the ages of the watches and at the event loop."""

    def __init__(
        self, client: KubeClient, ages: Ages, kinds: Iterable[Resource], *, clock: Monotonic = boot_seconds
    ) -> None:
        self._client = client
        self._ages = ages
        self._kinds = {resource.plural: resource for resource in kinds}
        self._clock = clock
        self._beat = clock()
        self._answering: dict[str, float] = {}

    async def watch(self) -> None:
        """Look now and then, until cancelled.

        Raises:
            WatchDeadError: a watch is silent while the apiserver answers.
        """
        while True:
            await self.look()
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """One look.

        Raises:
            WatchDeadError: see `watch`.
        """
        now = self._clock()
        self._beat = now
        silent = self._ages.older_than(SILENT_SECONDS)
        self._answering = {kind: since for kind, since in self._answering.items() if kind in silent}
        for kind in silent:
            self._beat = self._clock()  # an apiserver that hangs costs a timeout for each kind: no sign of a stuck loop
            try:
                await self._client.probe(self._kinds[kind])
            except OperatorError as error:
                self._answering.pop(kind, None)
                self._ages.troubled(kind, error)
                continue
            if now - self._answering.setdefault(kind, now) >= ANSWERING_SECONDS:
                raise WatchDeadError(f"the watch of {kind} is dead: this process ends, so that a new one watches")

    def alive(self) -> bool:
        """Whether the event loop still turns."""
        return self._clock() - self._beat < STUCK_SECONDS

    def ready(self) -> bool:
        """Whether every watch was heard of, lately."""
        return self.alive() and not self._ages.older_than(SILENT_SECONDS) and not self._ages.troubles()

    def serve(self, host: str, port: int, scrape: WSGIApplication) -> None:
        """Answer GET and HEAD of /metrics, /healthz and /readyz, in a thread of its own. Port 0 means not at all."""
        if port:
            server = make_server(host, port, self.application(scrape), ThreadingWSGIServer, _Silent)
            threading.Thread(target=server.serve_forever, name="health", daemon=True).start()

    def application(self, scrape: WSGIApplication) -> WSGIApplication:
        """The WSGI application of all three pages."""
        checks = {"/healthz": self.alive, "/readyz": self.ready}

        def answer(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
            check, method = checks.get(environ["PATH_INFO"]), environ["REQUEST_METHOD"]
            if check is None:
                return scrape(environ, start)
            if method not in {"GET", "HEAD"}:
                start("405 Method Not Allowed", [("Allow", "GET, HEAD")])
                return [b""]
            well = check()
            start("200 OK" if well else "503 Service Unavailable", [("Content-Type", "text/plain")])
            return [b"" if method == "HEAD" else b"ok\n" if well else b"not ok\n"]

        return answer


class _Silent(WSGIRequestHandler):
    def log_message(self, format: str, *_: Any) -> None:  # noqa: A002 - the name of the base class
        """Log no request."""
