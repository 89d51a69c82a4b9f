"""The steps that every forgetting in a Gateway has in common; each is idempotent by the request's id."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from pydantic import ValidationError

from imagint_operator.dataplane.answers import Answer, Caches, Copies, Purge, Waiting
from imagint_operator.dataplane.http import Door, JsonObject
from imagint_operator.errors import DataPlaneUnavailableError

A = TypeVar("A", bound=Answer)
LONG_SECONDS = 120.0


class Steps:
    """Calls the steps of one kind of request: erasures, unless a subclass says otherwise."""

    kind = "erasures"

    def __init__(self, door: Door, address: Callable[[str], str] = lambda _tenant: "") -> None:
        """`address` answers where a tenant's Serve is, when not at the door's own address."""
        self._door = door
        self._address = address

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
        """End the request: its fence is lifted, if it has one, and the record of it stays."""
        await self._step(tenant, request, "complete")

    async def _step(
        self, tenant: str, request: str, step: str, body: JsonObject | None = None
    ) -> tuple[int, JsonObject]:
        return await self._send(tenant, "POST", f"{self.kind}/{request}/{step}", body or {}, seconds=LONG_SECONDS)

    async def _send(
        self, tenant: str, method: str, path: str, body: JsonObject | None = None, *, seconds: float = 30.0
    ) -> tuple[int, JsonObject]:
        return await self._door.send(
            method, f"{self._address(tenant)}/{tenant}/privacy/v1/{path}", body, seconds=seconds
        )


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
