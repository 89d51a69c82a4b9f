"""Keeps one store equal to the apiserver: a list, then a watch, bookmarks included, and a list again where it broke.

Says who changed something that is not ours to be changed by others. Never ends by itself, never raises.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any

from imagint_operator import names
from imagint_operator.errors import KubeConflictError, OperatorError
from imagint_operator.kube.caches import JsonObject, Store, identity
from imagint_operator.kube.client import FIELD_MANAGER, KubeClient
from imagint_operator.kube.resources import Resource
from imagint_operator.watchages import Ages

SELECTOR = f"{names.MANAGED_BY}={names.OPERATOR}"
FIRST_PAUSE, LAST_PAUSE = 0.2, 15.0
_log = logging.getLogger(__name__)


async def fill(
    client: KubeClient, resource: Resource, store: Store[Any], *, selector: str = ""
) -> tuple[str, list[tuple[str, str]]]:
    """List a kind into its store; answers the version of the list, and what turned by it.

    A list is as new as everything that was seen before it was asked for, unless etcd was set back meanwhile.
    """
    version, listed, news, seen = "0", set(), [], store.newest
    lost: list[tuple[str, str]] = []
    async for page in client.pages(resource, selector=selector):
        version = page.version
        if 0 < int(version) < seen:
            _log.warning("%s: the apiserver went back in time (etcd was restored): read anew", resource.plural)
            lost, seen = store.begin_anew(), 0
        for item in page.items:
            place = identity(item)[:2]
            listed.add(place)
            if store.put(item):
                news.append(place)
        await asyncio.sleep(0)
    return version, news + store.keep(listed, int(version)) + [place for place in lost if place not in listed]


class Reflector:
    """Watches the owned children of one kind."""

    def __init__(
        self,
        client: KubeClient,
        resource: Resource,
        store: Store[JsonObject],
        ages: Ages,
        drifted: Callable[[str], None],
    ) -> None:
        self._client = client
        self._resource = resource
        self._store = store
        self._ages = ages
        self._drifted = drifted

    async def run(self) -> None:
        """Until cancelled."""
        pause = FIRST_PAUSE
        while True:
            try:
                version = await self.fill()
                pause = FIRST_PAUSE
                while True:
                    version = await self._watch(version)
            except KubeConflictError:
                pass  # the version is too old: list again
            except OperatorError as error:
                self._ages.troubled(self._resource.plural, error)
            await asyncio.sleep(pause)
            pause = min(LAST_PAUSE, pause * 2)

    async def fill(self) -> str:
        """List everything; answers the version from which to watch."""
        again = self._store.complete
        version, news = await fill(self._client, self._resource, self._store, selector=SELECTOR)
        for namespace, name in news if again else ():
            self._drifted(namespace or name)
        self._ages.heard(self._resource.plural)
        return version

    async def _watch(self, version: str) -> str:
        self._ages.heard(self._resource.plural)
        async for event in self._client.watch(self._resource, version, selector=SELECTOR):
            self._ages.heard(self._resource.plural)
            item = event["object"]
            version = item["metadata"]["resourceVersion"]
            if event["type"] == "DELETED":
                if self._store.remove(item):
                    self._tell(item)
            elif event["type"] != "BOOKMARK" and self._store.put(item) and not _ours(item):
                self._tell(item)
        return version

    def _tell(self, item: Mapping[str, Any]) -> None:
        metadata = item["metadata"]
        self._drifted(metadata.get("namespace") or metadata["name"])


def _ours(item: Mapping[str, Any]) -> bool:
    """Whether nobody but this operator changed more than the status since it last applied."""
    entries = [entry for entry in item["metadata"].get("managedFields") or () if entry.get("subresource") != "status"]
    mine = [entry.get("time", "") for entry in entries if entry.get("manager") == FIELD_MANAGER]
    others = [entry.get("time", "") for entry in entries if entry.get("manager") != FIELD_MANAGER]
    return bool(mine) and max(others, default="") < max(mine)
