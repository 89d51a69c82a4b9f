"""Who gets in: API keys by digest, the platform by token; nobody else, and nobody through the wrong door."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import jwt
import pytest
from starlette.testclient import TestClient

from imagint_serving.gateway.identity import Role
from imagint_serving.gateway.rigs import FakeIssuer, TenantRig

SUBJECT = "subj-" + "a" * 26
OPENAI_DOORS = [
    ("POST", "/v1/images/generations"),
    ("GET", "/v1/images?user=jane"),
    ("GET", "/v1/images/img_1_0"),
    ("GET", "/v1/images/img_1_0/content"),
    ("GET", "/v1/models"),
    ("GET", "/v1/models/shapes"),
    ("POST", "/v1/privacy/handles"),
]
OPERATOR_DOORS = [
    ("POST", "/privacy/v1/models/shapes/probe"),
    ("POST", "/privacy/v1/models/shapes/trial"),
    ("POST", "/privacy/v1/erasures"),
    ("POST", "/privacy/v1/erasures/r-1/commit"),
    ("POST", "/privacy/v1/erasures/r-1/copies"),
    ("POST", "/privacy/v1/erasures/r-1/caches"),
    ("POST", "/privacy/v1/erasures/r-1/purge"),
    ("POST", "/privacy/v1/erasures/r-1/complete"),
]
PROBER_DOORS = [
    ("GET", "/privacy/v1/root"),
    ("POST", "/privacy/v1/canaries"),
    ("POST", "/privacy/v1/canaries/open"),
]
SHARED_DOORS = [
    ("GET", "/privacy/v1/status"),
    ("GET", "/privacy/v1/erasures/r-1"),
    ("GET", f"/privacy/v1/subjects/{SUBJECT}/holdings"),
]
PRIVACY_DOORS = OPERATOR_DOORS + PROBER_DOORS + SHARED_DOORS

Credential = Callable[[FakeIssuer, TenantRig, TenantRig], dict[str, str]]
STRANGER = "system:serviceaccount:imagint-system:imagint-projector"
DATAPLANE = "system:serviceaccount:tenant-bolt:imagint-dataplane"
IMPOSTOR = "system:serviceaccount:tenant-acme:imagint-controller"

NOBODY: list[tuple[str, Credential]] = [
    ("without a credential", lambda i, a, b: {}),
    ("with an empty credential", lambda i, a, b: {"authorization": "Bearer "}),
    ("with another scheme", lambda i, a, b: {"authorization": f"Basic {a.key}"}),
    ("with another tenant's API key", lambda i, a, b: b.bearer),
    ("with a credential that is no text", lambda i, a, b: {"authorization": "Bearer \xff\xfe"}),
    ("with a credential without end", lambda i, a, b: {"authorization": "Bearer " + "x" * 20_000}),
]
WRONG_TOKENS: list[tuple[str, Credential]] = [
    ("with a token for another audience", lambda i, a, b: i.bearer(Role.OPERATOR, aud=["vault"])),
    ("with a token without an audience", lambda i, a, b: i.bearer(Role.OPERATOR, aud=None)),
    ("with a token of another issuer", lambda i, a, b: i.bearer(Role.OPERATOR, iss="https://evil.test")),
    ("with an expired token", lambda i, a, b: i.bearer(Role.OPERATOR, exp=int(time.time()) - 60)),
    ("with a token that never expires", lambda i, a, b: i.bearer(Role.OPERATOR, exp=None)),
    ("with a token without a subject", lambda i, a, b: i.bearer(Role.OPERATOR, sub=None)),
    ("with an unsigned token", lambda i, a, b: unsigned(i)),
    ("with a token signed by the public key", lambda i, a, b: confused(i)),
    ("with an API key", lambda i, a, b: a.bearer),
]


def unsigned(issuer: FakeIssuer) -> dict[str, str]:
    claims = jwt.decode(issuer.token(Role.OPERATOR), options={"verify_signature": False})
    token = jwt.encode(claims, "", algorithm="none", headers={"kid": "cluster-key"})
    return {"authorization": f"Bearer {token}"}


def confused(issuer: FakeIssuer) -> dict[str, str]:
    claims = jwt.decode(issuer.token(Role.OPERATOR), options={"verify_signature": False})
    secret = json.loads(issuer.path.read_text())["jwks"]["keys"][0]["n"]
    token = jwt.encode(claims, secret, algorithm="HS256", headers={"kid": "cluster-key"})
    return {"authorization": f"Bearer {token}"}


def knock(client: TestClient, door: tuple[str, str], headers: dict[str, str]) -> int:
    method, path = door
    answer = client.request(method, path, headers=headers, json={} if method == "POST" else None)
    assert "error" in answer.json() or answer.is_success
    return answer.status_code


@pytest.mark.parametrize("credential", [c for _, c in NOBODY], ids=[name for name, _ in NOBODY])
def test_nobody_enters_any_door(
    client: TestClient, issuer: FakeIssuer, acme: TenantRig, bolt: TenantRig, credential: Credential
) -> None:
    headers = {k: v.encode("latin-1") for k, v in credential(issuer, acme, bolt).items()}
    doors = OPENAI_DOORS + PRIVACY_DOORS
    assert {door: knock(client, door, headers) for door in doors} == dict.fromkeys(doors, 401)  # type: ignore[arg-type]


@pytest.mark.parametrize("credential", [c for _, c in WRONG_TOKENS], ids=[name for name, _ in WRONG_TOKENS])
def test_wrong_tokens_do_not_open_the_privacy_api(
    client: TestClient, issuer: FakeIssuer, acme: TenantRig, bolt: TenantRig, credential: Credential
) -> None:
    headers = credential(issuer, acme, bolt)
    assert {door: knock(client, door, headers) for door in PRIVACY_DOORS} == dict.fromkeys(PRIVACY_DOORS, 401)


@pytest.mark.parametrize(
    "subject",
    [STRANGER, IMPOSTOR, DATAPLANE],
    ids=["the projector", "a tenant's namesake of the operator", "another tenant's data plane"],
)
def test_genuine_tokens_of_others_are_forbidden(client: TestClient, issuer: FakeIssuer, subject: str) -> None:
    headers = issuer.bearer(subject)
    assert {door: knock(client, door, headers) for door in PRIVACY_DOORS} == dict.fromkeys(PRIVACY_DOORS, 403)


def test_the_platform_has_no_key_to_the_images_api(client: TestClient, issuer: FakeIssuer) -> None:
    for role in Role:
        headers = issuer.bearer(role)
        assert {d: knock(client, d, headers) for d in OPENAI_DOORS} == dict.fromkeys(OPENAI_DOORS, 401)


@pytest.mark.parametrize(
    ("role", "closed", "open_doors"),
    [
        pytest.param(Role.OPERATOR, PROBER_DOORS, OPERATOR_DOORS + SHARED_DOORS, id="the operator"),
        pytest.param(Role.PROBER, OPERATOR_DOORS, PROBER_DOORS + SHARED_DOORS, id="the prober"),
    ],
)
def test_each_role_has_its_own_doors(
    client: TestClient,
    issuer: FakeIssuer,
    role: Role,
    closed: list[tuple[str, str]],
    open_doors: list[tuple[str, str]],
) -> None:
    headers = issuer.bearer(role)
    assert {door: knock(client, door, headers) for door in closed} == dict.fromkeys(closed, 403)
    assert not {knock(client, door, headers) for door in open_doors} & {401, 403}


def test_a_key_is_rotated_without_a_restart(client: TestClient, acme: TenantRig) -> None:
    old = acme.bearer
    new = {"authorization": "Bearer the-next-api-key"}
    acme.hand_over(old=acme.key, new="the-next-api-key")
    assert [client.get("/v1/models", headers=h).status_code for h in (old, new)] == [200, 200]
    acme.hand_over(new="the-next-api-key")
    assert [client.get("/v1/models", headers=h).status_code for h in (old, new)] == [401, 200]


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(None, id="missing"),
        pytest.param("", id="empty"),
        pytest.param("[]", id="a list"),
        pytest.param('{"web": "plain-text-key"}', id="not digests"),
        pytest.param('{"web": 5}', id="not text"),
    ],
)
def test_without_usable_keys_nobody_enters_and_the_reason_is_ours(
    client: TestClient, acme: TenantRig, content: str | None
) -> None:
    path = acme.handover / "api-keys.json"
    path.unlink() if content is None else path.write_text(content)
    answer = client.get("/v1/models", headers=acme.bearer)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "not_ready")


def test_without_the_issuers_keys_the_privacy_api_is_closed(client: TestClient, issuer: FakeIssuer) -> None:
    content, headers = issuer.path.read_text(), issuer.bearer(Role.OPERATOR)
    issuer.path.unlink()
    try:
        answer = client.get("/privacy/v1/status", headers=headers)
    finally:
        issuer.path.write_text(content)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "not_ready")
    assert client.get("/privacy/v1/status", headers=headers).status_code == 200
