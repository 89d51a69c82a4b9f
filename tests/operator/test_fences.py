"""No write passes a closed fence, through any of the doors."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from imagint_operator.dataplane.gateways import Gateways
from imagint_operator.dataplane.prober import Prober
from imagint_operator.errors import FencedError
from imagint_operator.fences import Fence
from imagint_operator.keyrings import KeyRing
from imagint_operator.kube.client import KubeClient
from imagint_operator.kube.connections import Connection
from imagint_operator.kube.resources import NAMESPACES, TENANTS
from imagint_operator.serve.rest import RestServe
from imagint_privacy.vault import VaultSession

NOWHERE = "http://127.0.0.1:9"  # a write that got past the fence would end in another error
MANIFEST = {"metadata": {"name": "x", "uid": "u"}}


class Clock:
    """Time as a test wants it: a process that is paused does not run, its clock does."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Nobody:
    """Vault's administration, which must not be reached."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return lambda *_: pytest.fail(f"{name} was called")


@pytest.fixture
def closed() -> Fence:
    return Fence()


@pytest.fixture
def token(tmp_path: Path) -> Path:
    (tmp_path / "token").write_text("t")
    return tmp_path / "token"


def kube(fence: Fence) -> KubeClient:
    return KubeClient(Connection(NOWHERE, None, None, "t"), fence=fence)


KUBE: dict[str, Callable[[KubeClient], Awaitable[Any]]] = {
    "apply": lambda client: client.apply(NAMESPACES, MANIFEST),
    "apply_status": lambda client: client.apply_status(TENANTS, MANIFEST),
    "create": lambda client: client.create(NAMESPACES, MANIFEST),
    "replace": lambda client: client.replace(NAMESPACES, MANIFEST),
    "delete": lambda client: client.delete(NAMESPACES, "x", uid="u"),
}
KEYS: dict[str, Callable[[KeyRing], Awaitable[Any]]] = {
    "ensure": lambda ring: ring.ensure("k"),
    "rotate": lambda ring: ring.rotate("k"),
    "raise_minimum": lambda ring: ring.raise_minimum("k", 2),
    "trim": lambda ring: ring.trim("k", 2),
    "destroy": lambda ring: ring.destroy("k"),
}


@pytest.mark.parametrize("write", KUBE.values(), ids=KUBE.keys())
async def test_nothing_is_written_to_the_apiserver(
    closed: Fence, write: Callable[[KubeClient], Awaitable[Any]]
) -> None:
    async with kube(closed) as client:
        with pytest.raises(FencedError):
            await write(client)


@pytest.mark.parametrize("write", KEYS.values(), ids=KEYS.keys())
async def test_nothing_is_changed_in_vault(closed: Fence, write: Callable[[KeyRing], Awaitable[Any]]) -> None:
    with pytest.raises(FencedError):
        await write(KeyRing(Nobody(), Nobody(), fence=closed))


def test_a_call_of_several_writes_is_cut_between_them(closed: Fence) -> None:
    session = VaultSession.with_token(NOWHERE, "t")
    session.before_write = closed.check
    with pytest.raises(FencedError):
        session.call("post", "transit/keys/k/trim", {"min_available_version": 2})


async def test_nothing_is_put_to_serve_and_no_step_is_asked_of_the_data_plane(closed: Fence, token: Path) -> None:
    serve, gateways, prober = (
        RestServe(NOWHERE, token, NOWHERE, fence=closed),
        Gateways(NOWHERE, token, closed),
        Prober(NOWHERE, token, closed),
    )
    for call in (
        serve.replace([]),
        gateways.require_key("acme", 2),
        gateways.retention.begin("acme", "r", {}),
        prober.before("r", tenant="acme", namespace="tenant-acme", subject="subj-" + "a" * 26),
    ):
        with pytest.raises(FencedError):
            await call
    for part in (serve, gateways, prober):
        await part.close()


def test_a_process_that_wakes_up_finds_its_fence_closed() -> None:
    clock = Clock()
    fence = Fence(clock)
    fence.open_until(clock.now + 8)
    fence.check()
    clock.now += 8
    with pytest.raises(FencedError):
        fence.check()


async def test_what_cannot_be_cut_off_is_waited_for() -> None:
    fence, go, inside = Fence(), threading.Event(), threading.Event()
    fence.open_until(fence.clock() + 60)

    def call() -> None:
        with fence.writing():
            inside.set()
            go.wait(10)

    thread = threading.Thread(target=call)
    thread.start()
    inside.wait(10)
    go.set()
    await fence.idle()
    thread.join(10)
