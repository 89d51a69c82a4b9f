"""The clients of the Gateways and the prober: typed answers, typed failures, the token read anew."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from pathlib import Path

import pytest

from imagint_operator.dataplane.answers import Caches, Waiting
from imagint_operator.dataplane.fakes import FakeGateways, FakeProber
from imagint_operator.dataplane.gateways import Gateways
from imagint_operator.dataplane.prober import Prober
from imagint_operator.errors import (
    DataPlaneRefusedError,
    DataPlaneUnavailableError,
    OperatorError,
    ProberRefusedError,
    ProberUnavailableError,
    VaultUnavailableError,
)
from imagint_operator.fakeservers import Reply, error
from imagint_privacy.keys.fakes import FakeTransit

SUBJECT = "subj-" + "a" * 26


@pytest.fixture
def transit() -> FakeTransit:
    made = FakeTransit()
    made.admin().ensure("tenant-acme")
    return made


@pytest.fixture
def plane(transit: FakeTransit) -> Iterator[FakeGateways]:
    with FakeGateways("secret", transit.admin().state) as server:
        server.tenant("acme").records[SUBJECT] = 2
        yield server


@pytest.fixture
def token(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text("secret\n")
    return path


@pytest.fixture
async def gateways(plane: FakeGateways, token: Path) -> AsyncIterator[Gateways]:
    client = Gateways(plane.url, token)
    yield client
    await client.close()


async def fence(gateways: Gateways, now: datetime) -> None:
    answer = await gateways.fence("acme", "r1", subject=SUBJECT, categories=(), received_at=now)
    assert not answer.held.nothing


async def test_the_protocol_step_by_step(gateways: Gateways, transit: FakeTransit, now: datetime) -> None:
    await fence(gateways, now)
    transit.admin().rotate("tenant-acme")
    assert (await gateways.commit("acme", "r1", key_version=2)).key_version == 2
    assert [copy.read_back for copy in (await gateways.copy("acme", "r1")).copies] == [True]
    assert isinstance(await gateways.drop_caches("acme", "r1"), Caches)
    assert [store.remaining for store in (await gateways.purge("acme", "r1")).stores] == [0, 0]
    await gateways.complete("acme", "r1")


async def test_not_yet_is_an_answer(
    gateways: Gateways, plane: FakeGateways, transit: FakeTransit, now: datetime
) -> None:
    plane.waits = 1
    await fence(gateways, now)
    transit.admin().rotate("tenant-acme")
    await gateways.commit("acme", "r1", key_version=2)
    await gateways.copy("acme", "r1")
    assert isinstance(await gateways.drop_caches("acme", "r1"), Waiting)
    assert isinstance(await gateways.drop_caches("acme", "r1"), Caches)


async def test_a_version_that_vault_does_not_have_is_waited_for(gateways: Gateways, now: datetime) -> None:
    await fence(gateways, now)
    with pytest.raises(DataPlaneUnavailableError, match="key_version_behind"):
        await gateways.commit("acme", "r1", key_version=2)


async def test_steps_out_of_order_are_refused(gateways: Gateways, now: datetime) -> None:
    await fence(gateways, now)
    with pytest.raises(DataPlaneRefusedError) as caught:
        await gateways.purge("acme", "r1")
    assert caught.value.code == "out_of_order"


async def test_the_token_is_read_anew_for_every_call(gateways: Gateways, plane: FakeGateways, token: Path) -> None:
    await gateways.status("acme")
    plane.token = "renewed"
    with pytest.raises(DataPlaneUnavailableError):
        await gateways.status("acme")
    await asyncio.to_thread(token.write_text, "renewed")
    await gateways.status("acme")


async def test_a_gateway_that_is_not_there_is_unavailable(token: Path) -> None:
    client = Gateways("http://127.0.0.1:9", token)
    with pytest.raises(DataPlaneUnavailableError):
        await client.status("acme")
    await client.close()


class _Canned(FakeGateways):
    """Answers everything alike."""

    def __init__(self, reply: Reply) -> None:
        super().__init__("secret", FakeTransit().admin().state)
        self._reply = reply

    def answer(self, method: str, path: str, body: dict[str, object]) -> Reply:
        return self._reply


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        pytest.param(error(503, "keys_unavailable"), VaultUnavailableError, id="sealed vault"),
        pytest.param(error(503, "storage_unavailable"), DataPlaneUnavailableError, id="no storage"),
        pytest.param(error(401, "unauthorized"), DataPlaneUnavailableError, id="a token about to be renewed"),
        pytest.param(error(403, "forbidden"), DataPlaneRefusedError, id="not allowed"),
        pytest.param(error(500, "internal"), DataPlaneUnavailableError, id="a crash"),
        pytest.param((404, {"detail": "no route"}), DataPlaneUnavailableError, id="no gateway behind the route"),
        pytest.param((200, {"nonsense": 1}), DataPlaneUnavailableError, id="another language"),
    ],
)
async def test_each_failure_has_its_error(token: Path, reply: Reply, kind: type[OperatorError]) -> None:
    with _Canned(reply) as server:
        client = Gateways(server.url, token)
        with pytest.raises(kind):
            await client.status("acme")
        await client.close()


async def test_no_error_quotes_what_a_peer_said(token: Path) -> None:
    with _Canned((400, {"error": {"code": "bad", "message": "ada@example.com"}})) as server:
        client = Gateways(server.url, token)
        with pytest.raises(OperatorError) as caught:
            await client.status("acme")
        await client.close()
    assert "ada" not in str(caught.value)


async def test_the_prober_looks_before_and_after(transit: FakeTransit, plane: FakeGateways, token: Path) -> None:
    with FakeProber("secret", transit.admin().state, plane) as server:
        prober = Prober(server.url, token)
        with pytest.raises(ProberRefusedError, match="before_missing"):
            await prober.after("r1", tenant="acme", namespace="tenant-acme", subject=SUBJECT, key_version=2)
        before = await prober.before("r1", tenant="acme", namespace="tenant-acme", subject=SUBJECT)
        after = await prober.after("r1", tenant="acme", namespace="tenant-acme", subject=SUBJECT, key_version=2)
        server.down = True
        with pytest.raises(ProberUnavailableError):
            await prober.before("r2", tenant="acme", namespace="tenant-acme", subject=SUBJECT)
        await prober.close()
    assert before.passed
    assert not after.passed
