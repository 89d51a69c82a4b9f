"""Puts the operator together: the only module that knows every adapter. Starts it, and stops it within seconds."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
import logging
import os
import secrets
import socket
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from imagint_operator.dataplane.gateways import Gateways
from imagint_operator.dataplane.prober import Prober
from imagint_operator.errors import SettingsError
from imagint_operator.keyrings import KeyRing
from imagint_operator.kube import connections
from imagint_operator.kube.client import KubeClient
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
from imagint_operator.telemetry.calls import Calls
from imagint_operator.telemetry.looks import Looks
from imagint_operator.telemetry.snapshots import Snapshots
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
from imagint_privacy.tracing import OFF, Tracing, TracingError, configured
from imagint_privacy.vault import EvidenceSigner, VaultSession
from imagint_privacy.vault import KeyAdmin as VaultKeyAdmin

COALESCE_SECONDS = 0.05
STOP_SECONDS = 2.5
TRACES_SECONDS = 1.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Vault:
    """The two things the operator does in Vault."""

    admin: KeyAdmin
    signer: Signer


@dataclass(frozen=True, slots=True)
class Assembly:
    """The operator, put together and not yet running."""

    client: KubeClient
    queue: WorkQueue[ObjectKey]
    runtime: Runtime
    controllers: dict[str, Controller]
    metrics: Metrics


def vault(settings: Settings) -> Vault:
    """Vault as the settings say: the operator's own role, its token file read anew at each log-in."""
    session = VaultSession(settings.vault_addr, "operator", settings.vault_token_file)
    return Vault(VaultKeyAdmin(session), EvidenceSigner(session))


@contextlib.asynccontextmanager
async def assembled(
    settings: Settings, keys: Vault, clock: Clock = utc_now, tracing: Tracing = OFF
) -> AsyncIterator[Assembly]:
    """Every part, connected; the connections are given back at the end."""
    metrics = Metrics(clock)
    calls, snapshots = Calls(metrics), Snapshots(clock)
    async with contextlib.AsyncExitStack() as stack:
        client = await stack.enter_async_context(KubeClient(connections.load(settings.kubeconfig), calls=calls))
        gateways = Gateways(settings.serve_url, settings.dataplane_token_file, calls)
        prober = Prober(settings.prober_url, settings.prober_token_file, calls)
        serve = RestServe(settings.ray_dashboard, settings.ray_token_file, settings.serve_url, calls=calls)
        for part in (gateways, prober, serve):
            stack.push_async_callback(part.close)
        queue: WorkQueue[ObjectKey] = WorkQueue(
            waited=lambda key, seconds: metrics.queue_seconds.labels(key.kind).observe(seconds)
        )
        metrics.sources.queue_length, metrics.sources.snapshot = queue.__len__, snapshots
        writer = ServeWriter(client, serve, settings, clock=clock, notify=queue.add)
        world = World(clock, settings.resync_seconds, lambda: writer.view, Waker(queue))
        ring, recorder = KeyRing(keys.admin, calls), Recorder(client, socket.gethostname())
        peers = Peers(client, ring, gateways, prober, keys.signer, _issuer(settings), clock, _salt)
        observer, executor = Observer(client, ring, gateways), Executor(client, ring, gateways)
        controllers: dict[str, Controller] = {
            TENANTS.kind: TenantController(client, observer, executor, recorder, world),
            MODEL_DEPLOYMENTS.kind: ModelController(client, gateways, recorder, world),
            DATA_SUBJECT_REQUESTS.kind: RequestController(peers, recorder, world),
            RETENTION: RetentionController(client, RetentionPeers(ring, gateways.retention), recorder, world),
            SERVE.kind: writer,
            TRUST.kind: TrustController(client, keys.signer),
        }
        runtime = Runtime(controllers, queue, metrics, looks=Looks(tracing), listed=snapshots.listed)
        yield Assembly(client, queue, runtime, controllers, metrics)


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Run until told to stop. What is under way is cut off: every step is recorded and is taken up again."""
    loop = asyncio.get_running_loop()
    tracing = traces(os.environ)
    async with assembled(settings, vault(settings), tracing=tracing) as operator:
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
    tracing.close(TRACES_SECONDS)


def traces(environment: Mapping[str, str]) -> Tracing:
    """Traces as OpenTelemetry's own variables ask for.

    Raises:
        SettingsError: they are asked for and cannot be sent.
    """
    try:
        return configured("imagint-operator", environment)
    except TracingError as error:
        raise SettingsError(f"The operator cannot start: {error}") from None


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
