"""The administrator's side: creates and changes objects, and watches when what was asked for stands in a status.

Independent of the operator's own code and caches: what it tells is what any client of the apiserver sees.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Any

import aiohttp
from bench.operator.objects import IMAGINT

from imagint_dev import kubeconfigs
from imagint_dev.stack import Stack

AT_ONCE = 8
PLURALS = {"Tenant": "tenants", "ModelDeployment": "modeldeployments", "DataSubjectRequest": "datasubjectrequests"}
Key = tuple[str, str]
Look = Callable[[Mapping[str, Any]], bool]


class RefusedError(Exception):
    """The apiserver did not take an object."""


class Cluster:
    """One connection pool with the administrator's certificate."""

    def __init__(self, stack: Stack) -> None:
        endpoint = kubeconfigs.read(stack.kubeconfig)
        self._server = endpoint.server
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=endpoint.context()),
            timeout=aiohttp.ClientTimeout(total=30),
            trust_env=False,
        )

    async def close(self) -> None:
        """Give the connections back."""
        await self._session.close()

    async def get(self, path: str) -> Any:
        """One object or list; asked again while the apiserver has no time, as just after a CRD was made."""
        for _ in range(60):
            async with self._session.get(self._server + path) as response:
                if response.status not in {429, 503}:
                    return await response.json()
            await asyncio.sleep(0.5)
        raise RefusedError(f"the apiserver has no time for {path}")

    async def text(self, path: str) -> str:
        """A page of text."""
        async with self._session.get(self._server + path) as response:
            return await response.text()

    async def create(self, manifest: Mapping[str, Any]) -> None:
        """Create one object; one that is there is fine."""
        path = _path(manifest["kind"], manifest["metadata"].get("namespace"))
        for _ in range(60):
            async with self._session.post(self._server + path, json=manifest) as response:
                if response.status in {201, 409}:
                    return
                if response.status not in {429, 503}:
                    raise RefusedError(f"{response.status} for a {manifest['kind']}: {(await response.text())[:400]}")
            await asyncio.sleep(0.5)
        raise RefusedError(f"the apiserver has no time for a {manifest['kind']}")

    async def create_all(self, manifests: Iterable[Mapping[str, Any]]) -> float:
        """Create some objects, a few at once; answers how many seconds it took."""
        began, left = time.monotonic(), iter(manifests)

        async def some() -> None:
            for manifest in left:
                await self.create(manifest)

        await asyncio.gather(*(some() for _ in range(AT_ONCE)))
        return time.monotonic() - began

    async def change(self, kind: str, name: str, namespace: str | None, spec: Mapping[str, Any]) -> int:
        """Change some of a spec; answers the new generation."""
        path = f"{_path(kind, namespace)}/{name}"
        headers = {"Content-Type": "application/merge-patch+json"}
        body = json.dumps({"spec": spec})
        async with self._session.patch(self._server + path, data=body, headers=headers) as response:
            answer = await response.json()
            if response.status != 200:
                raise RefusedError(f"{response.status} for a change of a {kind}")
            return int(answer["metadata"]["generation"])

    async def version(self) -> int:
        """The newest version of the whole store: etcd's revision."""
        answer = await self.get(f"{IMAGINT}/tenants?limit=1")
        return int(answer["metadata"]["resourceVersion"])

    async def watch(self, kind: str, version: int | str) -> AsyncIterator[Mapping[str, Any]]:
        """Every event from a version on."""
        query = f"?watch=true&resourceVersion={version}&timeoutSeconds=3000"
        limits = aiohttp.ClientTimeout(total=None, sock_read=None)
        async with self._session.get(self._server + _path(kind, None) + query, timeout=limits) as response:
            rest = b""
            async for chunk in response.content.iter_any():
                *whole, rest = (rest + chunk).split(b"\n")
                for line in whole:
                    yield json.loads(line)


class Turning:
    """Notes when each object of a kind was first seen to be as `look` wants it."""

    def __init__(self, cluster: Cluster, kind: str, looks: Mapping[str, Look]) -> None:
        self._cluster = cluster
        self._kind = kind
        self._looks = looks
        self.seen: dict[str, dict[Key, float]] = {name: {} for name in looks}

    @contextlib.asynccontextmanager
    async def watching(self) -> AsyncIterator[Turning]:
        """Watch from now on."""
        listed = await self._cluster.get(_path(self._kind, None))
        for item in listed["items"]:
            self._note(item)
        task = asyncio.create_task(self._watch(listed["metadata"]["resourceVersion"]))
        try:
            yield self
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def all_of(self, name: str, many: int, limit_s: float, say: Callable[[str], None] = lambda _: None) -> bool:
        """Wait until so many are; answers whether they came to be in time."""
        deadline = time.monotonic() + limit_s
        while len(self.seen[name]) < many and time.monotonic() < deadline:
            say(", ".join(f"{len(found)} {of}" for of, found in self.seen.items()) + f" of {many}")
            await asyncio.sleep(0.25)
        return len(self.seen[name]) >= many

    async def _watch(self, version: str) -> None:
        async for event in self._cluster.watch(self._kind, version):
            if event["type"] in {"ADDED", "MODIFIED"}:
                self._note(event["object"])

    def _note(self, item: Mapping[str, Any]) -> None:
        now, key = time.monotonic(), key_of(item)
        for name, look in self._looks.items():
            if key not in self.seen[name] and look(item):
                self.seen[name][key] = now


def key_of(item: Mapping[str, Any]) -> Key:
    """Where an object is."""
    return item["metadata"].get("namespace", ""), item["metadata"]["name"]


def holds(condition: str) -> Look:
    """Whether a condition is True."""
    return lambda item: _status(item, condition)[0] == "True"


def told(item: Mapping[str, Any]) -> bool:
    """Whether the status speaks about this generation of the object."""
    return bool(item.get("status", {}).get("observedGeneration") == item["metadata"]["generation"])


def ended(item: Mapping[str, Any]) -> bool:
    """Whether a request is complete, or recorded as one that is not carried out yet: nothing more happens to it."""
    status, reason = _status(item, "Complete")
    return status == "True" or reason == "NotYetExecutable"


def _status(item: Mapping[str, Any], condition: str) -> tuple[str, str]:
    conditions = item.get("status", {}).get("conditions", [])
    return next(((c["status"], c["reason"]) for c in conditions if c["type"] == condition), ("", ""))


def _path(kind: str, namespace: str | None) -> str:
    inside = f"/namespaces/{namespace}" if namespace else ""
    return f"{IMAGINT}{inside}/{PLURALS[kind]}"
