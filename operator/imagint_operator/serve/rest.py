"""The Serve REST API of a Ray cluster that exists already.

PUT there replaces every application, and is what first starts Serve: so every PUT carries the same HTTP options.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from imagint_operator.errors import ServeRefusedError, ServeUnavailableError
from imagint_operator.fences import Fence, unfenced
from imagint_operator.serve.applications import Application
from imagint_operator.serve.ports import AppStatus, Deployed

PATH = "/api/serve/applications/"


class RestServe:
    """The adapter. The token file is read anew for every call."""

    def __init__(
        self, dashboard: str, token_file: Path, serve_url: str, *, timeout: float = 15.0, fence: Fence | None = None
    ) -> None:
        self._fence = fence or unfenced()
        self._details: dict[str, Any] = {}
        self._seen: dict[str, Deployed] = {}
        address = urlsplit(serve_url)
        self._http_options = {"host": address.hostname or "127.0.0.1", "port": address.port or 80}
        self._token_file = token_file
        limits = httpx.Timeout(timeout, connect=2.0)
        self._client = httpx.AsyncClient(base_url=dashboard, timeout=limits, trust_env=False)

    async def close(self) -> None:
        """Give the connections back."""
        await self._client.aclose()

    async def observe(self) -> Mapping[str, Deployed]:
        """See the port."""
        answer = await self._send("GET")
        details: dict[str, Any] = answer.get("applications", {})
        if details != self._details:  # what did not change stays the same object: comparing it again costs nothing
            self._seen = {name: self._deployed(name, now) for name, now in details.items()}
            self._details = details
        return self._seen

    async def replace(self, applications: Sequence[Application]) -> None:
        """See the port."""
        body = {
            "proxy_location": "HeadOnly",
            "http_options": self._http_options,
            # The proxy would log request ids, and callers choose those.
            "logging_config": {"enable_access_log": False},
            "applications": [dict(application.config) for application in applications],
        }
        await self._send("PUT", body)

    async def _send(self, method: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        try:
            headers = {"Authorization": f"Bearer {self._token_file.read_text().strip()}"}
            if method != "GET":
                self._fence.check()
            response = await self._client.request(method, PATH, json=body, headers=headers)
        except (httpx.HTTPError, OSError) as error:
            raise ServeUnavailableError(f"Ray's dashboard does not answer ({type(error).__name__})") from error
        if response.status_code == 400:
            raise ServeRefusedError("Ray Serve refuses the set of applications (400)")
        if response.status_code >= 300:
            raise ServeUnavailableError(f"Ray's dashboard answers {response.status_code}")
        if method != "GET":
            return {}
        try:
            answer = response.json()
        except ValueError as error:
            raise ServeUnavailableError("Ray's dashboard does not answer in JSON") from error
        return answer if isinstance(answer, dict) else {}

    def _deployed(self, name: str, now: Mapping[str, Any]) -> Deployed:
        known = self._seen.get(name)
        return known if known is not None and self._details.get(name) == now else _deployed(name, now)


def _deployed(name: str, details: Mapping[str, Any]) -> Deployed:
    return Deployed(name, AppStatus(details["status"]), details.get("deployed_app_config") or {})
