"""A whole erasure of a tenant whose Gateway is in its own namespace, or moves there and back meanwhile."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from imagint_serving.prober.gateways import HttpGateway
from imagint_serving.prober.probing import Prober, Surroundings
from imagint_serving.prober.rigs import AFTER, BEFORE, REQUEST, START, Scene

SHARED, OWN = "serve.test", "imagint-serve-svc.tenant-acme.svc"


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def prober(scene: Scene, at: Callable[[], str]) -> Prober:
    """A prober that knows two addresses; the Gateway answers at one of them."""

    def respond(request: httpx.Request) -> httpx.Response:
        here = request.url.host == at()
        return scene.gateway.respond(request) if here else httpx.Response(404, text="Path not found.")

    numbers = itertools.count(1)
    around = Surroundings(
        now=lambda: START + timedelta(seconds=scene.seconds),
        monotonic=lambda: scene.seconds,
        nonce=lambda: f"{next(numbers):064x}",
    )
    template = "http://{service}.{namespace}.svc:8000"
    http = HttpGateway(f"http://{SHARED}", scene.token, httpx.MockTransport(respond), dedicated=template)
    return Prober(scene.keys.prober(), http, scene.storage, around)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(OWN, OWN, id="in its own namespace"),
        pytest.param(SHARED, OWN, id="moving there between the looks"),
        pytest.param(OWN, SHARED, id="moving back between the looks"),
    ],
)
def test_an_erasure_is_seen_wherever_the_gateway_is(scene: Scene, before: str, after: str) -> None:
    place = [before]
    asked = prober(scene, lambda: place[0])
    assert asked.before(REQUEST, BEFORE).passed
    scene.erase()
    place[0] = after
    assert asked.after(REQUEST, AFTER).passed


def test_and_one_that_did_not_happen_is_not(scene: Scene) -> None:
    asked = prober(scene, lambda: OWN)
    assert asked.before(REQUEST, BEFORE).passed
    assert not asked.after(REQUEST, AFTER).passed
