"""A person is erased through the privacy API: theirs becomes unreadable, everybody else's stays."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest
from starlette.testclient import TestClient

from imagint_privacy.keys.fakes import FakeTransit
from imagint_serving.gateway.identity import Role
from imagint_serving.gateway.rigs import FakeIssuer, TenantRig

KEY = "tenant-acme"
REQUEST = "11111111-2222-3333-4444-555555555555"
RECEIVED = "2026-11-23T20:00:00Z"


class Erasure:
    """The operator's side of one erasure."""

    def __init__(self, client: TestClient, issuer: FakeIssuer, transit: FakeTransit, subject: str) -> None:
        self.client, self.transit, self.subject = client, transit, subject
        self.operator, self.prober = issuer.bearer(Role.OPERATOR), issuer.bearer(Role.PROBER)

    def fence(self, **changes: Any) -> dict[str, Any]:
        body = {"request": REQUEST, "subject": self.subject, "received_at": RECEIVED, **changes}
        return self._post("/erasures", body)

    def step(self, name: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        return self._post(f"/erasures/{REQUEST}/{name}", body)

    def rotate(self) -> int:
        return self.transit.admin().rotate(KEY)

    def trim(self, version: int) -> None:
        self.transit.admin().raise_minimum(KEY, version)
        self.transit.admin().trim(KEY, version)

    def caches(self) -> dict[str, Any]:
        deadline = time.monotonic() + 20
        while True:
            answer = self.client.post(f"/privacy/v1/erasures/{REQUEST}/caches", headers=self.operator)
            if answer.status_code == 200:
                return dict(answer.json())
            assert answer.status_code == 202, answer.text
            assert int(answer.headers["retry-after"]) >= 0
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def run(self) -> list[str]:
        """Do every step, and return the states that were reached."""
        states = [self.fence()["state"]]
        version = self.rotate()
        states.append(self.step("commit", {"key_version": version})["state"])
        states.append(self.step("copies")["state"])
        states.append(self.caches()["state"])
        self.trim(version)
        states.append(self.step("purge")["state"])
        states.append(self.step("complete")["state"])
        return states

    def _post(self, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        answer = self.client.post(f"/privacy/v1{path}", json=body, headers=self.operator)
        assert answer.is_success, answer.text
        return dict(answer.json())


def make(client: TestClient, rig: TenantRig, user: str, n: int = 1) -> tuple[str, list[str]]:
    body = {"prompt": f"a wish of {user}", "user": user, "n": n}
    answer = client.post("/v1/images/generations", json=body, headers=rig.bearer)
    assert answer.status_code == 200, answer.text
    return answer.headers["x-imagint-subject"], [image["id"] for image in answer.json()["data"]]


def read(client: TestClient, rig: TenantRig, image_id: str) -> int:
    return client.get(f"/v1/images/{image_id}/content", headers=rig.bearer).status_code


@pytest.fixture
def jane(client: TestClient, acme: TenantRig) -> tuple[str, list[str]]:
    return make(client, acme, "jane", n=2)


@pytest.fixture
def john(client: TestClient, acme: TenantRig) -> tuple[str, list[str]]:
    return make(client, acme, "john")


@pytest.fixture
def erasure(client: TestClient, issuer: FakeIssuer, transit: FakeTransit, jane: tuple[str, list[str]]) -> Erasure:
    return Erasure(client, issuer, transit, jane[0])


def test_the_erased_is_unreadable_and_the_survivor_is_not(
    client: TestClient, acme: TenantRig, erasure: Erasure, jane: tuple[str, list[str]], john: tuple[str, list[str]]
) -> None:
    assert erasure.run() == ["Fenced", "Committed", "Copied", "CachesDropped", "Purged", "Complete"]
    assert [read(client, acme, i) for i in jane[1] + john[1]] == [404, 404, 200]
    path = f"/privacy/v1/subjects/{jane[0]}/holdings"
    holdings = client.get(path, headers=erasure.prober).json()
    assert not holdings["objects"]
    assert not any(holdings["records"].values())
    listed = client.get("/v1/images", params={"user": "jane"}, headers=acme.bearer).json()
    assert listed["data"] == []


def test_the_fence_says_what_is_held_and_every_step_is_idempotent(erasure: Erasure) -> None:
    first = erasure.fence()
    assert first["held"]["objects"] == 2
    assert first["held"]["records"] == {"images": 2, "prompts": 1}
    assert erasure.fence() == first
    version = erasure.rotate()
    committed = erasure.step("commit", {"key_version": version})
    assert erasure.step("commit", {"key_version": version}) == committed
    assert committed["key_version"] == version
    copied = erasure.step("copies")
    assert all(copy["read_back"] for copy in copied["copies"])
    assert erasure.step("copies") == copied
    assert [replica["id"] for replica in erasure.caches()["replicas"]] == ["replica-1"]
    erasure.trim(version)
    purged = erasure.step("purge")
    assert {store["remaining"] for store in purged["stores"]} == {0}
    assert erasure.step("purge")["state"] == "Purged"
    assert [erasure.step("complete")["state"] for _ in range(2)] == ["Complete"] * 2


def test_an_unknown_image_and_an_erased_one_are_answered_alike(
    client: TestClient, acme: TenantRig, erasure: Erasure, jane: tuple[str, list[str]]
) -> None:
    erasure.run()
    erased = client.get(f"/v1/images/{jane[1][0]}", headers=acme.bearer)
    unknown = client.get("/v1/images/img_0123_0", headers=acme.bearer)
    assert (erased.status_code, erased.json()) == (unknown.status_code, unknown.json())


def test_another_tenants_image_is_answered_like_an_unknown_one(
    client: TestClient,
    bolt_client: TestClient,
    bolt: TenantRig,
    jane: tuple[str, list[str]],
) -> None:
    foreign = bolt_client.get(f"/v1/images/{jane[1][0]}", headers=bolt.bearer)
    unknown = bolt_client.get("/v1/images/img_0123_0", headers=bolt.bearer)
    assert (foreign.status_code, foreign.json()) == (unknown.status_code, unknown.json())


def test_under_the_fence_nothing_is_made_and_nothing_is_read(
    client: TestClient, acme: TenantRig, erasure: Erasure, jane: tuple[str, list[str]], john: tuple[str, list[str]]
) -> None:
    erasure.fence()
    body = {"prompt": "again", "user": "jane"}
    answer = client.post("/v1/images/generations", json=body, headers=acme.bearer)
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "erasure_in_progress")
    assert answer.headers["retry-after"] == "1"
    assert read(client, acme, jane[1][0]) == 404
    assert read(client, acme, john[1][0]) == 200
    assert make(client, acme, "john")


def test_an_image_that_was_being_made_when_the_erasure_began_is_never_kept(
    client: TestClient, acme: TenantRig, erasure: Erasure, jane: tuple[str, list[str]]
) -> None:
    answers: list[Any] = []
    portal = client.portal
    assert portal is not None
    gate = portal.call(asyncio.Event)
    acme.generators.gate = gate
    body = {"prompt": "late", "user": "jane"}
    thread = threading.Thread(
        target=lambda: answers.append(client.post("/v1/images/generations", json=body, headers=acme.bearer))
    )
    thread.start()
    deadline = time.monotonic() + 10
    while len(acme.generators.calls) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    erasure.fence()
    portal.call(gate.set)
    thread.join(10)
    assert answers[0].status_code == 409
    assert erasure.fence()["held"]["objects"] == 2


def test_a_returning_person_begins_anew(
    client: TestClient, acme: TenantRig, erasure: Erasure, jane: tuple[str, list[str]]
) -> None:
    erasure.run()
    subject, images = make(client, acme, "jane")
    assert subject == jane[0]
    assert [read(client, acme, i) for i in images + jane[1]] == [200, 404, 404]


def test_canaries_show_what_can_still_be_opened(
    client: TestClient, erasure: Erasure, john: tuple[str, list[str]]
) -> None:
    erasure.fence()
    nonce = "ab" * 32
    body = {"request": REQUEST, "subject": erasure.subject, "nonce": nonce}
    canaries = client.post("/privacy/v1/canaries", json=body, headers=erasure.prober).json()
    sealed = [c["sealed"] for c in canaries["erased"]], [c["sealed"] for c in canaries["survivors"]]

    def opened(canary: str) -> tuple[int, str]:
        answer = client.post("/privacy/v1/canaries/open", json={"sealed": canary}, headers=erasure.prober)
        return answer.status_code, answer.json().get("nonce") or answer.json()["error"]["code"]

    assert {opened(c) for group in sealed for c in group} == {(200, nonce)}
    version = erasure.rotate()
    erasure.step("commit", {"key_version": version})
    erasure.step("copies")
    erasure.caches()
    erasure.trim(version)
    assert {opened(c) for c in sealed[0]} == {(410, "key_destroyed")}
    assert {opened(c) for c in sealed[1]} == {(200, nonce)}


def test_the_root_is_shown_to_the_prober_wrapped(client: TestClient, erasure: Erasure) -> None:
    root = client.get("/privacy/v1/root", headers=erasure.prober).json()
    assert (root["key_name"], root["key_version"]) == (KEY, 1)
    assert root["ciphertext"].startswith("vault:v1:")


def test_a_tree_of_before_what_the_operator_destroyed_is_not_served(
    client: TestClient, acme: TenantRig, erasure: Erasure, jane: tuple[str, list[str]]
) -> None:
    body = {"below": 2}
    assert client.post("/privacy/v1/destroyed", json=body, headers=erasure.prober).status_code == 403
    assert client.post("/privacy/v1/destroyed", json={"below": 0}, headers=erasure.operator).status_code == 400
    assert read(client, acme, jane[1][0]) == 200
    assert client.post("/privacy/v1/destroyed", json=body, headers=erasure.operator).json() == body
    time.sleep(0.1)  # the age of the cache
    assert read(client, acme, jane[1][0]) == 503
    status = client.get("/privacy/v1/status", headers=erasure.operator).json()
    assert (status["ready"], status["reason"]) == (False, "restored_from_before")


def test_a_person_of_whom_nothing_is_held_is_said_to_hold_nothing(
    client: TestClient, issuer: FakeIssuer, transit: FakeTransit
) -> None:
    held = Erasure(client, issuer, transit, "subj-" + "a" * 26).fence()["held"]
    assert (held["objects"], sum(held["records"].values())) == (0, 0)


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        pytest.param("/erasures", {}, 400, "invalid_value", id="an erasure of nobody"),
        pytest.param(
            "/erasures",
            {"request": REQUEST, "subject": "jane", "received_at": RECEIVED},
            400,
            "invalid_value",
            id="an erasure of what is no handle",
        ),
        pytest.param(
            "/erasures",
            {"request": REQUEST, "subject": "subj-" + "a" * 26, "received_at": "2026-11-23T20:00:00"},
            400,
            "invalid_value",
            id="a time without a zone",
        ),
        pytest.param(
            "/erasures",
            {"request": "../x", "subject": "subj-" + "a" * 26, "received_at": RECEIVED},
            400,
            "invalid_value",
            id="a request id that climbs",
        ),
        pytest.param("/erasures/unknown/commit", {"key_version": 2}, 404, "not_found", id="an unknown request"),
        pytest.param("/erasures/unknown/commit", {}, 400, "invalid_value", id="a commit under no version"),
        pytest.param("/erasures/a%20b/copies", None, 400, "invalid_value", id="a request id with a blank"),
        pytest.param("/nothing", None, 404, "not_found", id="an unknown path"),
    ],
)
def test_bad_requests_in_the_privacy_apis_shape(
    client: TestClient, issuer: FakeIssuer, path: str, body: dict[str, Any] | None, status: int, code: str
) -> None:
    answer = client.post(f"/privacy/v1{path}", json=body, headers=issuer.bearer(Role.OPERATOR))
    assert answer.status_code == status, answer.text
    assert answer.json()["error"].keys() == {"code", "message"}
    assert answer.json()["error"]["code"] == code


