"""The operator's retention against a real Gateway, and the fake Gateway held to the same contract.

A run is planned and carried out operation by operation, as the operator's controller does it.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

import httpx
import pytest
from starlette.testclient import TestClient

from imagint_operator.api.requests import KeyVersions
from imagint_operator.api.retention import RetentionOutcome, RetentionRun
from imagint_operator.api.tenants import Tenant
from imagint_operator.dataplane.answers import Waiting
from imagint_operator.dataplane.fakes import FakeGateways
from imagint_operator.dataplane.gateways import Gateways, RetentionRuns
from imagint_operator.errors import DataPlaneRefusedError, DataPlaneUnavailableError
from imagint_operator.keyrings import KeyRing
from imagint_operator.retention import progress
from imagint_operator.retention.execute import KEY_OPERATIONS, Peers, Work, execute
from imagint_operator.retention.observations import Observed
from imagint_operator.retention.plan import Operation, Run, plan, recorded
from imagint_privacy.keys.fakes import FakeTransit
from imagint_serving.gateway.identity import Role
from imagint_serving.gateway.rigs import FakeIssuer, TenantRig

KEY = "tenant-acme"
NOW = datetime.now(UTC)
LONG_AGO = NOW - timedelta(days=200)
RULES = [{"category": "images", "keepMonths": 1}, {"category": "prompts", "keepDays": 30}]
TERMS = {"images": {"months": 1}, "prompts": {"days": 30}}
PEOPLE = ("jane", "john", "joan")


class Plane(Protocol):
    """A Gateway with one old image of each of three people."""

    runs: RetentionRuns

    def look(self) -> None:
        """Keep what a backup of this moment holds."""

    def opened(self) -> int:
        """How much of what was forgotten the backups still open."""

    def slices_of(self, subjects: int) -> None:
        """Have each commit forget of so many people."""


class _IntoTheApp(httpx.AsyncBaseTransport):
    """Hands the operator's requests to an application in this process."""

    def __init__(self, client: TestClient) -> None:
        self._client = client

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/acme")
        headers = {"authorization": request.headers["authorization"], "content-type": "application/json"}
        content = await request.aread()
        answer = await asyncio.to_thread(self._client.request, request.method, path, content=content, headers=headers)
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)


class RealPlane:
    """A whole Gateway with a library on SQLite."""

    def __init__(self, client: TestClient, rig: TenantRig, token: Path) -> None:
        gateways = Gateways("http://gateway", token)
        gateways._door._client = httpx.AsyncClient(base_url="http://gateway", transport=_IntoTheApp(client))
        self.runs, self._rig, self._roots = gateways.retention, rig, list[str]()
        rig.draw_in_the_past(LONG_AGO, *PEOPLE)

    def look(self) -> None:
        root = self._rig.services.library.erasures.root().ciphertext
        if root not in self._roots:
            self._roots.append(root)

    def opened(self) -> int:
        prober = self._rig.transit.prober()
        return sum(not prober.refused(KEY, root).refused for root in self._roots[:-1])

    def slices_of(self, subjects: int) -> None:
        self._rig.services.library.retention._slice_subjects = subjects


class FakePlane:
    """The fake that the operator's own tests use."""

    def __init__(self, server: FakeGateways, transit: FakeTransit, token: Path) -> None:
        self.runs, self._server, self._transit = Gateways(server.url, token).retention, server, transit
        server.tenant("acme").old["images"] = len(PEOPLE)

    def look(self) -> None:
        pass

    def opened(self) -> int:
        state = self._transit.admin().state(KEY)
        assert state is not None
        return self._server.tenant("acme").opened_by(state)

    def slices_of(self, subjects: int) -> None:
        self._server.slice_paths = subjects


@pytest.fixture
def real(client: TestClient, acme: TenantRig, issuer: FakeIssuer, tmp_path: Path) -> RealPlane:
    token = tmp_path / "operator-token"
    token.write_text(issuer.token(Role.OPERATOR))
    return RealPlane(client, acme, token)


@pytest.fixture
def fake(transit: FakeTransit, tmp_path: Path) -> Iterator[FakePlane]:
    token = tmp_path / "operator-token"
    token.write_text("secret")
    transit.admin().ensure(KEY)
    with FakeGateways("secret", transit.admin().state) as server:
        yield FakePlane(server, transit, token)


@pytest.fixture(params=["real", "fake"])
async def plane(request: pytest.FixtureRequest) -> AsyncIterator[Plane]:
    made: Plane = request.getfixturevalue(request.param)
    yield made
    await made.runs._door.close()


def tenant_with_a_due_run() -> Tenant:
    return Tenant.model_validate(
        {
            "metadata": {"name": "acme", "uid": "uid-acme", "generation": 1},
            "spec": {"residency": {"region": "eu"}, "retention": RULES},
            "status": {"retention": {"nextAt": NOW.isoformat()}},
        }
    )


def _with(tenant: Tenant, status: object) -> Tenant:
    return tenant.model_copy(update={"status": tenant.status.model_copy(update={"retention": status})})


