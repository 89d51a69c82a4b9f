"""Where it is measured: the embedded control plane, the fakes in a process of their own, and operators as processes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import aiohttp
from bench.operator import counters
from bench.operator.cluster import Cluster
from bench.operator.counters import Counters

from imagint_dev.stack import CONTROL_PLANE, Stack
from imagint_operator.settings import Settings, variable

LEASE = "/apis/coordination.k8s.io/v1/namespaces/imagint-system/leases/imagint-operator"
SECRET = "secret"  # noqa: S105 - of fakes that live as long as this run
STOPPING_SECONDS = 15.0


@dataclass
class Operator:
    """One operator process."""

    process: subprocess.Popen[bytes]
    port: int

    @property
    def pid(self) -> int:
        """Its process."""
        return self.process.pid

    async def page(self) -> str:
        """Its metrics; empty while it does not answer."""
        limits = aiohttp.ClientTimeout(total=10)
        with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError):
            async with (
                aiohttp.ClientSession(timeout=limits, trust_env=False) as session,
                session.get(f"http://127.0.0.1:{self.port}/metrics") as response,
            ):
                return await response.text()
        return ""

    async def reconciles(self) -> Counters:
        """How often it looked, by kind and outcome."""
        return counters.parse(await self.page(), counters.RECONCILES)

    async def requests(self) -> Counters:
        """What it asked the apiserver."""
        return counters.parse(await self.page(), counters.REQUESTS)

    def kill(self) -> None:
        """At once, as the kernel would."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(STOPPING_SECONDS)


class Site:
    """Everything that runs. Operators are started and killed by the parts."""

    def __init__(self, stack: Stack, cluster: Cluster, folder: Path, settings: dict[str, str]) -> None:
        self.stack, self.cluster, self.folder = stack, cluster, folder
        self._settings = settings
        self._started: list[tuple[Operator, IO[bytes]]] = []

    def start(self, module: str = "imagint_operator", **more: str) -> Operator:
        """Start an operator process with the settings of this place."""
        port = _free_port()
        environment = {**os.environ, **self._settings, variable("metrics_port"): str(port), **more}
        log = (self.folder / f"operator-{len(self._started)}.log").open("wb")
        command = [sys.executable, "-m", os.environ.get("BENCH_OPERATOR_MODULE", module)]
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        operator = Operator(process, port)
        self._started.append((operator, log))
        return operator

    async def holder(self) -> str:
        """Who has the Lease."""
        found = await self.cluster.get(LEASE)
        return str(found.get("spec", {}).get("holderIdentity") or "")

    async def served(self) -> Counters:
        """What the apiserver answered, to anybody."""
        return counters.parse(await self.cluster.text("/metrics"), counters.SERVED)

    def stop_all(self) -> None:
        """No operator outlives this."""
        for operator, log in self._started:
            if operator.process.poll() is None:
                operator.process.send_signal(signal.SIGCONT)
                operator.kill()
            log.close()
        self._started.clear()


@contextlib.asynccontextmanager
async def site() -> AsyncIterator[Site]:
    """Bring everything up, and all of it down again."""
    folder = Path(tempfile.mkdtemp(prefix="imagint-bench-"))
    stack = Stack(folder / "state")
    try:
        await asyncio.to_thread(stack.up, parts=CONTROL_PLANE)
        with _fakes(stack, folder) as urls:
            cluster = Cluster(stack)
            made = Site(stack, cluster, folder, _environment(stack, folder, urls))
            try:
                yield made
            finally:
                made.stop_all()
                await cluster.close()
    finally:
        await asyncio.to_thread(stack.down, purge=True)
        if "BENCH_KEEP" not in os.environ:
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _fakes(stack: Stack, folder: Path) -> Any:
    secret = folder / "token"
    secret.write_text(SECRET)
    arguments = [stack.url("vault"), str(stack.identity("imagint-controller") / "vault-token"), str(secret)]
    command = [sys.executable, "-m", "bench.operator.fakes", *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            yield json.loads(process.stdout.readline())
        finally:
            process.kill()


def _environment(stack: Stack, folder: Path, urls: dict[str, str]) -> dict[str, str]:
    identity, shredder = stack.identity("imagint-controller"), stack.identity("imagint-shredder")
    token = folder / "token"
    settings = Settings(
        kubeconfig=identity / "kubeconfig",
        provisioner_kubeconfig=stack.identity("imagint-provisioner") / "kubeconfig",
        shredder_kubeconfig=shredder / "kubeconfig",
        vault_addr=stack.url("vault"),
        vault_token_file=identity / "vault-token",
        shredder_vault_token_file=shredder / "vault-token",
        ray_dashboard=urls["serve"],
        ray_token_file=token,
        serve_url=urls["gateways"],
        prober_url=urls["prober"],
        dataplane_token_file=token,
        prober_token_file=token,
        handover=folder / "handover",
        data_root=folder / "data",
        copies_root=folder / "copies",
    )
    return {variable(name): str(value) for name, value in settings.model_dump(exclude_none=True).items()}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def until(look: Any, limit_s: float, pause_s: float = 0.2) -> float | None:
    """How many seconds it took until an awaitable look says yes; None when it did not in time."""
    began = time.monotonic()
    while time.monotonic() - began < limit_s:
        if await look():
            return time.monotonic() - began
        await asyncio.sleep(pause_s)
    return None
