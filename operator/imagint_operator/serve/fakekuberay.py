"""A small true KubeRay: watches RayServices on a real apiserver and writes their status as KubeRay does. For tests.

It runs in a thread with an identity of its own, starts no pod, and takes `delay` seconds for what Ray takes minutes
for. A changed cluster is a new one beside the old one; a changed Serve configuration goes to the cluster that is there.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from imagint_operator.errors import OperatorError
from imagint_operator.kube.client import KubeClient
from imagint_operator.kube.connections import Connection
from imagint_operator.kube.differences import digest
from imagint_operator.kube.resources import RAY_SERVICES

MANAGER = "kuberay-operator"
LOOK_SECONDS = 0.05
DeepJson = dict[str, Any]


@dataclass
class _Cluster:
    """One Ray cluster: what it was told, and since when."""

    name: str
    config: str
    told: dict[str, tuple[str, float]] = field(default_factory=dict)


@dataclass
class _Service:
    active: _Cluster | None = None
    pending: _Cluster | None = None
    made: int = 0


class FakeKubeRay:
    """KubeRay at work between `with` and its end; `paused` stops it as if it were not running."""

    def __init__(self, connection: Connection, *, delay: float = 0.0) -> None:
        self.delay = delay
        self.paused = False
        self.failing: set[str] = set()
        self.problems: list[str] = []
        self._connection = connection
        self._services: dict[str, _Service] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="kuberay", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    async def _run(self) -> None:
        async with KubeClient(self._connection) as client:
            while not self._stop.is_set():
                if not self.paused:
                    await self._look(client)
                await asyncio.sleep(LOOK_SECONDS)

    async def _look(self, client: KubeClient) -> None:
        try:
            found = await client.list_all(RAY_SERVICES)
            for gone in self._services.keys() - {item["metadata"]["uid"] for item in found}:
                del self._services[gone]
            for item in found:
                if not item["metadata"].get("deletionTimestamp"):
                    await self._reconcile(client, item)
        except OperatorError as error:
            self.problems.append(str(error))

    async def _reconcile(self, client: KubeClient, item: DeepJson) -> None:
        service = self._services.setdefault(item["metadata"]["uid"], _Service())
        now = time.monotonic()
        self._choose(service, item)
        told = service.pending or service.active
        if told is not None:
            _tell(told, item["spec"].get("serveConfigV2", ""), now)
        if service.pending is not None and all(
            word == "RUNNING" for word in self._words(service.pending, now).values()
        ):
            service.active, service.pending = service.pending, None
        status = self._status(service, item, now)
        if {**(item.get("status") or {})} != status:
            metadata = {"name": item["metadata"]["name"], "namespace": item["metadata"]["namespace"]}
            await client.apply_status(RAY_SERVICES, {"metadata": metadata, "status": status}, manager=MANAGER)

    def _choose(self, service: _Service, item: DeepJson) -> None:
        """Have a cluster of what the object says: the active one, or a new one beside it."""
        config = digest(_lasting(item["spec"]["rayClusterConfig"]))
        if service.pending is not None and service.pending.config != config:
            service.pending = None
        if service.pending is None and (service.active is None or service.active.config != config):
            service.made += 1
            service.pending = _Cluster(f"{item['metadata']['name']}-{service.made}", config)
        if service.active is not None and service.active.config == config:
            service.pending = None

    def _status(self, service: _Service, item: DeepJson, now: float) -> DeepJson:
        running = service.active is not None
        generation = item["metadata"]["generation"]
        before = {c["type"]: c for c in (item.get("status") or {}).get("conditions", [])}
        conditions = [
            _condition(before, "Ready", running, generation),
            _condition(before, "UpgradeInProgress", running and service.pending is not None, generation),
        ]
        status: DeepJson = {"observedGeneration": generation, "conditions": conditions}
        if running:
            status["serviceStatus"] = "Running"
        for name, cluster in (("activeServiceStatus", service.active), ("pendingServiceStatus", service.pending)):
            if cluster is not None:
                words = self._words(cluster, now)
                apps = {app: {"status": word} for app, word in words.items()}
                status[name] = {"rayClusterName": cluster.name} | ({"applicationStatuses": apps} if apps else {})
        return status

    def _words(self, cluster: _Cluster, now: float) -> dict[str, str]:
        words = {}
        for app, (_, since) in cluster.told.items():
            started = "RUNNING" if now - since >= self.delay else "DEPLOYING"
            words[app] = "DEPLOY_FAILED" if app in self.failing else started
        return words


def _lasting(cluster: DeepJson) -> DeepJson:
    """What makes a new cluster when it changes: KubeRay scales a group of workers where it is."""
    scaled = {"replicas", "minReplicas", "maxReplicas"}
    groups = [{k: v for k, v in group.items() if k not in scaled} for group in cluster["workerGroupSpecs"]]
    return {**cluster, "workerGroupSpecs": groups}


def _tell(cluster: _Cluster, config: str, now: float) -> None:
    """Serve's own rule: an application that is told the same again goes on; one that is left out goes."""
    wanted = {app["name"]: digest(app) for app in json.loads(config)["applications"]}
    for name in cluster.told.keys() - wanted.keys():
        del cluster.told[name]
    for name, said in wanted.items():
        if cluster.told.get(name, ("", 0.0))[0] != said:
            cluster.told[name] = (said, now)


def _condition(before: DeepJson, kind: str, holds: bool, generation: int) -> DeepJson:
    status = "True" if holds else "False"
    known = before.get(kind, {})
    moment = known.get("lastTransitionTime") if known.get("status") == status else None
    return {
        "type": kind,
        "status": status,
        "reason": kind if holds else f"Not{kind}",
        "message": "",
        "observedGeneration": generation,
        "lastTransitionTime": moment or time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
