"""Puts the operator together: the only module that knows every adapter. Starts it, and stops it within seconds."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
import logging
import os
import secrets
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta

from imagint_operator import incarnations
from imagint_operator.api.base import Kind
from imagint_operator.api.breaches import BreachIncident
from imagint_operator.api.holds import LegalHold
from imagint_operator.api.models import ModelDeployment
from imagint_operator.api.policies import PrivacyPolicy
from imagint_operator.api.processors import DataProcessor
from imagint_operator.api.requests import DataSubjectRequest
from imagint_operator.api.tenants import Tenant
from imagint_operator.breaches.controller import BreachController
from imagint_operator.dataplane.gateways import Gateways
from imagint_operator.dataplane.prober import Prober
from imagint_operator.errors import SettingsError
from imagint_operator.fences import Fence, unfenced
from imagint_operator.health import Health
from imagint_operator.holds.controller import HoldController
from imagint_operator.informers import Informer, every_key
from imagint_operator.keyrings import KeyRing
from imagint_operator.kube import connections
from imagint_operator.kube.caches import Caches
from imagint_operator.kube.client import KubeClient
from imagint_operator.kube.clients import Clients, connected
from imagint_operator.kube.events import Recorder
from imagint_operator.kube.readers import CachedReader, LiveReader, Reader
from imagint_operator.kube.resources import (
    BREACH_INCIDENTS,
    CHILDREN,
    DATA_PROCESSORS,
    DATA_SUBJECT_REQUESTS,
    LEGAL_HOLDS,
    MODEL_DEPLOYMENTS,
    PRIVACY_POLICIES,
    TENANTS,
    WATCHED,
    ObjectKey,
    Resource,
)
from imagint_operator.leases import Elector, Place, Timing
from imagint_operator.metrics import Metrics
from imagint_operator.models.controller import ModelController
from imagint_operator.names import PLATFORM_NAMESPACE
from imagint_operator.policies.bindings import BindingController
from imagint_operator.policies.controller import PolicyController
from imagint_operator.processors.controller import ProcessorController
from imagint_operator.recipients.wire import Recipients
from imagint_operator.requests.certificates import Issuer
from imagint_operator.requests.controller import RequestController
from imagint_operator.requests.execute import Peers
from imagint_operator.retention.controller import RetentionController
from imagint_operator.retention.execute import Peers as RetentionPeers
from imagint_operator.runtime import Controller, Runtime
from imagint_operator.serve.views import SERVE
from imagint_operator.serve.writers import ServeWriters, serve_port
from imagint_operator.settings import Settings
from imagint_operator.telemetry.calls import Calls
from imagint_operator.telemetry.looks import Looks
from imagint_operator.telemetry.snapshots import Snapshots
from imagint_operator.tenants.certificates import Issuer as ShredIssuer
from imagint_operator.tenants.controller import TenantController
from imagint_operator.tenants.endings import Ending, Witnesses
from imagint_operator.tenants.execute import Executor
from imagint_operator.tenants.observe import Observer
from imagint_operator.terms import BINDING
from imagint_operator.times import Clock, utc_now
from imagint_operator.trust import TRUST, TrustController
from imagint_operator.turns import RETENTION
from imagint_operator.vaultwatch import VAULT, VaultWatch
from imagint_operator.watchages import Ages
from imagint_operator.workqueues import WorkQueue
from imagint_operator.world import World
from imagint_privacy.keys.ports import KeyAdmin, Signer
from imagint_privacy.tracing import OFF, Tracing, TracingError, configured
from imagint_privacy.vault import EvidenceSigner, VaultSession
from imagint_privacy.vault import KeyAdmin as VaultKeyAdmin

TRACES_SECONDS = 1.0
VAULT_THREADS = 32
FILL_SECONDS = 60.0
LEASE_REQUEST_SECONDS = 4.0
MODELS: dict[Resource, type[Kind]] = {
    TENANTS: Tenant,
    MODEL_DEPLOYMENTS: ModelDeployment,
    DATA_SUBJECT_REQUESTS: DataSubjectRequest,
    LEGAL_HOLDS: LegalHold,
    BREACH_INCIDENTS: BreachIncident,
    PRIVACY_POLICIES: PrivacyPolicy,
    DATA_PROCESSORS: DataProcessor,
}
RECORDS: dict[str, Callable[[KubeClient, Reader, Recorder, World], Controller]] = {
    LEGAL_HOLDS.kind: HoldController,
    BREACH_INCIDENTS.kind: BreachController,
    PRIVACY_POLICIES.kind: PolicyController,
    BINDING: BindingController,
    DATA_PROCESSORS.kind: ProcessorController,
}
SINGLES = (SERVE, TRUST, VAULT)
FIRST = frozenset(key.kind for key in SINGLES)  # by kind: a tenant's own cluster has a key of its own
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


@dataclass(frozen=True, slots=True)
class Telemetry:
    """Who looks on, for as long as the process lives: it outlasts a term at work."""

    metrics: Metrics
    calls: Calls
    looks: Looks

    @classmethod
    def of(cls, metrics: Metrics, tracing: Tracing = OFF) -> Telemetry:
        """Everything that feeds these metrics and these traces."""
        return cls(metrics, Calls(metrics), Looks(tracing))


def new_caches() -> Caches:
    """Caches of everything that is watched, still empty."""
    return Caches(MODELS, CHILDREN)


def vault(settings: Settings, fence: Fence | None = None) -> Vault:
    """Vault as the settings say: a session for each of two roles, their token files read anew at each log-in."""
    session = VaultSession(settings.vault_addr, "controller", settings.vault_token_file)
    shredder = VaultSession(settings.vault_addr, "shredder", settings.shredder_vault_token_file)
    if fence is not None:
        session.before_write = shredder.before_write = fence.check
    return Vault(VaultKeyAdmin(session), VaultKeyAdmin(shredder), EvidenceSigner(session))


@contextlib.asynccontextmanager
async def assembled(
    settings: Settings,
    keys: Vault,
    clock: Clock = utc_now,
    *,
    fence: Fence | None = None,
    caches: Caches | None = None,
    telemetry: Telemetry | None = None,
) -> AsyncIterator[Assembly]:
    """Every part, connected; the connections are given back at the end. Without caches every read is live."""
    fence, telemetry = fence or unfenced(), telemetry or Telemetry.of(Metrics(clock))
    calls, metrics = telemetry.calls, telemetry.metrics
    async with contextlib.AsyncExitStack() as stack:
        clients = await stack.enter_async_context(
            connected(settings, lambda connection: KubeClient(connection, fence=fence, calls=calls))
        )
        client, queue, reader = clients.controller, _queue(metrics), _reader(clients, caches)
        shared = serve_port(client, settings, fence, calls)
        writers = ServeWriters(client, reader, shared, settings, clock=clock, notify=queue.add)
        gateways = Gateways(settings.serve_url, settings.dataplane_token_file, fence, writers.address, calls)
        prober = Prober(settings.prober_url, settings.prober_token_file, fence, calls)
        recipients = Recipients(keys.signer, clock, fence, calls)
        for part in (gateways, prober, shared, recipients):
            stack.push_async_callback(part.close)
        world = World(
            clock, settings.resync_seconds, writers.view, Waker(queue, writers.pause), rest=Rest(settings, caches)
        )
        ring = KeyRing(keys.admin, keys.shredder, fence=fence, calls=calls)
        recorder = Recorder(client, socket.gethostname())
        peers = Peers(client, reader, ring, gateways, prober, keys.signer, recipients, _issuer(settings), clock, _salt)
        ending = Ending(clients, Witnesses(prober, ring, keys.signer, ShredIssuer(*_issued(settings)), clock))
        observer, executor = Observer(client, reader, ring, gateways, clock), Executor(clients, ring, gateways, ending)
        controllers: dict[str, Controller] = {
            TENANTS.kind: TenantController(observer, executor, recorder, world),
            MODEL_DEPLOYMENTS.kind: ModelController(client, reader, gateways, recorder, world),
            DATA_SUBJECT_REQUESTS.kind: RequestController(peers, recorder, world),
            RETENTION: RetentionController(client, reader, RetentionPeers(ring, gateways.retention), recorder, world),
            **{kind: controller(client, reader, recorder, world) for kind, controller in RECORDS.items()},
            SERVE.kind: writers,
            TRUST.kind: TrustController(client, keys.signer),
            VAULT.kind: VaultWatch(ring, reader, Everybody(reader, queue)),
        }
        refresh = reader.refresh if isinstance(reader, CachedReader) else None
        runtime = Runtime(controllers, queue, metrics, refresh, looks=telemetry.looks)
        yield Assembly(client, clients, queue, runtime, controllers, metrics)


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Run until told to stop. What is under way is cut off: every step is recorded and is taken up again.

    Raises:
        SettingsError: traces are asked for and cannot be sent.
        WatchDeadError: a watch died while the apiserver answers: only a new process is sure to see everything.
    """
    # Calls to Vault wait in threads: with the few that two cores get by default, a Vault that hangs would hold up all.
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(VAULT_THREADS, thread_name_prefix="vault"))
    tracing = traces(os.environ)
    try:
        await _standing_by(settings, stop, tracing)
    finally:
        tracing.close(TRACES_SECONDS)


