"""The Gateway's privacy API over HTTP. Addresses come from the prober's own settings, never from a request.

A tenant's Gateway is on the shared cluster or in the tenant's own namespace. Nobody tells the prober which: it asks at
one and, where no Gateway of this tenant is, at the other (ADR 13).
"""

from __future__ import annotations

import contextlib
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
SERVE_SERVICE = "imagint-serve-svc"
NO_CODE = "no code"
MAX_REMEMBERED = 10_000
M = TypeVar("M", bound=BaseModel)


class _Opened(Message):
    nonce: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Detail(Message):
    code: Annotated[str, Field(max_length=64)]


class _Refused(Message):
    model_config = ConfigDict(extra="ignore")

    error: _Detail


class _NotHereError(GatewayUnavailableError):
    """Nothing was asked of a Gateway of this tenant: none is at this address."""


class HttpGateway:
    """Speaks to every tenant's Gateway, on the shared cluster or the tenant's own, showing the prober's own token."""

    def __init__(
        self,
        serve_url: str,
        token_file: Path,
        transport: httpx.BaseTransport | None = None,
        dedicated: str | None = None,
    ) -> None:
        self._shared = serve_url
        self._dedicated = dedicated
        self._last: dict[str, str] = {}
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
        """Ask where this tenant answered last, and at its other address where no Gateway of it is."""
        places = addresses(tenant, self._shared, self._dedicated, self._last.get(tenant))
        for place in places[:-1]:
            with contextlib.suppress(_NotHereError):
                return self._kept(tenant, place, self._call_at(place, method, tenant, path, body))
        return self._kept(tenant, places[-1], self._call_at(places[-1], method, tenant, path, body))

    def _kept(self, tenant: str, place: str, answer: tuple[int, bytes]) -> tuple[int, bytes]:
        if len(self._last) >= MAX_REMEMBERED:
            self._last.clear()
        self._last[tenant] = place
        return answer

    def _call_at(
        self, place: str, method: str, tenant: str, path: str, body: dict[str, str] | None
    ) -> tuple[int, bytes]:
        url = f"{place}/{tenant}/privacy/v1{path}"
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
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise _NotHereError(f"the Gateway of {tenant} does not answer ({type(error).__name__})") from None
        except httpx.HTTPError as error:
            raise GatewayUnavailableError(f"the Gateway of {tenant} does not answer ({type(error).__name__})") from None
        if response.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
            raise GatewayUnavailableError(f"the Gateway of {tenant} answers {response.status_code}")
        if response.status_code == httpx.codes.NOT_FOUND and _code(bytes(content)) == NO_CODE:
            # Serve's own 404: a Gateway gives each refusal a code.
            raise _NotHereError(f"the Gateway of {tenant} answers 404 (it does not run there)")
        return response.status_code, bytes(content)

    def _token(self) -> str:
        try:
            token = self._token_file.read_text("ascii")[:MAX_TOKEN].strip()
        except (OSError, ValueError) as error:
            raise GatewayUnavailableError("the prober's own token cannot be read") from error
        if not token:
            raise GatewayUnavailableError("the prober has no token yet")
        return token


def addresses(tenant: str, shared: str, dedicated: str | None, last: str | None) -> tuple[str, ...]:
    """Return where a tenant's Gateway may be: where it answered last, then the shared cluster, then its own.

    The names are those that the operator and KubeRay give (`imagint_operator.serve.places`).
    """
    if dedicated is None:
        return (shared,)
    own = dedicated.replace("{service}", SERVE_SERVICE).replace("{namespace}", f"tenant-{tenant}").rstrip("/")
    return (own, shared) if last == own else (shared, own)


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
        return NO_CODE
    return code if code.replace("_", "").isalnum() and code.isascii() else NO_CODE
