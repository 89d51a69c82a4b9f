"""One suite for both adapters of the Serve port: the REST API of a small true Serve, and KubeRay's real CRD on a real
apiserver, under the operator's real rights, with a small true KubeRay that writes the status."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from imagint_dev.stack import CONTROL_PLANE, Stack
from imagint_operator.errors import (
    RayServiceNotInstalledError,
    RayServiceRefusedError,
    ServeRefusedError,
    ServeUnavailableError,
)
from imagint_operator.kube import connections
from imagint_operator.kube.client import KubeClient
from imagint_operator.kube.connections import Connection
from imagint_operator.kube.resources import RAY_SERVICES, ObjectKey
from imagint_operator.serve.applications import Application
from imagint_operator.serve.fakekuberay import FakeKubeRay
from imagint_operator.serve.fakes import FakeServe
from imagint_operator.serve.kuberay import KubeRayServe
from imagint_operator.serve.ports import AppStatus, Deployed, ServePort
from imagint_operator.serve.rayservices import MAXIMUM_BYTES, Place
from imagint_operator.serve.rest import RestServe
from imagint_operator.settings import Settings

pytestmark = pytest.mark.stack
SYSTEM = "imagint-system"
GONE_SECONDS = 90.0  # the garbage collector learns of a new kind within half a minute


def application(name: str, **args: Any) -> Application:
    deployments = [{"name": "Gateway", "user_config": {"models": {}}}]
    config = {"name": name, "route_prefix": f"/{name}", "import_path": "a:b", "args": args, "deployments": deployments}
    return Application(name, config, ObjectKey("Tenant", "", name), 1)


def settings(folder: Path) -> Settings:
    return Settings(
        kubeconfig=folder, vault_addr="http://127.0.0.1:1", vault_token_file=folder, ray_dashboard="http://127.0.0.1:1",
        ray_token_file=folder, serve_url="http://127.0.0.1:1", prober_url="http://127.0.0.1:1",
        dataplane_token_file=folder, prober_token_file=folder, handover=folder, data_root=folder, copies_root=folder,
        ray_image="registry.example/imagint:1", ray="kuberay",
        provisioner_kubeconfig=folder, shredder_kubeconfig=folder, shredder_vault_token_file=folder,
    )  # fmt: skip


@dataclass
class Rig:
    """A port, and what a test does behind its back."""

    port: ServePort
    cut_off: ServePort
    fail: Callable[[str], None]
    drift: Callable[[], Awaitable[None]]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    made = Stack(tmp_path_factory.mktemp("state"))
    made.up(parts=CONTROL_PLANE)
    yield made
    made.down(purge=True)


@pytest.fixture(scope="module")
def kuberay(stack: Stack, install_kuberay: Callable[[Stack], Connection]) -> Connection:
    return install_kuberay(stack)


@contextlib.asynccontextmanager
async def rest(folder: Path) -> AsyncIterator[Rig]:
    (folder / "token").write_text("ray")
    with FakeServe("ray", delay=0.1) as server:
        port = RestServe(server.url, folder / "token", "http://127.0.0.1:8123")
        cut_off = RestServe("http://127.0.0.1:9", folder / "token", "http://127.0.0.1:8123")

        async def drift() -> None:
            server.lose_everything()

        yield Rig(port, cut_off, server.failing.add, drift)
        await port.close()
        await cut_off.close()


@contextlib.asynccontextmanager
async def on_kuberay(folder: Path, stack: Stack, connection: Connection) -> AsyncIterator[Rig]:
    ours = connections.load(stack.identity("imagint-controller") / "kubeconfig")
    nowhere = Connection("https://127.0.0.1:9", ours.ca_data, None, "x")
    async with KubeClient(ours) as client, KubeClient(nowhere, timeout=1.0) as lost:
        port = KubeRayServe(client, Place(SYSTEM), settings(folder))
        with FakeKubeRay(connection, delay=0.1) as fake:

            async def drift() -> None:
                patch = '{"spec":{"serveConfigV2":"{\\"applications\\":[]}"}}'
                await asyncio.to_thread(
                    stack.kubectl, "patch", "rayservice", "imagint", "-n", SYSTEM, "--type=merge", "-p", patch
                )

            yield Rig(port, KubeRayServe(lost, Place(SYSTEM), settings(folder)), fake.failing.add, drift)
            assert fake.problems == []
            await port.replace([])
            await until(port, lambda seen: not seen, seconds=GONE_SECONDS)


@pytest.fixture(params=["rest", "kuberay"])
async def rig(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Rig]:
    if request.param == "rest":
        async with rest(tmp_path) as made:
            yield made
        return
    stack, connection = request.getfixturevalue("stack"), request.getfixturevalue("kuberay")
    async with on_kuberay(tmp_path, stack, connection) as made:
        yield made


async def until(port: ServePort, good: Callable[[Any], bool], seconds: float = 15.0) -> dict[str, Deployed]:
    deadline = time.monotonic() + seconds
    while not good(seen := dict(await port.observe())):
        assert time.monotonic() < deadline, f"still {seen}"
        await asyncio.sleep(0.05)
    return seen


def running(*names: str) -> Callable[[dict[str, Deployed]], bool]:
    return lambda seen: set(seen) == set(names) and all(app.status is AppStatus.RUNNING for app in seen.values())


async def test_replace_makes_exactly_these(rig: Rig) -> None:
    await rig.port.replace([application("acme.gateway", tenant="acme"), application("acme.model.shapes")])
    seen = await until(rig.port, running("acme.gateway", "acme.model.shapes"))
    assert seen["acme.gateway"].config["args"] == {"tenant": "acme"}


async def test_what_is_left_out_goes(rig: Rig) -> None:
    await rig.port.replace([application("a"), application("b")])
    await until(rig.port, running("a", "b"))
    await rig.port.replace([application("b")])
    await until(rig.port, running("b"))


async def test_a_changed_application_is_told_and_runs_again(rig: Rig) -> None:
    await rig.port.replace([application("a", size=1)])
    await until(rig.port, running("a"))
    await rig.port.replace([application("a", size=2)])
    seen = await until(rig.port, running("a"))
    assert seen["a"].config["args"] == {"size": 2}


async def test_drift_is_seen_and_put_right(rig: Rig) -> None:
    await rig.port.replace([application("a")])
    await until(rig.port, running("a"))
    await rig.drift()
    seen = await rig.port.observe()
    assert not seen.get("a") or seen["a"].config != application("a").config
    await rig.port.replace([application("a")])
    await until(rig.port, running("a"))


async def test_an_application_that_cannot_start_is_said_to_have_failed(rig: Rig) -> None:
    await rig.port.replace([application("good")])
    await until(rig.port, running("good"))
    rig.fail("bad")
    await rig.port.replace([application("bad"), application("good")])
    words = {"bad": AppStatus.DEPLOY_FAILED, "good": AppStatus.RUNNING}
    await until(rig.port, lambda seen: {name: app.status for name, app in seen.items()} == words)


async def test_without_applications_nothing_is_left(rig: Rig) -> None:
    await rig.port.replace([application("a")])
    await rig.port.replace([])
    await until(rig.port, lambda seen: not seen, seconds=GONE_SECONDS)


async def test_a_set_that_cannot_be_is_refused(rig: Rig) -> None:
    with pytest.raises(ServeRefusedError):
        await rig.port.replace([application("a"), application("a")])


async def test_a_cluster_that_does_not_answer_is_unavailable(rig: Rig) -> None:
    with pytest.raises(ServeUnavailableError):
        await rig.cut_off.observe()
    with pytest.raises(ServeUnavailableError):
        await rig.cut_off.replace([application("a")])


@pytest.fixture
async def port(stack: Stack, kuberay: Connection, tmp_path: Path) -> AsyncIterator[KubeRayServe]:
    async with KubeClient(connections.load(stack.identity("imagint-controller") / "kubeconfig")) as client:
        made = KubeRayServe(client, Place(SYSTEM), settings(tmp_path))
        yield made
        await made.replace([])
        await until(made, lambda seen: not seen, seconds=GONE_SECONDS)


async def test_a_set_too_large_for_one_object_says_how_many_fit(port: KubeRayServe) -> None:
    many = [application(f"t{at}.gateway", padding="x" * 1000) for at in range(3000)]
    with pytest.raises(RayServiceRefusedError, match=r"3000 applications .* \(about \d+ applications\).*Dedicated"):
        await port.replace(many)


async def test_the_largest_set_that_is_let_through_is_taken(port: KubeRayServe, stack: Stack) -> None:
    one = len(str(application("t0.gateway", padding="x" * 1000).config))
    many = [application(f"t{at}.gateway", padding="x" * 1000) for at in range(MAXIMUM_BYTES // (one + 150))]
    await port.replace(many)
    assert len(await port.observe()) == len(many)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        pytest.param("rayClusterConfig/workerGroupSpecs/0/maxReplicas", 99, id="more workers"),
        pytest.param(
            "rayClusterConfig/headGroupSpec/template/spec/containers/0/image",
            "registry.example/imagint:old",
            id="another image",
        ),
        pytest.param("suspend", True, id="suspended"),
        pytest.param("rayClusterConfig/authOptions/mode", "disabled", id="no authentication"),
    ],
)
async def test_an_edit_by_hand_is_seen_and_put_right(
    port: KubeRayServe, stack: Stack, path: str, value: object
) -> None:
    await port.replace([application("a")])
    patch = json.dumps([{"op": "replace", "path": f"/spec/{path}", "value": value}])
    arguments = ("patch", "rayservice", "imagint", "-n", SYSTEM, "--type=json", "-p", patch)
    await asyncio.to_thread(stack.kubectl, *arguments)
    assert (await port.observe())["a"].config == {}
    await port.replace([application("a")])
    assert (await port.observe())["a"].config == application("a").config


async def test_without_kuberay_it_says_so_and_recovers(
    stack: Stack, kuberay: Connection, kuberay_crds: Path, tmp_path: Path
) -> None:
    manifest = str(kuberay_crds / "ray.io_rayservices.yaml")
    async with KubeClient(connections.load(stack.identity("imagint-controller") / "kubeconfig")) as client:
        port = KubeRayServe(client, Place(SYSTEM), settings(tmp_path))
        await asyncio.to_thread(stack.kubectl, "delete", "-f", manifest, "--wait")
        assert await port.observe() == {}
        with pytest.raises(RayServiceNotInstalledError, match=r"rayservices\.ray\.io"):
            await port.replace([application("a")])
        await asyncio.to_thread(stack.kubectl, "apply", "--server-side", "-f", manifest)
        await put_when_served(port)


async def put_when_served(port: KubeRayServe) -> None:
    deadline = time.monotonic() + 15
    while True:
        try:
            await port.replace([application("a")])
        except ServeUnavailableError:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.1)
        else:
            break
    assert set(await port.observe()) == {"a"}
    await port.replace([])


async def test_a_kuberay_that_is_too_old_names_the_fields_it_does_not_know(
    stack: Stack, kuberay: Connection, kuberay_crds: Path, tmp_path: Path
) -> None:
    crd = yaml.load((kuberay_crds / "ray.io_rayservices.yaml").read_text(), Loader=yaml.CSafeLoader)
    old = yaml.load((kuberay_crds / "ray.io_rayservices.yaml").read_text(), Loader=yaml.CSafeLoader)
    for version in old["spec"]["versions"]:
        if version["name"] == "v1":
            cluster = version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["rayClusterConfig"]
            del cluster["properties"]["authOptions"]
    replace = ("apply", "--server-side", "--force-conflicts", "-f", "-")
    async with KubeClient(connections.load(stack.identity("imagint-controller") / "kubeconfig")) as client:
        port = KubeRayServe(client, Place(SYSTEM), settings(tmp_path))
        await asyncio.to_thread(stack.kubectl, *replace, stdin=yaml.safe_dump(old))
        try:
            with pytest.raises(RayServiceRefusedError, match=r"spec\.rayClusterConfig\.authOptions"):
                await put_until_refused(port)
        finally:
            await asyncio.to_thread(stack.kubectl, *replace, stdin=yaml.safe_dump(crd))
        await put_when_served_again(port)


async def put_until_refused(port: KubeRayServe) -> None:
    """The apiserver takes a moment to serve a changed schema."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        await port.replace([application("a")])
        await asyncio.sleep(0.2)


async def put_when_served_again(port: KubeRayServe) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            return await port.replace([])
        except (ServeUnavailableError, ServeRefusedError):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.2)


def test_the_kind_is_the_one_that_is_addressed() -> None:
    assert RAY_SERVICES.path("imagint", "tenant-a") == "/apis/ray.io/v1/namespaces/tenant-a/rayservices/imagint"
