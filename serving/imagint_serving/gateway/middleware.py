"""What surrounds every request: its id, headers that keep answers out of caches, and the last net for errors.

An error that nobody foresaw is logged by type and place only: its text may hold personal data, so it never leaves.
"""

from __future__ import annotations

import logging
import re
import traceback
import uuid

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from imagint_serving.gateway.answers import answer, for_platform, translate

REQUEST_ID = "x-request-id"
_ACCEPTABLE_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
_log = logging.getLogger("ray.serve.imagint.gateway")


class Surroundings:
    """Wraps the application; `echo_id` is off behind Ray Serve, whose proxy adds the header itself."""

    def __init__(self, app: ASGIApp, *, echo_id: bool) -> None:
        self._app = app
        self._echo_id = echo_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(Headers(scope=scope).get(REQUEST_ID))
        scope.setdefault("state", {})["request_id"] = request_id
        started = False

        async def decorate(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                self._decorate(MutableHeaders(scope=message), request_id)
            await send(message)

        try:
            await self._app(scope, receive, decorate)
        except Exception as error:
            _log.error("request %s failed: %s", request_id, places(error))
            if not started:
                refusal = answer(translate(RuntimeError()), for_platform=for_platform(Request(scope)))
                await refusal(scope, receive, decorate)

    def _decorate(self, headers: MutableHeaders, request_id: str) -> None:
        headers["cache-control"] = "no-store"
        headers["x-content-type-options"] = "nosniff"
        if self._echo_id:
            headers[REQUEST_ID] = request_id


def places(error: BaseException) -> str:
    """Name an error's type and where it came from, without any of its text."""
    frames = traceback.extract_tb(error.__traceback__)[-6:]
    where = " < ".join(f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno}" for frame in reversed(frames))
    return f"{type(error).__name__} at {where}"


def _request_id(offered: str | None) -> str:
    if offered is not None and _ACCEPTABLE_ID.fullmatch(offered):
        return offered
    return f"req_{uuid.uuid4().hex}"
