"""Carries out a plan for a Tenant, action by action, and answers what is there afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses

from imagint_operator import names
from imagint_operator.api.tenants import Tenant
from imagint_operator.dataplane.gateways import Gateways
from imagint_operator.errors import OperatorError, PermanentError
from imagint_operator.keyrings import KeyRing
from imagint_operator.kube import statuses
from imagint_operator.kube.clients import Clients
from imagint_operator.kube.resources import NAMESPACES, TENANTS, ObjectKey
from imagint_operator.tenants import walls
from imagint_operator.tenants.endings import Ending
from imagint_operator.tenants.observations import KeyView, Observed
from imagint_operator.tenants.plan import Action, AddFinalizer, Apply, CloseGateway, DestroyAgain, EnsureKey
from imagint_operator.tenants.shredding import (
    Archive,
    Certify,
    DeleteNamespace,
    DestroyKey,
    ProbeGone,
    Record,
    RemoveFinalizer,
    RetainRoot,
)

NAMESPACE = NAMESPACES.kind


class Executor:
    """Does what a plan says: walls under the provisioner's identity, destruction under the shredder's."""

    def __init__(self, clients: Clients, keys: KeyRing, gateways: Gateways, ending: Ending) -> None:
        self.clients = clients
        self._keys = keys
        self._gateways = gateways
        self._ending = ending

    async def execute(self, tenant: Tenant, actions: tuple[Action, ...], observed: Observed) -> tuple[Tenant, Observed]:
        """The finalizer and the namespace first, then what stands inside it and the key, side by side.

        What the apiserver refuses is answered in `refused`, and whoever did not answer in `deletion_problem`.

        Raises:
            RetryableError: the apiserver did not answer; what was done stays done.
        """
        for action in actions:
            tenant, observed = await self._in_order(tenant, action, observed)
        if NAMESPACE in {key.kind for key in observed.refused}:
            return tenant, observed
        inside = [action for action in actions if isinstance(action, Apply) and action.key.kind != NAMESPACE]
        applies = asyncio.gather(*(self._apply(action) for action in inside))
        key, applied = await asyncio.gather(self._key(actions, observed), applies)
        made = {key: live for key, live in applied if not isinstance(live, PermanentError)}
        refused = {key: live for key, live in applied if isinstance(live, PermanentError)}
        contents = {**observed.contents, **made}
        after = dataclasses.replace(observed, contents=contents, key=key, refused={**observed.refused, **refused})
        return tenant, after

    async def _in_order(self, tenant: Tenant, action: Action, observed: Observed) -> tuple[Tenant, Observed]:
        """What has to be done one after the other."""
        if isinstance(action, AddFinalizer | RemoveFinalizer):
            return await self._finalizer(tenant, present=isinstance(action, AddFinalizer)), observed
        if isinstance(action, CloseGateway):
            with contextlib.suppress(OperatorError):  # the next look tries again
                await self._gateways.require_key(action.tenant, action.below)
        elif isinstance(action, DeleteNamespace):
            await self.clients.shredder.delete(NAMESPACES, action.name, uid=action.uid)
            left = await self.clients.controller.get(NAMESPACES, action.name)
            observed = dataclasses.replace(observed, namespace=left)
        elif isinstance(action, RetainRoot | Record | ProbeGone | Archive | Certify):
            try:
                observed = dataclasses.replace(observed, deletion=await self._ending.carry_out(tenant, action))
            except OperatorError as error:
                observed = dataclasses.replace(observed, deletion_problem=error)
        elif isinstance(action, Apply) and action.key.kind == NAMESPACE:
            try:
                observed = dataclasses.replace(observed, namespace=await self._namespace(action.manifest, observed))
            except PermanentError as error:
                observed = dataclasses.replace(observed, refused={action.key: error})
        return tenant, observed

    async def _namespace(self, manifest: walls.Manifest, observed: Observed) -> walls.Manifest:
        """A missing namespace is created, not applied: one that somebody else makes meanwhile is never adopted."""
        if observed.namespace is None:
            return await self.clients.provisioner.create(NAMESPACES, manifest)
        return await self.clients.provisioner.apply(NAMESPACES, manifest)

    async def _apply(self, action: Apply) -> tuple[ObjectKey, walls.Manifest | PermanentError]:
        """One wall that is refused does not keep the others from being built."""
        try:
            return action.key, await self.clients.provisioner.apply(walls.resource_of(action.key), action.manifest)
        except PermanentError as error:
            return action.key, error

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

    async def _finalizer(self, tenant: Tenant, *, present: bool) -> Tenant:
        metadata = {
            "name": tenant.name,
            "uid": tenant.metadata.uid,
            "finalizers": [names.FINALIZER] if present else [],
        }
        answer = await self.clients.controller.apply(TENANTS, {"metadata": metadata})
        return statuses.at_version(tenant, answer["metadata"]["resourceVersion"])
