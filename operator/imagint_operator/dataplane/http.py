"""One HTTP door with a token file, timeouts and typed errors, shared by the Gateway and the prober clients.

Never puts an answer's text into an error: only its status and its code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from imagint_operator.errors import OperatorError, VaultUnavailableError
from imagint_operator.fences import Fence, unfenced

JsonObject = dict[str, Any]
Failure = Callable[[str, str], OperatorError]


@dataclass(frozen=True, slots=True)
class Failures:
    """How a peer's failures are called: each takes a message and a code."""

    peer: str
    unavailable: Callable[[str, float], OperatorError]
    refused: Failure


class Door:
    """Sends JSON to one server. The token file is read anew for every call."""

    def __init__(self, base_url: str, token_file: Path, failures: Failures, fence: Fence | None = None) -> None:
        self._client = httpx.AsyncClient(base_url=base_url, timeout=httpx.Timeout(30.0, connect=2.0), trust_env=False)
        self._token_file = token_file
        self._failures = failures
        self._fence = fence or unfenced()

    async def close(self) -> None:
        """Give the connections back."""
        await self._client.aclose()

    async def send(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, seconds: float = 30.0
    ) -> tuple[int, JsonObject]:
        """Answer the status and the JSON object.

        Raises:
            VaultUnavailableError: the peer says that it has no keys now.
            OperatorError: as the peer's `Failures` say.
        """
        try:
            headers = {"Authorization": f"Bearer {self._token_file.read_text().strip()}"}
            if method != "GET":
                self._fence.check()
            limits = httpx.Timeout(seconds, connect=min(2.0, seconds))
            response = await self._client.request(method, path, json=body, headers=headers, timeout=limits)
        except (httpx.HTTPError, OSError) as error:
            message = f"{self._failures.peer} does not answer ({type(error).__name__})"
            raise self._failures.unavailable(message, 0.0) from error
        answer = _object(response)
        if response.status_code < 300 and answer is not None:
            return response.status_code, answer
        raise self._failure(response, answer)

    def _failure(self, response: httpx.Response, answer: JsonObject | None) -> OperatorError:
        error = (answer or {}).get("error")
        code = str(error.get("code", "")) if isinstance(error, dict) else ""
        message = f"{self._failures.peer} answers {response.status_code} {code}".rstrip()
        after = response.headers.get("Retry-After", "")
        seconds = float(after) if after.replace(".", "", 1).isdigit() else 0.0
        if code == "keys_unavailable":
            return VaultUnavailableError(f"{self._failures.peer} says that Vault does not answer it", after=seconds)
        if (
            not code
            or response.status_code in {401, 429}
            or response.status_code >= 500
            or code == "key_version_behind"
        ):
            return self._failures.unavailable(message, seconds)
        return self._failures.refused(message, code)


def _object(response: httpx.Response) -> JsonObject | None:
    try:
        answer = response.json()
    except ValueError:
        return None
    return answer if isinstance(answer, dict) else None
