"""The Gateway's privacy API over HTTP. The address comes from the prober's own settings, never from a request."""

from __future__ import annotations

import hmac
import time
from pathlib import Path
from typing import Annotated, TypeVar

import httpx
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from imagint_privacy import tracing
from imagint_serving.prober.errors import GatewayUnavailableError
from imagint_serving.prober.messages import Canaries, Holdings, Message, Root
from imagint_serving.prober.ports import Opening

MAX_ANSWER = 1024 * 1024
MAX_TOKEN = 16 * 1024
CALL_SECONDS = 10.0
M = TypeVar("M", bound=BaseModel)


class _Opened(Message):
    nonce: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Detail(Message):
    code: Annotated[str, Field(max_length=64)]


class _Refused(Message):
    model_config = ConfigDict(extra="ignore")

    error: _Detail


class HttpGateway:
    """Speaks to every tenant's Gateway behind one Serve address, showing the prober's own token."""

    def __init__(self, serve_url: str, token_file: Path, transport: httpx.BaseTransport | None = None) -> None:
        self._url = serve_url
        self._token_file = token_file
        # trust_env: a proxy of the environment has no business between the prober and a Gateway.
        self._client = httpx.Client(
            transport=transport, timeout=httpx.Timeout(CALL_SECONDS, connect=2.0), trust_env=False
        )

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def root(self, tenant: str) -> Root:
        """The current wrapped root (see `ports.Gateway`)."""
        return _agreed(Root, *self._call("GET", tenant, "/root"))

    def seal_canaries(self, tenant: str, request: str, subject: str, nonce: str) -> Canaries:
        """Have a nonce sealed."""
        body = {"request": request, "subject": subject, "nonce": nonce}
        return _agreed(Canaries, *self._call("POST", tenant, "/canaries", body))

    def open_canary(self, tenant: str, sealed: str, nonce: str) -> Opening:
        """Try to open a canary."""
        status, content = self._call("POST", tenant, "/canaries/open", {"sealed": sealed})
        if status == httpx.codes.OK:
            same = hmac.compare_digest(_agreed(_Opened, status, content).nonce, nonce)
            return Opening.OPENED if same else Opening.OTHER_CONTENT
        if status == httpx.codes.GONE and _code(content) == "key_destroyed":
            return Opening.KEY_DESTROYED
        if status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN, httpx.codes.TOO_MANY_REQUESTS):
            raise GatewayUnavailableError(f"the Gateway of {tenant} answers {status}")
        return Opening.FAILED

    def holdings(self, tenant: str, subject: str) -> Holdings:
        """Count what is listed about a subject."""
        return _agreed(Holdings, *self._call("GET", tenant, f"/subjects/{subject}/holdings"))

    def _call(self, method: str, tenant: str, path: str, body: dict[str, str] | None = None) -> tuple[int, bytes]:
        url = f"{self._url}/{tenant}/privacy/v1{path}"
        headers = {"authorization": f"Bearer {self._token()}", "accept-encoding": "identity", **tracing.headers()}
        ends = time.monotonic() + CALL_SECONDS
        try:
            with self._client.stream(method, url, json=body, headers=headers) as response:
                if "content-encoding" in response.headers:  # not asked for, and it could unpack into anything
                    raise GatewayUnavailableError(f"the Gateway of {tenant} compresses its answer")
                content = bytearray()
                for chunk in response.iter_bytes():
                    content += chunk
                    if len(content) > MAX_ANSWER or time.monotonic() > ends:
                        raise GatewayUnavailableError(f"the Gateway of {tenant} answers too much or too slowly")
        except httpx.HTTPError as error:
            raise GatewayUnavailableError(f"the Gateway of {tenant} does not answer ({type(error).__name__})") from None
        if response.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
            raise GatewayUnavailableError(f"the Gateway of {tenant} answers {response.status_code}")
        return response.status_code, bytes(content)

    def _token(self) -> str:
        try:
            token = self._token_file.read_text("ascii")[:MAX_TOKEN].strip()
        except (OSError, ValueError) as error:
            raise GatewayUnavailableError("the prober's own token cannot be read") from error
        if not token:
            raise GatewayUnavailableError("the prober has no token yet")
        return token


def _agreed(kind: type[M], status: int, content: bytes) -> M:
    if status != httpx.codes.OK:
        raise GatewayUnavailableError(f"the Gateway answers {status} ({_code(content)})")
    try:
        return kind.model_validate_json(content)
    except ValidationError:
        raise GatewayUnavailableError(f"the Gateway's {kind.__name__} is not what was agreed") from None


def _code(content: bytes) -> str:
    try:
        code = _Refused.model_validate_json(content).error.code
    except ValidationError:
        return "no code"
    return code if code.replace("_", "").isalnum() and code.isascii() else "no code"
