"""Asking a part whether it is ready. A probe never waits longer than a moment and never raises."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx

Probe = Callable[[float], bool]
"""Called with the wall-clock time at which the part started."""

_TIMEOUT = httpx.Timeout(3.0, connect=1.0)


@dataclass(slots=True)
class HttpProbe:
    """Ready when a GET answers with a good status."""

    url: str
    authority: Path | None = None
    client: Path | None = None
    token: Path | None = None
    good: tuple[int, ...] = (200,)
    _session: httpx.Client | None = field(default=None, repr=False)

    def __call__(self, started: float) -> bool:
        """Whether it is ready."""
        try:
            session = self._session = self._session or self._connect()
            headers = {"Authorization": f"Bearer {self.token.read_text().strip()}"} if self.token else {}
            return session.get(self.url, headers=headers).status_code in self.good
        except (httpx.HTTPError, OSError):
            return False

    def _connect(self) -> httpx.Client:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if self.authority:
            context.load_verify_locations(self.authority)
        if self.client:
            context.load_cert_chain(self.client.with_suffix(".crt"), self.client.with_suffix(".key"))
        return httpx.Client(timeout=_TIMEOUT, verify=context, trust_env=False)


@dataclass(frozen=True, slots=True)
class FileProbe:
    """Ready when a file was written after the part started."""

    path: Path

    def __call__(self, started: float) -> bool:
        """Whether it is ready."""
        try:
            return self.path.stat().st_mtime >= started - 0.01
        except OSError:
            return False


@dataclass(frozen=True, slots=True)
class AgeProbe:
    """Ready when it has run for a while, where there is nothing to ask."""

    seconds: float

    def __call__(self, started: float) -> bool:
        """Whether it is ready."""
        return time.time() - started >= self.seconds
