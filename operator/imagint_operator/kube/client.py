"""The operator's only door to the apiserver, on the official asyncio client.

Plain JSON in and out, server-side apply under one field manager, a timeout on every wait. Error messages keep the
apiserver's reason and field names and drop its text, which may quote what an object says.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, cast
from urllib.parse import urlencode

import aiohttp
from kubernetes.aio.client import ApiClient, Configuration

from imagint_operator.errors import (
    KubeConflictError,
    KubeForbiddenError,
    KubeInvalidError,
    KubeMissingError,
    KubeUnavailableError,
    OperatorError,
)
from imagint_operator.fences import Fence, unfenced
from imagint_operator.kube.connections import Connection
from imagint_operator.kube.resources import Resource

FIELD_MANAGER = "imagint-operator"
APPLY = "application/apply-patch+yaml"
PAGE = 500
REQUEST_SECONDS = 10.0
WATCH_SECONDS = 280
SILENT_SECONDS = 75.0  # bookmarks come once a minute
CLOSING_SECONDS = 0.02  # TLS connections say goodbye in the background

JsonObject = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Page:
    """Some objects of a kind, and the version at which all pages together were read."""

    items: list[JsonObject]
    version: str


class KubeClient:
    """Reads and applies objects. Safe for concurrent use in one event loop."""

    def __init__(self, connection: Connection, *, timeout: float = REQUEST_SECONDS, fence: Fence | None = None) -> None:
        configuration = Configuration(host=connection.server, verify_ssl=not connection.insecure, retries=None)
        configuration.ca_cert_data = connection.ca_data
        self._connection = connection
        self._client = ApiClient(configuration)
        self._timeout = aiohttp.ClientTimeout(total=timeout, connect=timeout / 2)
        self._fence = fence or unfenced()
        self.wrote: Callable[[Resource, JsonObject], None] = lambda _resource, _answer: None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Give the connections back."""
        await self._client.close()
        await asyncio.sleep(CLOSING_SECONDS)

    async def get(self, resource: Resource, name: str, namespace: str | None = None) -> JsonObject | None:
        """The object, or None when there is none."""
        status, answer = await self._send("GET", resource.path(name, namespace))
        return None if status == 404 else answer

    async def list_all(self, resource: Resource, namespace: str | None = None) -> list[JsonObject]:
        """Every object of a kind, page by page."""
        return [item async for page in self.pages(resource, namespace) for item in page.items]

    async def probe(self, resource: Resource) -> None:
        """Whether a kind can be listed now.

        Raises:
            OperatorError: it cannot, for the reason that this says.
        """
        status, _ = await self._send("GET", resource.path(), query=[("limit", "1")])
        if status == 404:
            raise KubeMissingError(f"{resource.plural} are not served (is the CRD installed?)", after=5)

    async def pages(
        self, resource: Resource, namespace: str | None = None, *, selector: str = ""
    ) -> AsyncIterator[Page]:
        """Every object of a kind, in pages of one moment."""
        token = ""
        while True:
            query = [("limit", str(PAGE)), *([("continue", token)] if token else [])]
            query += [("labelSelector", selector)] if selector else []
            status, answer = await self._send("GET", resource.path(namespace=namespace), query=query)
            if status == 404:
                raise KubeMissingError(f"{resource.plural} are not served (is the CRD installed?)", after=5)
            metadata = answer.get("metadata", {})
            yield Page(answer.get("items", []), str(metadata.get("resourceVersion") or "0"))
            token = metadata.get("continue", "")
            if not token:
                return

    async def watch(self, resource: Resource, version: str, *, selector: str) -> AsyncIterator[JsonObject]:
        """What changes from a version on, bookmarks included, until the apiserver ends the answer.

        Raises:
            KubeUnavailableError: it does not answer, or nothing came for longer than its bookmarks are apart.
            KubeConflictError: the version is too old: list again.
        """
        query = [("watch", "true"), ("allowWatchBookmarks", "true"), ("resourceVersion", version)]
        query += [("timeoutSeconds", str(WATCH_SECONDS)), ("labelSelector", selector)]
        path = resource.path()
        limits = aiohttp.ClientTimeout(total=WATCH_SECONDS + 30, connect=5, sock_read=SILENT_SECONDS)
        response = None
        try:
            response = await self._call("GET", path, query, None, limits)
            if response.status != 200:
                raise _error(f"watch {path}", response.status, _parsed(await response.read()), None)
            async for line in _lines(response.response.content):
                event = _parsed(line)
                if event.get("type") == "ERROR":
                    raise _error(f"watch {path}", int(event["object"].get("code") or 500), event["object"], None)
                yield event
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise KubeUnavailableError(f"watch {path}: {type(error).__name__}", after=0.5) from error
        finally:
            if response is not None:
                response.response.close()

    async def apply(self, resource: Resource, manifest: Mapping[str, Any]) -> JsonObject:
        """Server-side apply, taking over fields that others hold."""
        return await self._apply(resource, manifest, None)

    async def apply_status(
        self, resource: Resource, manifest: Mapping[str, Any], *, manager: str = FIELD_MANAGER
    ) -> JsonObject:
        """Server-side apply of the status subresource; each manager keeps what it applied itself."""
        return await self._apply(resource, manifest, "status", manager)

    async def create(self, resource: Resource, manifest: Mapping[str, Any], *, fenced: bool = True) -> JsonObject:
        """Create an object that must not exist yet. Only the Lease is written unfenced.

        Raises:
            KubeConflictError: it exists.
        """
        path = resource.path(namespace=manifest["metadata"].get("namespace"))
        query = [("fieldManager", FIELD_MANAGER)]
        return await self._write(resource, "POST", path, query=query, body=manifest, fenced=fenced)

    async def replace(self, resource: Resource, manifest: Mapping[str, Any], *, fenced: bool = True) -> JsonObject:
        """Replace exactly the version of an object that was seen. Only the Lease is written unfenced.

        Raises:
            KubeConflictError: it was changed or deleted meanwhile.
        """
        metadata = manifest["metadata"]
        path = resource.path(metadata["name"], metadata.get("namespace"))
        query = [("fieldManager", FIELD_MANAGER)]
        return await self._write(resource, "PUT", path, query=query, body=manifest, fenced=fenced)

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
        return await self._write(resource, "PATCH", path, query=query, body=body)

    async def _write(self, resource: Resource, method: str, path: str, **options: Any) -> JsonObject:
        _, answer = await self._send(method, path, missing_ok=False, **options)
        self.wrote(resource, answer)
        return answer

    async def _send(
        self,
        method: str,
        path: str,
        *,
        query: list[tuple[str, str]] | None = None,
        body: Mapping[str, Any] | None = None,
        missing_ok: bool = True,
        fenced: bool = True,
    ) -> tuple[int, JsonObject]:
        try:
            response = await self._call(method, path, query or [], body, self._timeout, fenced=fenced)
            raw = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise KubeUnavailableError(f"{method} {path}: {type(error).__name__}", after=0.5) from error
        answer = _parsed(raw)
        if response.status >= 400 and not (response.status == 404 and missing_ok):
            raise _error(f"{method} {path}", response.status, answer, response.headers.get("Retry-After"))
        return response.status, answer

    async def _call(
        self,
        method: str,
        path: str,
        query: list[tuple[str, str]],
        body: Mapping[str, Any] | None,
        limits: aiohttp.ClientTimeout,
        *,
        fenced: bool = True,
    ) -> Any:
        """The official client's transport, without its copying of bodies: they are plain JSON already."""
        headers = {
            "Accept": "application/json",
            "Content-Type": APPLY if method == "PATCH" else "application/json",
            "Authorization": f"Bearer {self._connection.token()}",
        }
        url = self._client.configuration.host + path + (f"?{urlencode(query)}" if query else "")
        if fenced and method != "GET":
            self._fence.check()
        return await self._client.rest_client.request(method, url, headers, cast(Any, body), _request_timeout=limits)


async def _lines(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Lines of any length."""
    rest = b""
    async for chunk in content.iter_any():
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            if line:
                yield line


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
    if status in {409, 410}:
        return KubeConflictError(message)
    if status == 403:
        return KubeForbiddenError(message)
    if status in {400, 404, 422}:
        return KubeInvalidError(message) if status != 404 else KubeConflictError(message)
    seconds = float(retry_after) if retry_after and retry_after.isdigit() else 0.5
    return KubeUnavailableError(message, after=seconds)
