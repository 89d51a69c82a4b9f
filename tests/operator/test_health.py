"""A watch that is silent while the apiserver answers ends the process; silence that is explained does not."""

from __future__ import annotations

import logging
import socket
import urllib.error
import urllib.request

import pytest

from imagint_operator.errors import (
    KubeForbiddenError,
    KubeMissingError,
    KubeUnavailableError,
    OperatorError,
    WatchDeadError,
)
from imagint_operator.health import ANSWERING_SECONDS, SILENT_SECONDS, STUCK_SECONDS, Health
from imagint_operator.kube.resources import CHILDREN, ROLES, TENANTS, WATCHED
from imagint_operator.metrics import Metrics
from imagint_operator.watchages import Ages

KINDS = (TENANTS, ROLES)


class World:
    """A clock, and an apiserver that answers or not."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.problem: OperatorError | None = None
        self.slowness = 0.0
        self.alive_while_asked: list[bool] = []
        self.ages = Ages([kind.plural for kind in KINDS], self.clock)
        self.health = Health(self, self.ages, KINDS, clock=self.clock)  # type: ignore[arg-type]

    def clock(self) -> float:
        return self.now

    async def probe(self, _resource: object) -> None:
        self.now += self.slowness
        self.alive_while_asked.append(self.health.alive())
        if self.problem is not None:
            raise self.problem

    async def looks(self, seconds: float) -> None:
        """Look every five seconds, while only roles are heard of."""
        end = self.now + seconds
        while self.now < end:
            self.now += 5
            self.ages.heard("roles")
            await self.health.look()


@pytest.fixture
def world() -> World:
    return World()


async def test_a_watch_that_died_ends_the_process(world: World) -> None:
    with pytest.raises(WatchDeadError, match="tenants"):
        await world.looks(SILENT_SECONDS + ANSWERING_SECONDS + 10)


async def test_a_watch_that_is_heard_of_lives(world: World) -> None:
    for _ in range(10):
        await world.looks(SILENT_SECONDS - 20)
        world.ages.heard("tenants")
    assert world.health.ready()


@pytest.mark.parametrize(
    "problem",
    [
        pytest.param(KubeUnavailableError("away"), id="the apiserver is away"),
        pytest.param(KubeMissingError("no CRD"), id="the kind is not served"),
        pytest.param(KubeForbiddenError("no right"), id="the right is missing"),
    ],
)
async def test_silence_that_is_explained_is_said_once_and_waited_for(
    world: World, problem: OperatorError, caplog: pytest.LogCaptureFixture
) -> None:
    world.problem = problem
    with caplog.at_level(logging.WARNING):
        await world.looks(3600)
    assert [record.message for record in caplog.records if "tenants" in record.message] == [caplog.messages[0]]
    assert problem.reason in caplog.messages[0]
    assert not world.health.ready()
    assert world.health.alive()
    world.problem = None
    await world.looks(10)
    world.ages.heard("tenants")
    await world.looks(SILENT_SECONDS - 20)
    assert world.health.ready()


async def test_after_an_explained_silence_a_watch_that_stays_silent_is_dead(world: World) -> None:
    """A 403 at the start ends one of Kopf's watches for good (nolar/kopf#1077): the right alone brings none back."""
    world.problem = KubeForbiddenError("no right")
    await world.looks(600)
    world.problem = None
    with pytest.raises(WatchDeadError):
        await world.looks(ANSWERING_SECONDS + 10)


async def test_an_apiserver_that_hangs_is_no_loop_that_stands_still(world: World) -> None:
    kinds = (*WATCHED, *CHILDREN)
    world.ages = Ages([kind.plural for kind in kinds], world.clock)
    world.health = Health(world, world.ages, kinds, clock=world.clock)  # type: ignore[arg-type]
    world.problem, world.slowness = KubeUnavailableError("hangs"), 10.0
    world.now += SILENT_SECONDS + 1
    await world.health.look()
    assert len(world.alive_while_asked) == len(kinds)
    assert all(world.alive_while_asked)


def test_a_loop_that_stands_still_is_not_alive(world: World) -> None:
    assert world.health.alive()
    world.now += STUCK_SECONDS
    assert not world.health.alive()


def test_the_pages(world: World) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    metrics = Metrics()
    metrics.sources.watch_ages = world.ages.all
    world.health.serve("127.0.0.1", port, metrics.application())

    def get(path: str, method: str = "GET") -> tuple[int, str]:
        asked = urllib.request.Request(f"http://127.0.0.1:{port}{path}", method=method)
        try:
            with urllib.request.urlopen(asked, timeout=5) as answer:  # noqa: S310
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, ""

    pages = ("/healthz", "/readyz", "/metrics")
    assert {get(page)[0] for page in pages} == {200}
    assert {get(page, "HEAD") for page in pages} == {(200, "")}
    assert {get(page, "POST")[0] for page in pages} == {405}
    world.now += SILENT_SECONDS + 1
    assert get("/healthz")[0] == get("/readyz")[0] == 503
    _, page = get("/metrics")
    assert 'imagint_operator_watch_age_seconds{kind="tenants"}' in page
    assert "imagint_operator_leader 1.0" in page
