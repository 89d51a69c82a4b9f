"""Keeps the caches warm, in a leader and in a standby alike: Kopf for our own kinds, reflectors for owned children.

Writes nothing. Hands on which object to look at; whether anybody looks is the concern of who holds the Lease.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable
from typing import Any

from imagint_operator import names
from imagint_operator.errors import OperatorError
from imagint_operator.kube.caches import Caches
from imagint_operator.kube.client import KubeClient
from imagint_operator.kube.connections import Connection
from imagint_operator.kube.reflectors import Reflector, fill
from imagint_operator.kube.resources import BY_KIND, CHILDREN, TENANTS, WATCHED, ObjectKey, Resource
from imagint_operator.watchages import Ages
from imagint_operator.watchers import Watcher

SWEEP_SECONDS = 600.0
FIRST_SWEEP_SECONDS = 30.0
UNFILLED_SECONDS = 2.0
STOP_SECONDS = 2.5


class Informer:
    """Fills the caches and keeps them filled."""

    def __init__(
        self,
        client: KubeClient,
        connection: Connection,
        caches: Caches,
        ages: Ages,
        notify: Callable[[ObjectKey], None],
    ) -> None:
        self._client = client
        self._caches = caches
        self._ages = ages
        self._notify = notify
        self._loop = asyncio.get_running_loop()
        self._watcher = Watcher(connection, seen=self._from_kopf, ages=ages)
        self._generations: dict[ObjectKey, tuple[object, ...]] = {}

    async def run(self) -> None:
        """Until cancelled."""
        reflectors = [
            Reflector(self._client, resource, self._caches.children[resource.kind], self._ages, self._drifted)
            for resource in CHILDREN
        ]
        try:
            async with asyncio.TaskGroup() as group:
                for reflector in reflectors:
                    group.create_task(reflector.run())
                for resource in WATCHED:
                    group.create_task(self._sweep(resource))
                self._watcher.start()
        finally:
            await self._watcher.stop(STOP_SECONDS)

    async def filled(self, seconds: float) -> None:
        """Wait until every store is complete, but not for ever: a kind may be missing."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not all(map(self._complete, (*CHILDREN, *WATCHED))):  # noqa: ASYNC110 - twelve short loads
                    await asyncio.sleep(0.02)

    def _complete(self, resource: Resource) -> bool:
        store = self._caches.store(resource)
        return store is None or store.complete

    async def _sweep(self, resource: Resource) -> None:
        """List a kind at the start and now and then: Kopf does not tell what vanished while its watch was broken."""
        pause = FIRST_SWEEP_SECONDS
        while True:
            store = self._caches.own[resource.kind]
            try:
                _, news = await fill(self._client, resource, store)
                for namespace, name in news:
                    self._notify(ObjectKey(resource.kind, namespace, name))
            except OperatorError as error:
                self._ages.troubled(resource.plural, error)
                await asyncio.sleep(UNFILLED_SECONDS)
                continue
            await asyncio.sleep(pause * (0.9 + random.random() / 5))  # noqa: S311 - spreads load, hides nothing
            pause = SWEEP_SECONDS

    def _from_kopf(self, resource: Resource, event: str | None, item: dict[str, Any]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: the process is ending
            self._loop.call_soon_threadsafe(self._take, resource, event, item)

    def _take(self, resource: Resource, event: str | None, item: dict[str, Any]) -> None:
        store, metadata = self._caches.own[resource.kind], item["metadata"]
        key = ObjectKey(resource.kind, metadata.get("namespace") or "", metadata["name"])
        put = store.remove(item) if event == "DELETED" else store.put(item)
        listed_twice = event is None and not put and key not in self._generations
        if self._news(key, event, metadata) and not listed_twice:
            self._notify(key)

    def _news(self, key: ObjectKey, event: str | None, metadata: dict[str, Any]) -> bool:
        """Whether anything changed but the status: our own writes must neither wake us nor cut a pause short."""
        before = self._generations.pop(key, None)
        if event == "DELETED":
            return True
        seen = (metadata.get("uid"), metadata.get("generation"), metadata.get("deletionTimestamp"))
        self._generations[key] = seen
        return before != seen

    def _drifted(self, namespace: str) -> None:
        """A child of a tenant's was changed by somebody else: its Tenant is looked at."""
        if tenant := names.tenant_of(namespace):
            self._notify(ObjectKey(TENANTS.kind, "", tenant))


def every_key(caches: Caches) -> list[ObjectKey]:
    """Every object of our own kinds that is known, be it only that it cannot be read."""
    keys = [(BY_KIND[kind], item) for kind, store in caches.own.items() for item in store.all()]
    unreadable = [ObjectKey(kind, *place) for kind, store in caches.own.items() for place in store.unreadable]
    return [ObjectKey(each.kind, item.metadata.namespace or "", item.name) for each, item in keys] + unreadable
