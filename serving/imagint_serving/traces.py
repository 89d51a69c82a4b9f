"""Traces of what the data plane is asked: each request is part of the trace that its `traceparent` names.

A span says the route's template, never the path: a path may hold a handle or an id of an image. Of what a caller
sends only `traceparent` is read, whose form is fixed; `tracestate` and `baggage` may hold anything and go nowhere.
"""

from __future__ import annotations

import logging
import os
from typing import Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from imagint_privacy.tracing import OFF, TRACEPARENT, Attributes, Pen, Tracing, TracingError, configured

UNTRACED = "/healthz"
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_log = logging.getLogger("ray.serve.imagint.traces")


class Traced:
    """Wraps an application. Without an endpoint to send to, it is a call more and nothing else."""

    def __init__(self, app: ASGIApp, *, tracing: Tracing, said: Attributes) -> None:
        self._app = app
        self._tracing = tracing
        self._said = said

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or not self._tracing.on or scope["path"].endswith(UNTRACED):
            await self._app(scope, receive, send)
            return
        method = scope["method"] if scope["method"] in METHODS else "_OTHER"
        carrier = Headers(scope=scope).get(TRACEPARENT)
        with self._tracing.server(method, carrier, {"http.request.method": method, **self._said}) as pen:

            async def told(message: Message) -> None:
                if message["type"] == "http.response.start":
                    _answered(pen, scope, method, message["status"])
                await send(message)

            await self._app(scope, receive, told)


def _answered(pen: Pen, scope: Scope, method: str, status: int) -> None:
    route: Any = scope.get("route")
    template = getattr(route, "path", None)
    if template is not None:
        pen.name(f"{method} {template}")
        pen.say("http.route", template)
    pen.say("http.response.status_code", status)
    if status >= 500:
        pen.fail(str(status))


def data_plane_tracing(service: str) -> Tracing:
    """Traces as the process's environment asks for; a data plane serves without them rather than not at all."""
    try:
        return configured(service, os.environ)
    except TracingError as error:
        _log.warning("traces are not sent: %s", error)
        return OFF
