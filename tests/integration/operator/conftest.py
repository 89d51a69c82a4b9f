"""A real control plane (etcd, apiserver, controller-manager, Vault) and an operator in this process.

The data plane is the small true fake that lives beside the adapters. A test can cut the operator off at any of its
writes, as kill -9 would, and start another one with an empty memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from imagint_dev.errors import RefusedError
from imagint_dev.stack import CONTROL_PLANE, Stack
from imagint_operator import composition
from imagint_operator.dataplane.fakes import FakeGateways, FakeProber
from imagint_operator.informers import Informer, every_key
from imagint_operator.kube import connections
from imagint_operator.kube.resources import CHILDREN, WATCHED, ObjectKey
from imagint_operator.serve.fakes import FakeServe
from imagint_operator.serve.views import SERVE
from imagint_operator.settings import Settings
from imagint_operator.times import utc_now
from imagint_operator.watchages import Ages
from imagint_privacy.keys import ports
from imagint_privacy.keys.ports import KeyState
from imagint_privacy.vault import KeyAdmin, VaultSession


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    made = Stack(tmp_path_factory.mktemp("state"))
    made.up(parts=CONTROL_PLANE)
    yield made
    made.down(purge=True)


IMAGINT = "/apis/imagint.ai/v1alpha1"
PATHS = {
    "tenant": f"{IMAGINT}/tenants",
    "modeldeployment": IMAGINT + "/namespaces/{namespace}/modeldeployments",
    "dsr": IMAGINT + "/namespaces/{namespace}/datasubjectrequests",
    "legalhold": IMAGINT + "/namespaces/{namespace}/legalholds",
    "breach": f"{IMAGINT}/breachincidents",
    "policy": f"{IMAGINT}/privacypolicies",
    "processor": f"{IMAGINT}/dataprocessors",
    "namespace": "/api/v1/namespaces",
    "configmap": "/api/v1/namespaces/{namespace}/configmaps",
    "resourcequota": "/api/v1/namespaces/{namespace}/resourcequotas",
    "networkpolicy": "/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies",
}


class Cluster:
    """What a person does with kubectl; reads and plain applies go straight to the apiserver."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack

    def run(self, *arguments: str, stdin: str | None = None) -> str:
        return self.stack.kubectl(*arguments, stdin=stdin)

    def refused(self, manifest: dict[str, Any], *arguments: str) -> str:
        """What a person sees when the apiserver refuses; fails when it does not."""
        return self._refused(manifest, "apply", *arguments)

    def refused_replacement(self, manifest: dict[str, Any]) -> str:
        """What a person sees who replaces the whole object."""
        return self._refused(manifest, "replace")

    def _refused(self, manifest: dict[str, Any], verb: str, *arguments: str) -> str:
        command = self.stack.kubectl_command(verb, "-f", "-", *arguments)
        done = subprocess.run(
            command, input=json.dumps(manifest), capture_output=True, text=True, timeout=30, check=False
        )
        assert done.returncode != 0, f"accepted: {done.stdout}"
        return done.stderr

    def apply(self, manifest: dict[str, Any]) -> None:
        with self.stack.api() as api:
            api.apply(manifest)

    def get(self, kind: str, name: str, namespace: str | None = None) -> dict[str, Any] | None:
        path = PATHS[kind].format(namespace=namespace) + f"/{name}"
        with self.stack.api() as api:
            try:
                return api.get(path)
            except RefusedError as error:
                if error.status == 404:
                    return None
                raise

    def condition(self, kind: str, name: str, type_: str, namespace: str | None = None) -> tuple[str, str]:
        found = self.get(kind, name, namespace) or {}
        conditions = found.get("status", {}).get("conditions", [])
        return next(((c["status"], c["reason"]) for c in conditions if c["type"] == type_), ("", ""))


@pytest.fixture(scope="session")
def cluster(stack: Stack) -> Cluster:
    return Cluster(stack)


class KilledError(BaseException):
    """The process is gone, here and now."""


@dataclass
class Guillotine:
    """Counts the operator's writes and kills it before or after the n-th."""

    at: int = 0
    after: bool = False
    writes: int = 0
    on_write: Callable[[str], None] = field(default=lambda _what: None)

    @contextlib.contextmanager
    def write(self, what: str) -> Iterator[None]:
        self.writes += 1
        mine = self.writes == self.at
        if mine and not self.after:
            raise KilledError(what)
        yield
        self.on_write(what)
        if mine and self.after:
            raise KilledError(what)


class CuttableAdmin:
    """Vault's administration, behind the guillotine."""

    def __init__(self, real: ports.KeyAdmin, guillotine: Guillotine) -> None:
        self._real = real
        self._guillotine = guillotine

    def state(self, name: str) -> KeyState | None:
        return self._real.state(name)

    def upsert_disabled(self) -> bool:
        return self._real.upsert_disabled()

    def ensure(self, name: str) -> KeyState:
        with self._guillotine.write("vault ensure"):
            return self._real.ensure(name)

    def rotate(self, name: str) -> int:
        with self._guillotine.write("vault rotate"):
            return self._real.rotate(name)

    def raise_minimum(self, name: str, version: int) -> None:
        with self._guillotine.write("vault raise"):
            self._real.raise_minimum(name, version)

    def trim(self, name: str, version: int) -> None:
        with self._guillotine.write(f"vault trim {version}"):
            self._real.trim(name, version)

    def destroy(self, name: str) -> None:
        with self._guillotine.write("vault destroy"):
            self._real.destroy(name)


