"""The client of restrictions and objections, against the small true data plane."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from pathlib import Path

import pytest

from imagint_operator.dataplane.fakes import FakeGateways
from imagint_operator.dataplane.gateways import Gateways, Limits
from imagint_operator.errors import DataPlaneRefusedError, DataPlaneUnavailableError
from imagint_privacy.keys.fakes import FakeTransit

SUBJECT = "subj-" + "a" * 26


@pytest.fixture
def plane() -> Iterator[FakeGateways]:
    with FakeGateways("secret", FakeTransit().admin().state) as server:
        yield server


@pytest.fixture
async def gateways(plane: FakeGateways, tmp_path: Path) -> AsyncIterator[Gateways]:
    (tmp_path / "token").write_text("secret")
    client = Gateways(plane.url, tmp_path / "token")
    yield client
    await client.close()


def limits(now: datetime, kind: str = "Restrict", *purposes: str) -> Limits:
    return Limits(kind, SUBJECT, (), purposes, now)


async def test_asking_twice_restricts_once_and_lifting_is_for_good(
    gateways: Gateways, plane: FakeGateways, now: datetime
) -> None:
    for _ in range(2):
        assert (await gateways.restrictions.apply("acme", "r1", limits(now))).state == "Restricted"
    assert plane.tenant("acme").limits.standing(SUBJECT) == ["Restrict"]
    lifted = await gateways.restrictions.lift("acme", "r1")
    assert lifted.state == "Lifted"
    assert (await gateways.restrictions.lift("acme", "r1")).lifted_at == lifted.lifted_at
    assert (await gateways.restrictions.apply("acme", "r1", limits(now))).state == "Lifted"


async def test_each_is_lifted_by_itself(gateways: Gateways, plane: FakeGateways, now: datetime) -> None:
    await gateways.restrictions.apply("acme", "r1", limits(now))
    objected = await gateways.restrictions.apply("acme", "r2", limits(now, "Object", "Market"))
    assert (objected.state, objected.purposes) == ("Objected", ("Market",))
    await gateways.restrictions.lift("acme", "r1")
    assert plane.tenant("acme").limits.standing(SUBJECT) == ["Object"]


@pytest.mark.parametrize(
    ("request_", "kind", "purposes", "code"),
    [
        pytest.param("r1", "Object", (), "restriction_conflict", id="another scope under a known id"),
        pytest.param("r2", "Object", ("Generate",), "not_objectable", id="an objection to the service itself"),
        pytest.param("r2", "Restrict", ("Market",), "invalid_value", id="a restriction with purposes"),
    ],
)
async def test_what_is_refused(
    gateways: Gateways, now: datetime, request_: str, kind: str, purposes: tuple[str, ...], code: str
) -> None:
    await gateways.restrictions.apply("acme", "r1", limits(now))
    with pytest.raises(DataPlaneRefusedError) as refused:
        await gateways.restrictions.apply("acme", request_, limits(now, kind, *purposes))
    assert refused.value.code == code


async def test_what_nobody_knows_is_said(gateways: Gateways) -> None:
    with pytest.raises(DataPlaneRefusedError) as refused:
        await gateways.restrictions.show("acme", "nobody")
    assert refused.value.code == "not_found"


async def test_a_data_plane_that_is_down_is_worth_another_try(gateways: Gateways, plane: FakeGateways) -> None:
    plane.down = True
    with pytest.raises(DataPlaneUnavailableError):
        await gateways.restrictions.show("acme", "r1")


async def test_an_erasure_is_not_committed_until_it_is(gateways: Gateways, now: datetime) -> None:
    await gateways.fence("acme", "e1", subject=SUBJECT, categories=(), received_at=now)
    assert await gateways.erasure_state("acme", "e1") == "Fenced"


async def test_who_is_held_is_left_out_of_a_run(gateways: Gateways, plane: FakeGateways) -> None:
    begun = await gateways.retention.begin("acme", "run", {"images": {"days": 1}}, (SUBJECT,))
    assert begun.counts.withheld
    assert plane.tenant("acme").runs["run"].excepted == (SUBJECT,)
    with pytest.raises(DataPlaneRefusedError) as refused:
        await gateways.retention.begin("acme", "run", {"images": {"days": 1}})
    assert refused.value.code == "retention_conflict"