@pytest.mark.parametrize(
    ("steps", "status", "code"),
    [
        pytest.param([("commit", {"key_version": 2})], 409, "key_version_behind", id="commit before rotating"),
        pytest.param([("copies", None)], 409, "erasure_conflict", id="copies before commit"),
        pytest.param([("purge", None)], 409, "erasure_conflict", id="purge before the rest"),
        pytest.param([("complete", None)], 409, "erasure_conflict", id="complete before the rest"),
    ],
)
def test_steps_out_of_order_are_refused(
    client: TestClient, erasure: Erasure, steps: list[tuple[str, Any]], status: int, code: str
) -> None:
    erasure.fence()
    for name, body in steps:
        answer = client.post(f"/privacy/v1/erasures/{REQUEST}/{name}", json=body, headers=erasure.operator)
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_a_request_id_cannot_be_used_for_somebody_else(
    client: TestClient, erasure: Erasure, john: tuple[str, list[str]]
) -> None:
    erasure.fence()
    body = {"request": REQUEST, "subject": john[0], "received_at": RECEIVED}
    answer = client.post("/privacy/v1/erasures", json=body, headers=erasure.operator)
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "erasure_conflict")


def test_the_models_probe_makes_an_image_and_keeps_none(
    client: TestClient, issuer: FakeIssuer, acme: TenantRig
) -> None:
    operator = issuer.bearer(Role.OPERATOR)
    deadline = time.monotonic() + 20

    def copied() -> bool:
        status = client.get("/privacy/v1/status", headers=operator).json()
        return any(copy["verified_at"] for copy in status["copies"])

    while not copied():
        assert time.monotonic() < deadline  # the first copy of the tree is under way
        time.sleep(0.02)

    def kept() -> list[str]:
        return sorted(path.name for path in acme.folder.rglob("*") if not path.name.startswith("records.db"))

    before = kept()
    answer = client.post("/privacy/v1/models/shapes/probe", headers=operator)
    assert (answer.status_code, answer.json()["ok"]) == (200, True)
    assert kept() == before
    assert client.post("/privacy/v1/models/none/probe", headers=operator).status_code == 404
    acme.generators.apps.clear()
    answer = client.post("/privacy/v1/models/shapes/probe", headers=operator)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "model_unavailable")