class Bench:
    """The fakes of the data plane and an operator that can be started, cut off and started again."""

    def __init__(
        self, stack: Stack, serve: FakeServe, gateways: FakeGateways, prober: FakeProber, folder: Path
    ) -> None:
        self.serve, self.gateways, self.prober = serve, gateways, prober
        self.ahead = timedelta()
        prober.clock = self.clock
        token = folder / "token"
        token.write_text("secret")
        identity = stack.identity("imagint-operator")
        self.settings = Settings(
            kubeconfig=identity / "kubeconfig",
            vault_addr=stack.url("vault"),
            vault_token_file=identity / "vault-token",
            ray_dashboard=serve.url,
            ray_token_file=token,
            serve_url=gateways.url,
            prober_url=prober.url,
            dataplane_token_file=token,
            prober_token_file=token,
            handover=folder / "handover",
            data_root=folder / "data",
            copies_root=folder / "copies",
            resync_seconds=1.0,
            rest_looks_per_second=100.0,
        )

    @contextlib.asynccontextmanager
    async def operator(self, guillotine: Guillotine | None = None) -> AsyncIterator[composition.Assembly]:
        """A running operator; cutting it off ends its work at once."""
        blade, caches = guillotine or Guillotine(), composition.new_caches()
        async with composition.assembled(self.settings, self._vault(blade), self.clock, caches=caches) as made:
            _put_under(made, blade)
            connection = connections.load(self.settings.kubeconfig)
            ages = Ages(resource.plural for resource in (*WATCHED, *CHILDREN))
            informer = Informer(made.client, connection, caches, ages, made.queue.add)
            informing = asyncio.create_task(informer.run())
            await informer.filled(30)
            work = asyncio.create_task(made.runtime.work([*composition.SINGLES, *every_key(caches)]))
            try:
                yield made
            finally:
                for task in (work, informing):
                    task.cancel()
                await asyncio.gather(work, informing, return_exceptions=True)

    async def one_look(
        self, kind: str, namespace: str, name: str, guillotine: Guillotine, killed: type[BaseException]
    ) -> bool:
        """An operator with an empty memory looks at one object until it is cut off; answers whether it was."""
        async with composition.assembled(self.settings, self._vault(guillotine), self.clock) as made:
            if kind == "Tenant":  # whose drain only Serve's writer sees
                await made.controllers[SERVE.kind].reconcile(SERVE)
            _put_under(made, guillotine)
            try:
                await made.controllers[kind].reconcile(ObjectKey(kind, namespace, name))
            except killed:
                return True
        return False

    def clock(self) -> datetime:
        """The operator's time, which a test may put ahead."""
        return utc_now() + self.ahead

    def key_state(self, name: str) -> KeyState | None:
        """A key as Vault has it."""
        return composition.vault(self.settings).admin.state(name)

    def _vault(self, guillotine: Guillotine) -> composition.Vault:
        real = composition.vault(self.settings)
        return composition.Vault(CuttableAdmin(real.admin, guillotine), real.signer)


def _put_under(made: composition.Assembly, blade: Guillotine) -> None:
    """Every write to the apiserver and to the data plane passes the guillotine; one look at a time dies with it."""
    for name in ("apply", "apply_status", "create", "delete"):
        setattr(made.client, name, _cuttable(getattr(made.client, name), name, blade))
    controller: Any = made.controllers["DataSubjectRequest"]
    gateways = controller._peers.gateways
    for peer in (gateways, gateways.retention, gateways.restrictions, controller._peers.prober):
        for name in ("begin", "apply", "lift", "fence", "commit", "copy", "drop_caches", "purge", "complete", "before",
                     "after", "tenant_before", "tenant_after"):  # fmt: skip
            if hasattr(peer, name):
                setattr(peer, name, _cuttable(getattr(peer, name), name, blade))


def _cuttable(call: Callable[..., Any], name: str, blade: Guillotine) -> Callable[..., Any]:
    async def cut(*arguments: Any, **options: Any) -> Any:
        with blade.write(name):
            return await call(*arguments, **options)

    return cut


@pytest.fixture
def bench(stack: Stack, tmp_path: Path) -> Iterator[Bench]:
    session = VaultSession(stack.url("vault"), "operator", stack.identity("imagint-operator") / "vault-token")
    keys = KeyAdmin(session)
    with (
        FakeServe("secret", delay=0.1) as serve,
        FakeGateways("secret", keys.state) as gateways,
        FakeProber("secret", keys.state, gateways) as prober,
    ):
        yield Bench(stack, serve, gateways, prober, tmp_path)


@pytest.fixture
def guillotine() -> type[Guillotine]:
    return Guillotine


@pytest.fixture
def killed() -> type[BaseException]:
    return KilledError


@pytest.fixture
def eventually() -> Callable[..., Any]:
    async def wait(look: Callable[[], Any], wanted: Any = True, seconds: float = 15.0) -> Any:
        deadline = time.monotonic() + seconds
        while (seen := await asyncio.to_thread(look)) != wanted:
            assert time.monotonic() < deadline, f"still {seen!r}, not {wanted!r}"
            await asyncio.sleep(0.05)
        return seen

    return wait