async def whole_run(plane: Plane, transit: FakeTransit) -> tuple[list[Operation], RetentionOutcome]:
    """Carry out whatever the plan says until the run is complete."""
    tenant, ring, operations = _with_started(), KeyRing(transit.admin()), list[Operation]()
    peers, observed = Peers(ring, plane.runs), Observed(await ring.state(KEY))
    while (run := recorded(tenant).current) is not None:
        decision = plan(tenant, observed, NOW)
        assert isinstance(decision, Run), decision
        assert len(operations) < 500
        operations.append(decision.operation)
        if decision.operation is Operation.CHECK_HOLDS_AGAIN:  # the controller asks; here nobody is held
            observed = dataclasses.replace(observed, rechecked=True)
            continue
        finding = await execute(peers, Work("acme", run, observed.key), decision.operation)
        assert not finding.failed
        plane.look()
        await asyncio.sleep(finding.waiting or 0)
        tenant = _with(tenant, progress.advanced(recorded(tenant), finding, NOW))
        if decision.operation in KEY_OPERATIONS:
            observed = Observed(await ring.state(KEY))
    last = recorded(tenant).last
    assert last is not None
    return operations, last


def _with_started() -> Tenant:
    tenant = tenant_with_a_due_run()
    return _with(tenant, progress.started(tenant, NOW))


@pytest.mark.parametrize(
    ("subjects", "version"),
    [
        pytest.param(10_000, 2, id="in one commit, under one new version"),
        pytest.param(1, 3, id="in several commits, and under a second new version then"),
    ],
)
async def test_a_run_forgets_what_is_old_and_no_backup_opens_it(
    plane: Plane, transit: FakeTransit, subjects: int, version: int
) -> None:
    plane.slices_of(subjects)
    plane.look()
    operations, last = await whole_run(plane, transit)
    assert operations.index(Operation.TRIM) > operations.index(Operation.DROP_CACHES)
    assert operations.count(Operation.ROTATE) == version - 1
    assert (last.forgotten_paths, last.key_version) == (len(PEOPLE), version)
    assert [(count.category, count.due, count.forgotten) for count in last.counts] == [("images", 3, 3)]
    assert plane.opened() == 0


async def test_with_nothing_due_the_key_stays(plane: Plane, transit: FakeTransit) -> None:
    await whole_run(plane, transit)
    before = transit.admin().state(KEY)
    again = Work("acme", _renamed(), before)
    peers = Peers(KeyRing(transit.admin()), plane.runs)
    assert (await execute(peers, again, Operation.BEGIN)).next == "Complete"
    done = await execute(peers, again, Operation.COMPLETE)
    assert done.completed is not None
    assert done.completed.state == "Complete"
    assert transit.admin().state(KEY) == before


def _renamed() -> RetentionRun:
    run = recorded(_with_started()).current
    assert run is not None
    return run.model_copy(update={"id": "another-run"})


async def test_a_run_that_a_restored_gateway_does_not_know_begins_again(plane: Plane, transit: FakeTransit) -> None:
    peers = Peers(KeyRing(transit.admin()), plane.runs)
    run = _renamed().model_copy(update={"step": "Copy", "key_versions": KeyVersions(from_=1, to=2)})
    finding = await execute(peers, Work("acme", run, None), Operation.COPY)
    assert (finding.next, finding.changes["key_versions"]) == ("Begin", None)


async def test_an_id_that_was_used_with_other_rules_drops_the_run(plane: Plane, transit: FakeTransit) -> None:
    await plane.runs.begin("acme", "another-run", {"prompts": {"days": 1}})
    peers = Peers(KeyRing(transit.admin()), plane.runs)
    assert (await execute(peers, Work("acme", _renamed(), None), Operation.BEGIN)).dropped


async def test_steps_out_of_order_are_refused(plane: Plane) -> None:
    await plane.runs.begin("acme", "r", TERMS)
    for step in (plane.runs.copy, plane.runs.drop_caches, plane.runs.purge, plane.runs.complete):
        with pytest.raises(DataPlaneRefusedError) as caught:
            await step("acme", "r")
        assert caught.value.code == "retention_conflict"


async def test_a_version_that_vault_does_not_have_is_waited_for(plane: Plane) -> None:
    await plane.runs.begin("acme", "r", TERMS)
    with pytest.raises(DataPlaneUnavailableError, match="key_version_behind"):
        await plane.runs.commit("acme", "r", key_version=2)


async def test_every_step_answers_again_what_it_answered(plane: Plane, transit: FakeTransit) -> None:
    transit.admin().rotate(KEY)
    await plane.runs.begin("acme", "r", TERMS)

    async def answer(step: Callable[[], Awaitable[object]]) -> object:
        given = await step()
        if not isinstance(given, Waiting):
            return given
        await asyncio.sleep(given.retry_after)
        return await answer(step)

    async def twice(step: Callable[[], Awaitable[object]]) -> None:
        assert await answer(step) == await answer(step)

    await twice(lambda: plane.runs.begin("acme", "r", TERMS))
    await twice(lambda: plane.runs.commit("acme", "r", key_version=2))
    await twice(lambda: plane.runs.copy("acme", "r"))
    await twice(lambda: plane.runs.drop_caches("acme", "r"))
    await twice(lambda: plane.runs.purge("acme", "r"))
    await twice(lambda: plane.runs.complete("acme", "r"))
    await twice(lambda: plane.runs.show("acme", "r"))
