"""Carries out a plan for a Tenant, action by action, and answers what is there afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses

from imagint_operator import names
from imagint_operator.api.tenants import Tenant
from imagint_operator.dataplane.gateways import Gateways
from imagint_operator.errors import OperatorError
from imagint_operator.keyrings import KeyRing
from imagint_operator.kube.clients import Clients
from imagint_operator.kube.resources import NAMESPACES, TENANTS
from imagint_operator.tenants import walls
from imagint_operator.tenants.observations import KeyView, Observed
from imagint_operator.tenants.plan import (
    Action,
    AddFinalizer,
    Apply,
    CloseGateway,
    DeleteNamespace,
    DestroyAgain,
    DestroyKey,
    EnsureKey,
    RemoveFinalizer,
)


class Executor:
    """Does what a plan says: walls under the provisioner's identity, destruction under the shredder's."""

    def __init__(self, clients: Clients, keys: KeyRing, gateways: Gateways) -> None:
        self._clients = clients
        self._keys = keys
        self._gateways = gateways

    async def execute(self, tenant: Tenant, actions: tuple[Action, ...], observed: Observed) -> Observed:
        """The finalizer and the namespace first, then what stands inside it and the key, side by side.

        Raises:
            RetryableError: the apiserver did not answer; what was done stays done.
        """
        for action in actions:
            if isinstance(action, AddFinalizer | RemoveFinalizer):
                await self._finalizer(tenant, present=isinstance(action, AddFinalizer))
            elif isinstance(action, CloseGateway):
                with contextlib.suppress(OperatorError):  # the next look tries again
                    await self._gateways.require_key(action.tenant, action.below)
            elif isinstance(action, DeleteNamespace):
                await self._clients.shredder.delete(NAMESPACES, action.name, uid=action.uid)
                left = await self._clients.controller.get(NAMESPACES, action.name)
                observed = dataclasses.replace(observed, namespace=left)
            elif isinstance(action, Apply) and action.key.kind == NAMESPACES.kind:
                namespace = await self._namespace(action.manifest, observed)
                observed = dataclasses.replace(observed, namespace=namespace)
        inside = [action for action in actions if isinstance(action, Apply) and action.key.kind != NAMESPACES.kind]
        applies = asyncio.gather(*(self._apply(action) for action in inside))
        key, applied = await asyncio.gather(self._key(actions, observed), applies)
        contents = {**observed.contents, **{action.key: live for action, live in zip(inside, applied, strict=True)}}
        return dataclasses.replace(observed, contents=contents, key=key)

    async def _namespace(self, manifest: walls.Manifest, observed: Observed) -> walls.Manifest:
        """A missing namespace is created, not applied: one that somebody else makes meanwhile is never adopted."""
        if observed.namespace is None:
            return await self._clients.provisioner.create(NAMESPACES, manifest)
        return await self._clients.provisioner.apply(NAMESPACES, manifest)

    async def _apply(self, action: Apply) -> walls.Manifest:
        return await self._clients.provisioner.apply(walls.resource_of(action.key), action.manifest)

    async def _key(self, actions: tuple[Action, ...], observed: Observed) -> KeyView:
        try:
            for action in actions:
                if isinstance(action, EnsureKey):
                    return KeyView(state=await self._keys.ensure(action.name))
                if isinstance(action, DestroyAgain):
                    await self._keys.raise_minimum(action.name, action.version)
                    state = await self._keys.trim(action.name, action.version)
                    return KeyView(state=state, destroyed_below=action.version, replayed=True)
                if isinstance(action, DestroyKey):
                    await self._keys.destroy(action.name)
                    return KeyView(state=await self._keys.state(action.name))
        except OperatorError as error:
            return KeyView(problem=error)
        return observed.key

    async def _finalizer(self, tenant: Tenant, *, present: bool) -> None:
        metadata = {
            "name": tenant.name,
            "uid": tenant.metadata.uid,
            "finalizers": [names.FINALIZER] if present else [],
        }
        await self._clients.controller.apply(TENANTS, {"metadata": metadata})
