"""The Serve REST adapter against a small true Serve."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from imagint_operator.errors import ServeRefusedError, ServeUnavailableError
from imagint_operator.fakeservers import Reply
from imagint_operator.kube.resources import ObjectKey
from imagint_operator.serve.applications import Application
from imagint_operator.serve.fakes import FakeServe
from imagint_operator.serve.ports import AppStatus
from imagint_operator.serve.rest import RestServe


def application(name: str, **config: Any) -> Application:
    return Application(name, {"name": name, "args": {}, "deployments": [], **config}, ObjectKey("Tenant", "", name), 1)


@pytest.fixture
def server() -> Iterator[FakeServe]:
    with FakeServe("ray") as made:
        yield made


@pytest.fixture
async def serve(server: FakeServe, tmp_path: Path) -> AsyncIterator[RestServe]:
    (tmp_path / "token").write_text("ray")
    client = RestServe(server.url, tmp_path / "token", "http://127.0.0.1:8123")
    yield client
    await client.close()


async def test_what_was_put_is_seen(serve: RestServe) -> None:
    await serve.replace([application("acme.gateway", args={"tenant": "acme"})])
    seen = await serve.observe()
    assert seen["acme.gateway"].status is AppStatus.RUNNING
    assert seen["acme.gateway"].config["args"] == {"tenant": "acme"}


async def test_what_is_left_out_goes(serve: RestServe, server: FakeServe) -> None:
    await serve.replace([application("a"), application("b")])
    await serve.replace([application("b")])
    assert server.names == {"b"}


async def test_a_ray_that_was_restarted_is_empty(serve: RestServe, server: FakeServe) -> None:
    await serve.replace([application("a")])
    server.lose_everything()
    assert await serve.observe() == {}


async def test_a_wrong_token_and_a_missing_ray_are_unavailable(serve: RestServe, server: FakeServe) -> None:
    server.token = "another"
    with pytest.raises(ServeUnavailableError, match="401"):
        await serve.observe()


async def test_a_refused_set_is_refused(serve: RestServe) -> None:
    with pytest.raises(ServeRefusedError):
        await serve.replace([application("a"), application("a")])


class _Strange(FakeServe):
    def answer(self, method: str, path: str, body: dict[str, Any]) -> Reply:
        assert body["http_options"] == {"host": "127.0.0.1", "port": 8123}
        assert body["proxy_location"] == "HeadOnly"
        return 503, {}


async def test_every_put_carries_the_same_http_options(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("ray")
    with _Strange("ray") as server:
        client = RestServe(server.url, tmp_path / "token", "http://127.0.0.1:8123")
        with pytest.raises(ServeUnavailableError, match="503"):
            await client.replace([])
        await client.close()
