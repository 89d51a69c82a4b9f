"""The prober over HTTP: who may ask, within which bounds, and how it refuses."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from imagint_serving.gateway.rigs import FakeIssuer
from imagint_serving.prober.application import build_application
from imagint_serving.prober.rigs import AFTER, BEFORE, REQUEST, SUBJECT, Scene

OPERATOR = "system:serviceaccount:imagint-system:imagint-controller"
PROBER = "system:serviceaccount:imagint-system:imagint-prober"
BODY = BEFORE.model_dump(mode="json")
LATER = AFTER.model_dump(mode="json")
LOOK = f"/probes/v1/{REQUEST}"


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> FakeIssuer:
    return FakeIssuer(tmp_path_factory.mktemp("platform") / "platform.json")


@pytest.fixture
async def client(scene: Scene, issuer: FakeIssuer) -> AsyncIterator[httpx.AsyncClient]:
    application = build_application(scene.prober, issuer.path)
    transport = httpx.ASGITransport(application)
    headers = issuer.bearer(OPERATOR, aud=["imagint-prober"])
    async with httpx.AsyncClient(transport=transport, base_url="http://prober.test", headers=headers) as client:
        yield client


def code(answer: httpx.Response) -> tuple[int, str]:
    error = answer.json()["error"]
    assert set(error) == {"code", "message"}
    return answer.status_code, error["code"]


async def test_both_looks_are_answered(client: httpx.AsyncClient, scene: Scene) -> None:
    before = await client.post(f"{LOOK}/before", json=BODY)
    scene.erase()
    after = await client.post(f"{LOOK}/after", json=LATER)
    assert (before.status_code, after.status_code) == (200, 200)
    assert before.json()["passed"]
    assert after.json()["passed"]
    assert set(after.json()) == {"passed", "observed_at", "checks"}
    assert set(after.json()["checks"][0]) == {"name", "passed", "detail"}


async def test_a_look_that_does_not_pass_is_an_answer_too(client: httpx.AsyncClient, scene: Scene) -> None:
    await client.post(f"{LOOK}/before", json=BODY)
    after = await client.post(f"{LOOK}/after", json=LATER)
    assert (after.status_code, after.json()["passed"]) == (200, False)


STRANGERS: dict[str, tuple[dict[str, Any], int]] = {
    "the prober itself": ({"subject": PROBER, "aud": ["imagint-prober"]}, 403),
    "a tenant's data plane": (
        {"subject": "system:serviceaccount:tenant-acme:imagint-dataplane", "aud": ["imagint-prober"]},
        403,
    ),
    "an operator of another namespace": (
        {"subject": "system:serviceaccount:tenant-acme:imagint-controller", "aud": ["imagint-prober"]},
        403,
    ),
    "the operator with a token for the data plane": ({"subject": OPERATOR, "aud": ["imagint-dataplane"]}, 401),
    "the operator with an expired token": ({"subject": OPERATOR, "aud": ["imagint-prober"], "exp": 1}, 401),
}


@pytest.mark.parametrize(("claims", "status"), STRANGERS.values(), ids=STRANGERS.keys())
async def test_only_the_operator_may_ask(
    client: httpx.AsyncClient, scene: Scene, issuer: FakeIssuer, claims: dict[str, Any], status: int
) -> None:
    answer = await client.post(f"{LOOK}/before", json=BODY, headers=issuer.bearer(**claims))
    assert code(answer) == (status, "forbidden" if status == 403 else "invalid_token")
    assert scene.gateway.calls == []


@pytest.mark.parametrize("header", ["", "Bearer", "Basic abc", "Bearer abc"])
async def test_no_token_no_answer(client: httpx.AsyncClient, header: str) -> None:
    assert code(await client.post(f"{LOOK}/before", json=BODY, headers={"authorization": header})) == (
        401,
        "invalid_token",
    )


async def test_without_the_clusters_keys_it_is_closed(scene: Scene, tmp_path: Path, client: httpx.AsyncClient) -> None:
    transport = httpx.ASGITransport(build_application(scene.prober, tmp_path / "missing.json"))
    async with httpx.AsyncClient(transport=transport, base_url="http://prober.test") as closed:
        answer = await closed.post(f"{LOOK}/before", json=BODY, headers=client.headers)
    assert code(answer) == (503, "platform_keys_unavailable")
    assert answer.headers["retry-after"]


BAD_BODIES = {
    "nothing": b"",
    "no JSON": b"{",
    "a list": b"[]",
    "no subject": b'{"tenant":"acme","namespace":"tenant-acme"}',
    "a subject by name": b'{"tenant":"acme","namespace":"tenant-acme","subject":"jane@example.org"}',
    "a tenant that climbs": b'{"tenant":"../x","namespace":"tenant-acme","subject":"%s"}' % SUBJECT.encode(),
    "another namespace": b'{"tenant":"acme","namespace":"tenant-bolt","subject":"%s"}' % SUBJECT.encode(),
    "an unknown member": b'{"tenant":"acme","namespace":"tenant-acme","subject":"%s","url":"x"}' % SUBJECT.encode(),
}


@pytest.mark.parametrize("body", BAD_BODIES.values(), ids=BAD_BODIES.keys())
async def test_a_malformed_question_is_refused_and_not_repeated(client: httpx.AsyncClient, body: bytes) -> None:
    answer = await client.post(f"{LOOK}/before", content=body)
    assert code(answer) == (400, "invalid_request")
    assert "jane" not in answer.text
    assert "url" not in answer.text


async def test_a_body_beyond_the_limit_is_refused(client: httpx.AsyncClient) -> None:
    assert code(await client.post(f"{LOOK}/before", content=b" " * 5000)) == (413, "invalid_request")


async def test_a_body_that_does_not_arrive_is_refused(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    import asyncio

    from imagint_serving.prober import application

    monkeypatch.setattr(application, "BODY_SECONDS", 0.05)

    async def slowly() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(5)

    assert code(await client.post(f"{LOOK}/before", content=slowly())) == (408, "invalid_request")


@pytest.mark.parametrize("request_id", ["..%2Fx", "a" * 65, ".hidden", "a b"])
async def test_a_request_id_that_is_no_file_name_is_refused(client: httpx.AsyncClient, request_id: str) -> None:
    answer = await client.post(f"/probes/v1/{request_id}/before", json=BODY)
    assert answer.status_code in (400, 404)


@pytest.mark.parametrize("version", [0, 1, -1, "two", None])
async def test_a_version_that_cannot_follow_a_rotation_is_refused(client: httpx.AsyncClient, version: Any) -> None:
    answer = await client.post(f"{LOOK}/after", json={**BODY, "key_version": version})
    assert code(answer) == (400, "invalid_request")


async def test_after_without_before_is_a_conflict(client: httpx.AsyncClient) -> None:
    assert code(await client.post(f"{LOOK}/after", json=LATER)) == (409, "before_missing")


async def test_the_same_request_about_somebody_else_is_a_conflict(client: httpx.AsyncClient) -> None:
    await client.post(f"{LOOK}/before", json=BODY)
    other = {**BODY, "subject": "subj-" + "c" * 26}
    assert code(await client.post(f"{LOOK}/before", json=other)) == (409, "conflicting_request")


async def test_a_sealed_vault_is_said_to_be_unavailable(client: httpx.AsyncClient, scene: Scene) -> None:
    scene.transit.sealed = True
    answer = await client.post(f"{LOOK}/before", json=BODY)
    assert code(answer) == (503, "keys_unavailable")
    assert int(answer.headers["retry-after"]) >= 1


async def test_a_gateway_that_is_down_is_said_to_be_unavailable(client: httpx.AsyncClient, scene: Scene) -> None:
    scene.gateway.answer = lambda _: httpx.Response(502)
    assert code(await client.post(f"{LOOK}/before", json=BODY)) == (503, "gateway_unavailable")


async def test_a_disk_that_cannot_keep_the_result_gives_none(client: httpx.AsyncClient, scene: Scene) -> None:
    scene.storage.folder.write_text("a file where the folder should be")
    assert code(await client.post(f"{LOOK}/before", json=BODY)) == (503, "storage_unavailable")


@pytest.mark.parametrize(("method", "path"), [("GET", "/"), ("GET", f"{LOOK}/before"), ("POST", "/docs")])
async def test_there_is_nothing_else(client: httpx.AsyncClient, method: str, path: str) -> None:
    answer = await client.request(method, path)
    assert code(answer)[0] in (404, 405)


async def test_health_needs_no_token(client: httpx.AsyncClient) -> None:
    answer = await client.get("/healthz", headers={"authorization": ""})
    assert answer.json() == {"ok": True}


async def test_no_handle_and_no_token_is_logged(
    client: httpx.AsyncClient, scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="imagint_serving")
    await client.post(f"{LOOK}/before", json=BODY)
    scene.erase()
    await client.post(f"{LOOK}/after", json=LATER)
    ours = "\n".join(record.getMessage() for record in caplog.records if record.name.startswith("imagint"))
    assert f"probe after of {REQUEST} (tenant acme): passed" in ours
    assert "subj-" not in ours
    assert client.headers["authorization"] not in ours
