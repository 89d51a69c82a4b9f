"""The privacy API of the tenants' Gateways. Every call is idempotent by the request's uid."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from imagint_operator.dataplane.answers import (
    Answer,
    Caches,
    Commit,
    Copies,
    Fence,
    GatewayStatus,
    ModelProbe,
    Purge,
    Waiting,
)
from imagint_operator.dataplane.http import Door, Failures, JsonObject
from imagint_operator.errors import DataPlaneRefusedError, DataPlaneUnavailableError, OperatorError

A = TypeVar("A", bound=Answer)
LONG_SECONDS = 120.0
GLANCE_SECONDS = 3.0


def _unavailable(message: str, after: float) -> OperatorError:
    return DataPlaneUnavailableError(message, after=after)


def _refused(message: str, code: str) -> OperatorError:
    return DataPlaneRefusedError(message, code=code)


class Gateways:
    """Calls the Gateway of any tenant."""

    def __init__(self, serve_url: str, token_file: Path) -> None:
        self._door = Door(serve_url.rstrip("/"), token_file, Failures("the Gateway", _unavailable, _refused))

    async def close(self) -> None:
        """Give the connections back."""
        await self._door.close()

    async def status(self, tenant: str) -> GatewayStatus:
        """How the Gateway is."""
        return parsed(GatewayStatus, (await self._send(tenant, "GET", "status", seconds=GLANCE_SECONDS))[1])

    async def require_key(self, tenant: str, below: int) -> None:
        """Have the Gateway serve no tree wrapped under a version of the key that was destroyed."""
        await self._send(tenant, "POST", "destroyed", {"below": below}, seconds=GLANCE_SECONDS)

    async def probe_model(self, tenant: str, model: str) -> ModelProbe:
        """Have the model make a tiny picture."""
        answer = await self._send(tenant, "POST", f"models/{model}/probe", {}, seconds=LONG_SECONDS)
        return parsed(ModelProbe, answer[1])

    async def fence(
        self, tenant: str, request: str, *, subject: str, categories: tuple[str, ...], received_at: datetime
    ) -> Fence:
        """Stop new writes for the subject and answer what is held."""
        body = {
            "request": request,
            "subject": subject,
            "categories": list(categories),
            "received_at": received_at.isoformat(),
        }
        return parsed(Fence, (await self._send(tenant, "POST", "erasures", body))[1])

    async def commit(self, tenant: str, request: str, *, key_version: int) -> Commit:
        """Write the tree without the subject's keys, under the new version."""
        return parsed(Commit, (await self._step(tenant, request, "commit", {"key_version": key_version}))[1])

    async def copy(self, tenant: str, request: str) -> Copies:
        """Bring the new tree into every copy and read it back."""
        return parsed(Copies, (await self._step(tenant, request, "copies"))[1])

    async def drop_caches(self, tenant: str, request: str) -> Caches | Waiting:
        """Have every replica forget the old tree."""
        status, answer = await self._step(tenant, request, "caches")
        return parsed(Waiting, answer) if status == 202 else parsed(Caches, answer)

    async def purge(self, tenant: str, request: str) -> Purge:
        """Delete the ciphertext, rows and objects physically."""
        return parsed(Purge, (await self._step(tenant, request, "purge"))[1])

    async def complete(self, tenant: str, request: str) -> None:
        """Lift the fence; the tombstone stays."""
        await self._step(tenant, request, "complete")

    async def _step(
        self, tenant: str, request: str, step: str, body: JsonObject | None = None
    ) -> tuple[int, JsonObject]:
        return await self._send(tenant, "POST", f"erasures/{request}/{step}", body or {}, seconds=LONG_SECONDS)

    async def _send(
        self, tenant: str, method: str, path: str, body: JsonObject | None = None, *, seconds: float = 30.0
    ) -> tuple[int, JsonObject]:
        return await self._door.send(method, f"/{tenant}/privacy/v1/{path}", body, seconds=seconds)


def parsed(kind: type[A], answer: JsonObject) -> A:
    """Parse an answer.

    Raises:
        DataPlaneUnavailableError: the data plane speaks another language (an upgrade under way, most likely).
    """
    try:
        return kind.model_validate(answer)
    except ValidationError as error:
        fields = ", ".join(sorted({".".join(map(str, problem["loc"])) for problem in error.errors()}))
        raise DataPlaneUnavailableError(f"an answer of the data plane lacks or garbles: {fields}") from None
