"""The operator's three identities at the apiserver: a request goes out under the one whose job it is.

So the apiserver's rights, admission policies and audit log tell them apart (docs/adr/0012-three-identities.md).
Nothing here chooses an identity: the caller names it.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass

from imagint_operator.kube import connections
from imagint_operator.kube.client import KubeClient
from imagint_operator.kube.connections import Connection
from imagint_operator.settings import Settings


@dataclass(frozen=True, slots=True)
class Clients:
    """One client for each identity."""

    controller: KubeClient
    """Reads; writes statuses, the finalizer, events, certificates and what runs the data plane."""
    provisioner: KubeClient
    """Builds walls: namespaces and what stands inside them."""
    shredder: KubeClient
    """Deletes the namespaces of tenants."""

    def __iter__(self) -> Iterator[KubeClient]:
        return iter((self.controller, self.provisioner, self.shredder))


@contextlib.asynccontextmanager
async def connected(settings: Settings, new: Callable[[Connection], KubeClient] = KubeClient) -> AsyncIterator[Clients]:
    """The three clients, each made by `new`; their connections are given back at the end.

    Raises:
        SettingsError: one of the kubeconfigs is missing or not usable.
    """
    files = (settings.kubeconfig, settings.provisioner_kubeconfig, settings.shredder_kubeconfig)
    async with contextlib.AsyncExitStack() as stack:
        made = [await stack.enter_async_context(new(connections.load(path))) for path in files]
        yield Clients(*made)
