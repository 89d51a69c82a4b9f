"""Requests that are wrong as HTTP: each is a clear answer in the right shape, in bounded memory."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from starlette.testclient import TestClient

from imagint_serving.gateway.bodies import MAX_BODY_BYTES
from imagint_serving.gateway.rigs import TenantRig

GENERATIONS = "/v1/images/generations"


@pytest.mark.parametrize(
    ("method", "path", "options", "status", "code"),
    [
        pytest.param("GET", "/v1/nothing", {}, 404, "not_found", id="an unknown path"),
        pytest.param("GET", GENERATIONS, {}, 404, "image_not_found", id="a path that reads like an id"),
        pytest.param("PUT", GENERATIONS, {}, 405, "method_not_allowed", id="a method that is not taken"),
        pytest.param("POST", GENERATIONS, {"content": b"{"}, 400, "invalid_json", id="half a body"),
        pytest.param(
            "POST", GENERATIONS, {"content": b"x" * (MAX_BODY_BYTES + 1)}, 413, "body_too_large", id="1 too many"
        ),
        pytest.param(
            "POST",
            GENERATIONS,
            {"content": iter([b"x" * 1024] * 1024)},
            413,
            "body_too_large",
            id="a body without a declared end",
        ),
        pytest.param("GET", "/v1/images", {}, 400, "missing_required_parameter", id="a list of nobody"),
        pytest.param("GET", "/v1/images?user=a&subject=b", {}, 400, "missing_required_parameter", id="of two"),
        pytest.param("GET", "/v1/images?user=%20", {}, 400, "invalid_value", id="of an empty name"),
        pytest.param("GET", "/v1/images?subject=jane", {}, 400, "invalid_value", id="of what is no handle"),
        pytest.param("GET", "/v1/images?user=a&limit=0", {}, 400, "invalid_value", id="a list of nothing"),
        pytest.param("GET", "/v1/images?user=a&limit=x", {}, 400, "invalid_value", id="a limit of letters"),
        pytest.param("GET", "/v1/images/..%2f..%2fetc", {}, 404, None, id="a path that climbs"),
        pytest.param("GET", "/v1/images/" + "a" * 5000, {}, 404, "image_not_found", id="an id without end"),
        pytest.param("GET", "/v1/images/img_%00", {}, 404, "image_not_found", id="an id with a zero byte"),
        pytest.param("POST", "/v1/privacy/handles", {"json": {}}, 400, "invalid_value", id="a handle of nobody"),
        pytest.param(
            "POST", "/v1/privacy/handles", {"json": {"identifier": " "}}, 400, "invalid_value", id="of blanks"
        ),
        pytest.param(
            "POST",
            "/v1/privacy/handles",
            {"content": b'{"identifier": "\\ud800"}'},
            400,
            "invalid_value",
            id="of half a character",
        ),
        pytest.param(
            "POST",
            "/v1/privacy/handles",
            {"json": {"identifier": "a", "b": 1}},
            400,
            "unknown_parameter",
            id="of more than a person",
        ),
    ],
)
def test_the_answer_in_openais_shape(  # noqa: PLR0917
    client: TestClient,
    acme: TenantRig,
    method: str,
    path: str,
    options: dict[str, Any],
    status: int,
    code: str | None,
) -> None:
    answer = client.request(method, path, headers=acme.bearer, **options)
    assert answer.status_code == status
    error = answer.json()["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    assert code in (None, error["code"])


def test_a_declared_length_that_lies_is_refused(client: TestClient, acme: TenantRig) -> None:
    headers = {**acme.bearer, "content-length": "9" * 30}
    assert client.post(GENERATIONS, content=b"{}", headers=headers).status_code == 413


@pytest.mark.parametrize(
    ("offered", "kept"),
    [
        pytest.param("my-trace-0001", True, id="a plain id is kept"),
        pytest.param("jane@example.com", False, id="an address is not"),
        pytest.param("x" * 65, False, id="nor is one too long"),
    ],
)
def test_a_callers_request_id(client: TestClient, acme: TenantRig, offered: str, kept: bool) -> None:
    answer = client.get("/v1/models", headers={**acme.bearer, "x-request-id": offered})
    assert (answer.headers["x-request-id"] == offered) is kept


def test_what_nobody_foresaw_is_answered_and_logged_without_its_text(
    client: TestClient, acme: TenantRig, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def explode(*_: object) -> None:
        raise RuntimeError("the prompt was: jane's secret")

    monkeypatch.setattr(acme.generators, "generate", explode)
    with caplog.at_level(logging.DEBUG):
        answer = client.post(GENERATIONS, json={"prompt": "jane's secret"}, headers=acme.bearer)
    assert answer.status_code == 500
    assert answer.json()["error"]["code"] == "internal_error"
    assert "RuntimeError at " in caplog.text
    assert "secret" not in caplog.text + answer.text


def test_logs_name_handles_and_ids_only(client: TestClient, acme: TenantRig, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        body = {"prompt": "a private wish", "user": "jane@example.com", "size": "jane's size"}
        client.post(GENERATIONS, json=body, headers=acme.bearer)
        body["size"] = "32x32"
        client.post(GENERATIONS, json=body, headers=acme.bearer)
        client.get("/v1/images/img_nothing", headers=acme.bearer)
    ours = "\n".join(r.getMessage() for r in caplog.records if not r.name.startswith(("httpx", "asyncio")))
    assert "subj-" in ours
    for secret in ("wish", "jane", acme.key):
        assert secret not in ours
