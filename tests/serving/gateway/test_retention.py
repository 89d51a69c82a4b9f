"""Retention through the privacy API: the operator counts, begins, commits and purges; nobody else may."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from starlette.testclient import TestClient

from imagint_privacy.keys.fakes import FakeTransit
from imagint_serving.gateway.identity import Role
from imagint_serving.gateway.rigs import FakeIssuer, TenantRig

KEY = "tenant-acme"
RULES = {"images": {"months": 1}, "prompts": {"days": 30}}
LONG_AGO = datetime.now(UTC) - timedelta(days=200)


@pytest.fixture
def old(client: TestClient, acme: TenantRig) -> str:
    """Somebody with an image of 200 days ago."""
    return acme.draw_in_the_past(LONG_AGO, "jane")[0]


class Operator:
    """Posts to the privacy API as the operator does."""

    def __init__(self, client: TestClient, issuer: FakeIssuer) -> None:
        self.client, self.bearer = client, issuer.bearer(Role.OPERATOR)

    def post(self, path: str, body: Any = None) -> dict[str, Any]:
        deadline = time.monotonic() + 20
        while (answer := self.client.post(f"/privacy/v1{path}", json=body, headers=self.bearer)).status_code == 202:
            assert "retry-after" in answer.headers
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())


@pytest.fixture
def operator(client: TestClient, issuer: FakeIssuer) -> Operator:
    return Operator(client, issuer)


def test_a_run_forgets_what_is_old_and_says_what_it_did(
    client: TestClient, acme: TenantRig, operator: Operator, transit: FakeTransit, old: str
) -> None:
    body = {"prompt": "new", "user": "jane"}
    made = client.post("/v1/images/generations", json=body, headers=acme.bearer).json()["data"][0]["id"]
    counted = operator.post("/retention/count", {"rules": RULES})
    assert counted["due"] == {"images": 1}
    begun = operator.post("/retention", {"request": "run-1", "rules": RULES})
    assert (begun["state"], begun["counts"]) == ("Begun", counted)
    version = transit.admin().rotate(KEY)
    done = operator.post("/retention/run-1/commit", {"key_version": version})
    assert (done["state"], done["forgotten_paths"]) == ("Committed", 1)
    assert operator.post("/retention/run-1/copies")["copies"][0]["read_back"]
    assert operator.post("/retention/run-1/caches")["state"] == "CachesDropped"
    transit.admin().raise_minimum(KEY, version)
    transit.admin().trim(KEY, version)
    purged = operator.post("/retention/run-1/purge")["stores"]
    assert [(store["deleted"], store["remaining"]) for store in purged[:3]] == [(1, 0)] * 3
    assert operator.post("/retention/run-1/complete")["state"] == "Complete"
    shown = client.get("/privacy/v1/retention/run-1", headers=operator.bearer).json()
    assert (shown["state"], shown["forgotten"], len(shown["rules_digest"])) == ("Complete", {"images": 1}, 64)
    status = {i: client.get(f"/v1/images/{i}/content", headers=acme.bearer).status_code for i in ("img_jane_0", made)}
    assert status == {"img_jane_0": 404, made: 200}


def test_somebody_excepted_keeps_what_is_old(operator: Operator, old: str) -> None:
    assert operator.post("/retention/count", {"rules": RULES, "except": [old]})["withheld"] == {"images": 1}
    begun = operator.post("/retention", {"request": "run-1", "rules": RULES, "except": [old]})
    assert begun["counts"]["due"] == {}
    assert operator.post("/retention/run-1/complete")["state"] == "Complete"


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        pytest.param("/retention", {"request": "run", "rules": {"images": {}}}, 400, "invalid_value", id="no term"),
        pytest.param(
            "/retention",
            {"request": "run", "rules": {"images": {"days": -1}}},
            400,
            "invalid_value",
            id="a negative one",
        ),
        pytest.param(
            "/retention", {"request": "run", "rules": {"Images": {"days": 1}}}, 400, "invalid_value", id="no category"
        ),
        pytest.param(
            "/retention", {"request": "run", "rules": {}, "except": ["jane"]}, 400, "invalid_value", id="no handle"
        ),
        pytest.param("/retention", {"rules": {}}, 400, "invalid_value", id="no request id"),
        pytest.param("/retention/unknown/commit", {"key_version": 1}, 404, "not_found", id="an unknown run"),
        pytest.param("/retention/unknown/purge", None, 404, "not_found", id="a step of an unknown run"),
        pytest.param("/retention/run/forget", None, 400, "invalid_value", id="an unknown step"),
    ],
)
def test_bad_requests_in_the_privacy_apis_shape(
    client: TestClient, operator: Operator, path: str, body: Any, status: int, code: str
) -> None:
    answer = client.post(f"/privacy/v1{path}", json=body, headers=operator.bearer)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code), answer.text


def test_a_run_that_is_known_with_other_rules_or_asked_out_of_order_is_a_conflict(
    client: TestClient, operator: Operator, old: str
) -> None:
    operator.post("/retention", {"request": "run", "rules": RULES})
    for path, body in (("/retention", {"request": "run", "rules": {}}), ("/retention/run/purge", None)):
        answer = client.post(f"/privacy/v1{path}", json=body, headers=operator.bearer)
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "retention_conflict")


@pytest.mark.parametrize(
    "path", ["/retention", "/retention/count", "/retention/run/commit", "/retention/run/purge", "/restrictions"]
)
def test_only_the_operator_may(client: TestClient, issuer: FakeIssuer, acme: TenantRig, path: str) -> None:
    answer = client.post(f"/privacy/v1{path}", json={}, headers=issuer.bearer(Role.PROBER))
    assert answer.status_code == 403
    assert client.post(f"/privacy/v1{path}", json={}, headers=acme.bearer).status_code == 401