async def _standing_by(settings: Settings, stop: asyncio.Event, tracing: Tracing) -> None:
    async with Standby(settings, tracing) as standby:
        standing = asyncio.create_task(standby.run(), name="standby")
        stopped = asyncio.create_task(stop.wait(), name="stop")
        try:
            await asyncio.wait({standing, stopped}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (standing, stopped):
                task.cancel()
            results = await asyncio.gather(standing, stopped, return_exceptions=True)
        failures = [result for result in results[:1] if isinstance(result, Exception)]
        if failures:
            raise failures[0]


def traces(environment: Mapping[str, str]) -> Tracing:
    """Traces as OpenTelemetry's own variables ask for.

    Raises:
        SettingsError: they are asked for and cannot be sent.
    """
    try:
        return configured("imagint-operator", environment)
    except TracingError as error:
        raise SettingsError(f"The operator cannot start: {error}") from None


class Standby:
    """One operator process: warm from the start, at work while it holds the Lease."""

    def __init__(self, settings: Settings, tracing: Tracing = OFF, clock: Clock = utc_now) -> None:
        connection = connections.load(settings.kubeconfig)
        self._settings, self._clock = settings, clock
        self._caches = new_caches()
        self._ages = Ages(resource.plural for resource in (*WATCHED, *CHILDREN))
        self._fence = Fence()
        self._telemetry = Telemetry.of(Metrics(clock), tracing)
        calls = self._telemetry.calls
        self._reading = KubeClient(connection, fence=self._fence, calls=calls)
        self._leasing = KubeClient(connection, timeout=LEASE_REQUEST_SECONDS, fence=self._fence, calls=calls)
        self._informer = Informer(self._reading, connection, self._caches, self._ages, self._notify)
        place = Place(PLATFORM_NAMESPACE, settings.lease_name, incarnations.own_name())
        timing = Timing(settings.lease_seconds, settings.lease_renew_seconds, settings.lease_retry_seconds)
        self._elector = Elector(self._leasing, place, timing, self._fence, clock)
        self._health = Health(self._reading, self._ages, (*WATCHED, *CHILDREN))
        self._queue: WorkQueue[ObjectKey] | None = None
        sources = self._telemetry.metrics.sources
        sources.watch_ages, sources.leads = self._ages.all, lambda: self._elector.leading
        sources.queue_length = lambda: len(self._queue or ())
        sources.snapshot = Snapshots(self._caches, self._ages, clock)

    async def __aenter__(self) -> Standby:
        return self

    async def __aexit__(self, *_: object) -> None:
        for client in (self._reading, self._leasing):
            await client.close()

    async def run(self) -> None:
        """Until cancelled, or a watch is dead."""
        scrape = self._telemetry.metrics.application()
        self._health.serve(self._settings.metrics_host, self._settings.metrics_port, scrape)
        informing = asyncio.create_task(self._informer.run(), name="informer")
        watching = asyncio.create_task(self._health.watch(), name="health")
        leading = asyncio.create_task(self._lead(), name="leader")
        try:
            done, _ = await asyncio.wait({informing, watching, leading}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in (leading, watching, informing):  # the Lease is given back first
                task.cancel()
                await asyncio.wait({task})

    async def _lead(self) -> None:
        await self._informer.filled(FILL_SECONDS)
        await self._elector.run(self._work)

    async def _work(self) -> None:
        """One term: nothing of an earlier one is remembered, but what the watches keep and what was counted."""
        keys = vault(self._settings, self._fence)
        self._telemetry.metrics.begin_term()
        async with assembled(
            self._settings, keys, self._clock, fence=self._fence, caches=self._caches, telemetry=self._telemetry
        ) as operator:
            self._queue = operator.queue
            try:
                await operator.runtime.work([*SINGLES, *every_key(self._caches)])
            finally:
                if self._queue is operator.queue:  # a term that ends late leaves the next one alone
                    self._queue = None

    def _notify(self, key: ObjectKey) -> None:
        if self._queue is not None:
            self._queue.add(key)


class Waker:
    """Wakes a key; Serve's writer a moment later, so that changes that come together are put together."""

    def __init__(self, queue: WorkQueue[ObjectKey], pause: Callable[[], float]) -> None:
        self._queue = queue
        self._pause = pause

    def __call__(self, key: ObjectKey) -> None:
        """Have a key looked at."""
        self._queue.add_after(key, self._pause() if key == SERVE else 0)


class Rest:
    """How long to leave alone what is as it should be: so many looks a second at each kind, however many there are."""

    def __init__(self, settings: Settings, caches: Caches | None) -> None:
        self._settings = settings
        self._caches = caches

    def __call__(self, kind: str) -> float:
        """Seconds, spread so that looks do not come together."""
        many = len(self._caches.own[kind]) if self._caches is not None else 0
        shared = many / self._settings.rest_looks_per_second
        return max(self._settings.resync_seconds, shared) * (0.8 + 0.4 * secrets.randbelow(1000) / 1000)


class Everybody:
    """Has every tenant looked at."""

    def __init__(self, reader: LiveReader | CachedReader, queue: WorkQueue[ObjectKey]) -> None:
        self._reader = reader
        self._queue = queue

    async def __call__(self) -> None:
        """Now."""
        for tenant in await self._reader.all(Tenant):
            self._queue.add(ObjectKey(TENANTS.kind, "", tenant.name))


def _queue(metrics: Metrics) -> WorkQueue[ObjectKey]:
    def waited(key: ObjectKey, seconds: float) -> None:
        metrics.queue_seconds.labels(key.kind).observe(seconds)

    return WorkQueue(first=lambda key: key.kind in FIRST, waited=waited)


def _reader(clients: Clients, caches: Caches | None) -> LiveReader | CachedReader:
    """Reads go out as the controller; whoever writes, what is kept learns of it at once."""
    if caches is None:
        return LiveReader(clients.controller)
    for client in clients:
        client.wrote = caches.wrote
    return CachedReader(clients.controller, caches)


def _issuer(settings: Settings) -> Issuer:
    return Issuer(*_issued(settings))


def _issued(settings: Settings) -> tuple[str, str | None, str, timedelta]:
    """What every certificate says about who issued it."""
    version = importlib.metadata.version("imagint")
    return version, settings.image_digest, settings.policy_version, settings.snapshot_retention


def _salt() -> str:
    return secrets.token_hex(32)
