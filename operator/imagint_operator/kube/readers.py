"""How controllers read: from the caches where they are complete, else from the apiserver. Changes nothing there.

What this version cannot read is never taken for "not there": whoever asks for it, or for all of it, gets an error.
What drives a protocol is read with `fresh`, from the apiserver itself: docs/adr/0010-leader-election.md says which.
"""

from __future__ import annotations

from typing import Protocol, TypeVar, cast

from imagint_operator.api.base import Kind
from imagint_operator.errors import UnreadableError
from imagint_operator.kube.caches import Caches, JsonObject, Store
from imagint_operator.kube.client import KubeClient
from imagint_operator.kube.resources import BY_KIND, ObjectKey, Resource

K = TypeVar("K", bound=Kind)


class Reader(Protocol):
    """Reads objects."""

    async def get(self, resource: Resource, name: str, namespace: str | None = None) -> JsonObject | None:
        """An owned child as it is, or None."""

    async def one(self, model: type[K], name: str, namespace: str | None = None) -> K | None:
        """One object of our own kinds, parsed, or None."""

    async def all(self, model: type[K], namespace: str | None = None) -> list[K]:
        """Every object of one of our own kinds, parsed."""

    async def fresh(self, model: type[K], name: str, namespace: str | None = None) -> K | None:
        """One object of our own kinds as the apiserver has it now, or None."""


class LiveReader:
    """Asks the apiserver every time."""

    def __init__(self, client: KubeClient) -> None:
        self._client = client

    async def get(self, resource: Resource, name: str, namespace: str | None = None) -> JsonObject | None:
        """See the port."""
        return await self._client.get(resource, name, namespace)

    async def one(self, model: type[K], name: str, namespace: str | None = None) -> K | None:
        """See the port."""
        return await self.fresh(model, name, namespace)

    async def all(self, model: type[K], namespace: str | None = None) -> list[K]:
        """See the port."""
        return [model.model_validate(item) for item in await self._client.list_all(_resource(model), namespace)]

    async def fresh(self, model: type[K], name: str, namespace: str | None = None) -> K | None:
        """See the port."""
        found = await self._client.get(_resource(model), name, namespace)
        return model.model_validate(found) if found is not None else None


class CachedReader:
    """Reads from the caches; a kind whose store is not complete yet is asked for live."""

    def __init__(self, client: KubeClient, caches: Caches) -> None:
        self._client = client
        self._caches = caches
        self._live = LiveReader(client)

    async def get(self, resource: Resource, name: str, namespace: str | None = None) -> JsonObject | None:
        """See the port."""
        store = self._caches.children.get(resource.kind)
        if store is None or not store.complete:
            return await self._live.get(resource, name, namespace)
        return store.get(name, namespace or "")

    async def one(self, model: type[K], name: str, namespace: str | None = None) -> K | None:
        """See the port."""
        store = self._complete(model)
        return await self.fresh(model, name, namespace) if store is None else _kept(store, model, name, namespace)

    async def all(self, model: type[K], namespace: str | None = None) -> list[K]:
        """See the port."""
        store = self._complete(model)
        if store is None:
            return await self._live.all(model, namespace)
        if namespace is None and store.unreadable:  # no name: this ends in the conditions of others
            raise UnreadableError(f"a {model.__name__} says what this version cannot read: the operator's log names it")
        for inside, name in store.unreadable:
            if inside == namespace:
                raise _unreadable(model, name, inside)
        return store.all(namespace)

    async def fresh(self, model: type[K], name: str, namespace: str | None = None) -> K | None:
        """See the port; the caches take it up."""
        resource = _resource(model)
        found = await self._client.get(resource, name, namespace)
        store = self._caches.own.get(resource.kind)
        if found is None:
            if store is not None:
                store.drop(name, namespace or "")
            return None
        if store is None:
            return model.model_validate(found)
        store.put(found)
        return _kept(cast("Store[K]", store), model, name, namespace)

    async def refresh(self, key: ObjectKey) -> None:
        """Ask the apiserver for one object of our own kinds, whatever the caches say."""
        store, resource = self._caches.own.get(key.kind), BY_KIND.get(key.kind)
        if store is None or resource is None:
            return
        found = await self._client.get(resource, key.name, key.namespace or None)
        if found is None:
            store.drop(key.name, key.namespace)
        else:
            store.put(found)

    def _complete(self, model: type[K]) -> Store[K] | None:
        store = self._caches.own.get(model.__name__)
        return cast("Store[K]", store) if store is not None and store.complete else None


def _kept(store: Store[K], model: type[K], name: str, namespace: str | None) -> K | None:
    if (namespace or "", name) in store.unreadable:
        raise _unreadable(model, name, namespace or "")
    return store.get(name, namespace or "")


def _unreadable(model: type[Kind], name: str, namespace: str) -> UnreadableError:
    place = f"{namespace}/{name}" if namespace else name
    hint = "install the CRDs of this version and apply it again"
    return UnreadableError(f"{model.__name__} {place} says what this version cannot read: {hint}")


def _resource(model: type[Kind]) -> Resource:
    return BY_KIND[model.__name__]
