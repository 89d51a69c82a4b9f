"""A person's data is restricted and released again through the privacy API."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from imagint_serving.gateway.identity import Role
from imagint_serving.gateway.rigs import FakeIssuer, TenantRig

RECEIVED = "2026-11-23T20:00:00Z"
GENERATE = {"prompt": "a wish", "user": "jane"}
NOBODY = "subj-" + "a" * 26


@pytest.fixture
def bearer(issuer: FakeIssuer) -> dict[str, str]:
    return issuer.bearer(Role.OPERATOR)


@pytest.fixture
def jane(client: TestClient, acme: TenantRig) -> tuple[str, str]:
    answer = client.post("/v1/images/generations", json=GENERATE, headers=acme.bearer)
    return answer.headers["x-imagint-subject"], answer.json()["data"][0]["id"]


def body(subject: str, **changes: Any) -> dict[str, Any]:
    return {"request": "r1", "subject": subject, "kind": "Restrict", "received_at": RECEIVED, **changes}


def test_restricted_data_is_neither_used_nor_served_until_it_is_lifted(
    client: TestClient, acme: TenantRig, bearer: dict[str, str], jane: tuple[str, str]
) -> None:
    subject, image = jane
    content = f"/v1/images/{image}/content"
    before = client.get(content, headers=acme.bearer).content
    answer = client.post("/privacy/v1/restrictions", json=body(subject), headers=bearer)
    assert (answer.status_code, answer.json()["state"], answer.json()["subject"]) == (200, "Restricted", subject)
    made = client.post("/v1/images/generations", json=GENERATE, headers=acme.bearer)
    assert (made.status_code, made.json()["error"]["code"]) == (403, "processing_restricted")
    assert client.get(content, headers=acme.bearer).status_code == 404
    held = client.get(f"/privacy/v1/subjects/{subject}/holdings", headers=bearer).json()
    assert held["objects"] == 1
    lifted = client.post("/privacy/v1/restrictions/r1/lift", headers=bearer).json()
    assert (lifted["state"], lifted["lifted_at"] is not None) == ("Lifted", True)
    assert client.get(content, headers=acme.bearer).content == before
    assert client.post("/v1/images/generations", json=GENERATE, headers=acme.bearer).status_code == 200


def test_an_objection_stops_no_image(
    client: TestClient, acme: TenantRig, bearer: dict[str, str], jane: tuple[str, str]
) -> None:
    given = body(jane[0], kind="Object", purposes=["Improve"])
    answer = client.post("/privacy/v1/restrictions", json=given, headers=bearer).json()
    assert (answer["state"], answer["purposes"]) == ("Objected", ["Improve"])
    assert client.post("/v1/images/generations", json=GENERATE, headers=acme.bearer).status_code == 200
    listed = client.get(f"/privacy/v1/subjects/{jane[0]}/restrictions", headers=bearer).json()
    assert listed["restrictions"] == [answer]
    assert client.get("/privacy/v1/restrictions/r1", headers=bearer).json() == answer


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        pytest.param({"kind": "Forget"}, 400, "invalid_value", id="no such kind"),
        pytest.param({"subject": "jane"}, 400, "invalid_value", id="no handle"),
        pytest.param({"categories": ["Images"]}, 400, "invalid_value", id="no category"),
        pytest.param({"purposes": ["Market"]}, 400, "invalid_value", id="a restriction of a purpose"),
        pytest.param({"kind": "Object", "purposes": ["Sell"]}, 400, "invalid_value", id="no such purpose"),
        pytest.param({"kind": "Object", "purposes": ["Generate"]}, 400, "not_objectable", id="the service itself"),
        pytest.param({"received_at": "2026-11-23T20:00:00"}, 400, "invalid_value", id="a time without a zone"),
    ],
)
def test_what_cannot_be_restricted_is_refused(
    client: TestClient, bearer: dict[str, str], changes: dict[str, Any], status: int, code: str
) -> None:
    answer = client.post("/privacy/v1/restrictions", json={**body(NOBODY), **changes}, headers=bearer)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code), answer.text


def test_a_request_id_stands_for_one_restriction(client: TestClient, bearer: dict[str, str]) -> None:
    path = "/privacy/v1/restrictions"
    first = client.post(path, json=body(NOBODY), headers=bearer).json()
    assert client.post(path, json=body(NOBODY), headers=bearer).json() == first
    other = client.post(path, json=body(NOBODY, categories=["images"]), headers=bearer)
    assert (other.status_code, other.json()["error"]["code"]) == (409, "restriction_conflict")
    assert client.post(f"{path}/unknown/lift", headers=bearer).status_code == 404
