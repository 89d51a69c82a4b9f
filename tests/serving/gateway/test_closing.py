"""Without keys or storage the Gateway does nothing, says why, and comes back by itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from starlette.testclient import TestClient

from imagint_privacy.keys.fakes import FakeTransit
from imagint_serving.gateway.application import build_application
from imagint_serving.gateway.identity import Role
from imagint_serving.gateway.rigs import FakeIssuer, TenantRig

GENERATIONS = "/v1/images/generations"


def eventually(check: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_gateway_that_starts_before_vault_waits_and_then_serves(
    acme: TenantRig, transit: FakeTransit, issuer: FakeIssuer
) -> None:
    transit.unreachable = True
    with TestClient(build_application(acme.services)) as client:
        eventually(lambda: client.get("/healthz").json().get("reason") == "keys_unavailable")
        answer = client.post(GENERATIONS, json={"prompt": "a"}, headers=acme.bearer)
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "keys_unavailable")
        assert int(answer.headers["retry-after"]) >= 1
        status = client.get("/privacy/v1/status", headers=issuer.bearer(Role.OPERATOR)).json()
        assert (status["ready"], status["reason"]) == (False, "keys_unavailable")
        assert not acme.generators.calls
        transit.unreachable = False
        eventually(lambda: client.get("/healthz").status_code == 200)
        assert client.post(GENERATIONS, json={"prompt": "a"}, headers=acme.bearer).status_code == 200


@pytest.mark.parametrize("switch", ["sealed", "unreachable"])
def test_a_vault_that_goes_away_closes_the_gateway_within_the_caches_bound(
    client: TestClient, acme: TenantRig, transit: FakeTransit, issuer: FakeIssuer, switch: str
) -> None:
    made = client.post(GENERATIONS, json={"prompt": "a", "user": "jane"}, headers=acme.bearer).json()
    path = f"/v1/images/{made['data'][0]['id']}"
    setattr(transit, switch, True)
    time.sleep(0.1)
    answers: list[Any] = [
        client.post(GENERATIONS, json={"prompt": "a", "user": "jane"}, headers=acme.bearer),
        client.get(path, headers=acme.bearer),
        client.get("/v1/images?user=jane", headers=acme.bearer),
        client.post("/v1/privacy/handles", json={"identifier": "jane"}, headers=acme.bearer),
    ]
    assert {(a.status_code, a.json()["error"]["code"]) for a in answers} == {(503, "keys_unavailable")}
    assert client.get("/healthz").status_code == 503
    assert client.get("/v1/models", headers=acme.bearer).status_code == 200
    status = client.get("/privacy/v1/status", headers=issuer.bearer(Role.PROBER)).json()
    assert (status["ready"], status["reason"]) == (False, "keys_unavailable")
    setattr(transit, switch, False)
    eventually(lambda: client.get(path, headers=acme.bearer).status_code == 200)


def test_an_image_that_cannot_be_sealed_is_not_handed_over(client: TestClient, acme: TenantRig) -> None:
    objects = acme.folder / "objects"
    for path in sorted(objects.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    objects.rmdir()
    objects.write_text("no folder any more")
    answer = client.post(GENERATIONS, json={"prompt": "a", "user": "jane"}, headers=acme.bearer)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "storage_unavailable")
    assert "b64_json" not in answer.text
    objects.unlink()
    objects.mkdir()
    listed = client.get("/v1/images?user=jane", headers=acme.bearer).json()
    assert listed["data"] == []


def test_status_shows_what_the_operator_needs(client: TestClient, acme: TenantRig, issuer: FakeIssuer) -> None:
    status = client.get("/privacy/v1/status", headers=issuer.bearer(Role.OPERATOR)).json()
    assert status["tenant"] == "acme"
    assert status["ready"] is True
    assert status["generation"] >= 1
    assert status["key_version"] == 1
    assert [replica["id"] for replica in status["replicas"]] == ["replica-1"]
    assert status["api_keys"] == ["web"]
    assert acme.key not in str(status)


def test_without_api_keys_the_gateway_is_not_ready(client: TestClient, acme: TenantRig) -> None:
    (acme.handover / "api-keys.json").unlink()
    answer = client.get("/healthz")
    assert (answer.status_code, answer.json()["reason"]) == (503, "api_keys_missing")


def test_the_tree_is_copied_without_being_asked(client: TestClient, issuer: FakeIssuer) -> None:
    def verified() -> bool:
        copies = client.get("/privacy/v1/status", headers=issuer.bearer(Role.OPERATOR)).json()["copies"]
        return bool(copies) and all(copy["verified_at"] and copy["generation"] >= 1 for copy in copies)

    eventually(verified, seconds=20)
