"""Puts the operator together: the only module that knows every adapter. Starts it, and stops it within seconds."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
import logging
import secrets
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass

from imagint_operator.dataplane.gateways import Gateways
from imagint_operator.dataplane.prober import Prober
from imagint_operator.keyrings import KeyRing
from imagint_operator.kube import connections
from imagint_operator.kube.client import KubeClient
from imagint_operator.kube.clients import Clients, connected
from imagint_operator.kube.events import Recorder
from imagint_operator.kube.resources import (
    DATA_SUBJECT_REQUESTS,
    MODEL_DEPLOYMENTS,
    TENANTS,
    ObjectKey,
)
from imagint_operator.metrics import Metrics
from imagint_operator.models.controller import ModelController
from imagint_operator.requests.certificates import Issuer
from imagint_operator.requests.controller import RequestController
from imagint_operator.requests.execute import Peers
from imagint_operator.retention.controller import RetentionController
from imagint_operator.retention.execute import Peers as RetentionPeers
from imagint_operator.runtime import Controller, Runtime
from imagint_operator.serve.rest import RestServe
from imagint_operator.serve.views import SERVE
from imagint_operator.serve.writer import ServeWriter
from imagint_operator.settings import Settings
from imagint_operator.tenants.controller import TenantController
from imagint_operator.tenants.execute import Executor
from imagint_operator.tenants.observe import Observer
from imagint_operator.times import Clock, utc_now
from imagint_operator.trust import TRUST, TrustController
from imagint_operator.turns import RETENTION
from imagint_operator.watchers import Watcher
from imagint_operator.workqueues import WorkQueue
from imagint_operator.world import World
from imagint_privacy.keys.ports import KeyAdmin, Signer
from imagint_privacy.vault import EvidenceSigner, VaultSession
from imagint_privacy.vault import KeyAdmin as VaultKeyAdmin

COALESCE_SECONDS = 0.05
STOP_SECONDS = 2.5
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Vault:
    """What the operator does in Vault: makes keys and signs as controller, destroys as shredder."""

    admin: KeyAdmin
    shredder: KeyAdmin
    signer: Signer


@dataclass(frozen=True, slots=True)
class Assembly:
    """The operator, put together and not yet running."""

    client: KubeClient
    clients: Clients
    queue: WorkQueue[ObjectKey]
    runtime: Runtime
    controllers: dict[str, Controller]
    metrics: Metrics


def vault(settings: Settings) -> Vault:
    """Vault as the settings say: a session for each of two roles, their token files read anew at each log-in."""
    session = VaultSession(settings.vault_addr, "controller", settings.vault_token_file)
    shredder = VaultSession(settings.vault_addr, "shredder", settings.shredder_vault_token_file)
    return Vault(VaultKeyAdmin(session), VaultKeyAdmin(shredder), EvidenceSigner(session))


@contextlib.asynccontextmanager
async def assembled(settings: Settings, keys: Vault, clock: Clock = utc_now) -> AsyncIterator[Assembly]:
    """Every part, connected; the connections are given back at the end."""
    async with contextlib.AsyncExitStack() as stack:
        clients = await stack.enter_async_context(connected(settings))
        client = clients.controller
        gateways = Gateways(settings.serve_url, settings.dataplane_token_file)
        prober = Prober(settings.prober_url, settings.prober_token_file)
        serve = RestServe(settings.ray_dashboard, settings.ray_token_file, settings.serve_url)
        for part in (gateways, prober, serve):
            stack.push_async_callback(part.close)
        queue: WorkQueue[ObjectKey] = WorkQueue()
        writer = ServeWriter(client, serve, settings, clock=clock, notify=queue.add)
        world = World(clock, settings.resync_seconds, lambda: writer.view, Waker(queue))
        ring, recorder = KeyRing(keys.admin, keys.shredder), Recorder(client, socket.gethostname())
        peers = Peers(client, ring, gateways, prober, keys.signer, _issuer(settings), clock, _salt)
        observer, executor = Observer(client, ring, gateways), Executor(clients, ring, gateways)
        controllers: dict[str, Controller] = {
            TENANTS.kind: TenantController(client, observer, executor, recorder, world),
            MODEL_DEPLOYMENTS.kind: ModelController(client, gateways, recorder, world),
            DATA_SUBJECT_REQUESTS.kind: RequestController(peers, recorder, world),
            RETENTION: RetentionController(client, RetentionPeers(ring, gateways.retention), recorder, world),
            SERVE.kind: writer,
            TRUST.kind: TrustController(client, keys.signer),
        }
        metrics = Metrics()
        yield Assembly(client, clients, queue, Runtime(controllers, queue, metrics), controllers, metrics)


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Run until told to stop. What is under way is cut off: every step is recorded and is taken up again."""
    loop = asyncio.get_running_loop()
    async with assembled(settings, vault(settings)) as operator:
        watcher = Watcher(
            connections.load(settings.kubeconfig),
            lambda key: _from_thread(loop, operator.queue, key),
        )
        work = asyncio.create_task(
            operator.runtime.work(operator.client, (SERVE, TRUST), settings.resync_seconds), name="work"
        )
        watcher.start()
        operator.metrics.serve(settings.metrics_host, settings.metrics_port)
        _log.info("the operator works")
        stopped = asyncio.create_task(stop.wait(), name="stop")
        await asyncio.wait({work, stopped}, return_when=asyncio.FIRST_COMPLETED)
        for task in (work, stopped):
            task.cancel()
        await asyncio.gather(work, stopped, return_exceptions=True)
        await watcher.stop(STOP_SECONDS)


class Waker:
    """Wakes a key; Serve's writer a moment later, so that changes that come together are put together."""

    def __init__(self, queue: WorkQueue[ObjectKey]) -> None:
        self._queue = queue

    def __call__(self, key: ObjectKey) -> None:
        """Have a key looked at."""
        self._queue.add_after(key, COALESCE_SECONDS if key == SERVE else 0)


def _from_thread(loop: asyncio.AbstractEventLoop, queue: WorkQueue[ObjectKey], key: ObjectKey) -> None:
    with contextlib.suppress(RuntimeError):  # the loop is closed: the process is ending
        loop.call_soon_threadsafe(queue.add, key)


def _issuer(settings: Settings) -> Issuer:
    version = importlib.metadata.version("imagint")
    return Issuer(version, settings.image_digest, settings.policy_version, settings.snapshot_retention)


def _salt() -> str:
    return secrets.token_hex(32)
