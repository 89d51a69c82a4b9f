"""The operator's only door to the apiserver, on the official asyncio client.

Plain JSON in and out, server-side apply under one field manager, a timeout on every wait. Error messages keep the
apiserver's reason and field names and drop its text, which may quote what an object says.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self, cast

import aiohttp
from kubernetes.aio.client import ApiClient, Configuration

from imagint_operator.errors import (
    KubeConflictError,
    KubeForbiddenError,
    KubeInvalidError,
    KubeUnavailableError,
    OperatorError,
)
from imagint_operator.kube.connections import Connection
from imagint_operator.kube.resources import Resource
from imagint_operator.telemetry.calls import Calls

FIELD_MANAGER = "imagint-operator"
APPLY = "application/apply-patch+yaml"
PAGE = 500
REQUEST_SECONDS = 10.0
CLOSING_SECONDS = 0.02  # TLS connections say goodbye in the background

JsonObject = dict[str, Any]


class KubeClient:
    """Reads and applies objects. Safe for concurrent use in one event loop."""

    def __init__(self, connection: Connection, *, timeout: float = REQUEST_SECONDS, calls: Calls | None = None) -> None:
        configuration = Configuration(host=connection.server, verify_ssl=not connection.insecure, retries=None)
        configuration.ca_cert_data = connection.ca_data
        self._connection = connection
        self._calls = calls or Calls()
        self._client = ApiClient(configuration)
        self._timeout = aiohttp.ClientTimeout(total=timeout, connect=timeout / 2)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.close()
        await asyncio.sleep(CLOSING_SECONDS)

    async def get(self, resource: Resource, name: str, namespace: str | None = None) -> JsonObject | None:
        """The object, or None when there is none."""
        status, answer = await self._send("GET", resource.path(name, namespace))
        return None if status == 404 else answer

    async def list_all(self, resource: Resource, namespace: str | None = None) -> list[JsonObject]:
        """Every object of a kind, page by page."""
        items: list[JsonObject] = []
        token = ""
        while True:
            query = [("limit", str(PAGE)), *([("continue", token)] if token else [])]
            status, answer = await self._send("GET", resource.path(namespace=namespace), query=query)
            if status == 404:
                raise KubeUnavailableError(f"{resource.plural} are not served (is the CRD installed?)", after=5)
            items += answer.get("items", [])
            token = answer.get("metadata", {}).get("continue", "")
            if not token:
                return items

    async def apply(self, resource: Resource, manifest: Mapping[str, Any]) -> JsonObject:
        """Server-side apply, taking over fields that others hold."""
        return await self._apply(resource, manifest, None)

    async def apply_status(
        self, resource: Resource, manifest: Mapping[str, Any], *, manager: str = FIELD_MANAGER
    ) -> JsonObject:
        """Server-side apply of the status subresource; each manager keeps what it applied itself."""
        return await self._apply(resource, manifest, "status", manager)

    async def create(self, resource: Resource, manifest: Mapping[str, Any]) -> JsonObject:
        """Create an object that must not exist yet.

        Raises:
            KubeConflictError: it exists.
        """
        path = resource.path(namespace=manifest["metadata"].get("namespace"))
        query = [("fieldManager", FIELD_MANAGER)]
        return (await self._send("POST", path, query=query, body=manifest, missing_ok=False))[1]

    async def delete(self, resource: Resource, name: str, namespace: str | None = None, *, uid: str) -> None:
        """Delete exactly the object that was seen; one that is gone is fine."""
        body = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": uid}}
        await self._send("DELETE", resource.path(name, namespace), body=body)

    async def _apply(
        self, resource: Resource, manifest: Mapping[str, Any], subresource: str | None, manager: str = FIELD_MANAGER
    ) -> JsonObject:
        metadata = manifest["metadata"]
        body = {"apiVersion": resource.api_version, "kind": resource.kind, **manifest}
        path = resource.path(metadata["name"], metadata.get("namespace"), subresource)
        query = [("fieldManager", manager), ("force", "true")]
        _, answer = await self._send("PATCH", path, query=query, body=body, content=APPLY, missing_ok=False)
        return answer

    async def _send(
        self,
        method: str,
        path: str,
        *,
        query: list[tuple[str, str]] | None = None,
        body: Mapping[str, Any] | None = None,
        content: str = "application/json",
        missing_ok: bool = True,
    ) -> tuple[int, JsonObject]:
        try:
            headers = {
                "Accept": "application/json",
                "Content-Type": content,
                "Authorization": f"Bearer {self._connection.token()}",
            }
            request = await self._client.param_serialize(method, path, query_params=query or [], header_params=headers)
            with self._calls.api(method, path, self._connection.server) as call:
                response = await self._client.call_api(
                    request[0], request[1], request[2], cast(Any, body), _request_timeout=self._timeout
                )
                raw, call.status = await response.read(), response.status
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise KubeUnavailableError(f"{method} {path}: {type(error).__name__}", after=0.5) from error
        answer = _parsed(raw)
        if response.status >= 400 and not (response.status == 404 and missing_ok):
            raise _error(f"{method} {path}", response.status, answer, response.headers.get("Retry-After"))
        return response.status, answer


def _parsed(raw: bytes) -> JsonObject:
    try:
        answer = json.loads(raw)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _error(what: str, status: int, answer: JsonObject, retry_after: str | None) -> OperatorError:
    """One error for one answer: the reason and the fields, never the text."""
    reason = answer.get("reason") or "no reason"
    causes = answer.get("details", {}).get("causes") or []
    fields = ", ".join(sorted({str(cause.get("field", "")) for cause in causes} - {""}))
    message = f"{what}: {status} {reason}" + (f" ({fields})" if fields else "")
    if status == 409:
        return KubeConflictError(message)
    if status == 403:
        return KubeForbiddenError(message)
    if status in {400, 404, 422}:
        return KubeInvalidError(message) if status != 404 else KubeConflictError(message)
    seconds = float(retry_after) if retry_after and retry_after.isdigit() else 0.5
    return KubeUnavailableError(message, after=seconds)
