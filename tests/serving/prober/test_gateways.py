"""The Gateway over HTTP: its own token, its own address, and nothing taken on trust."""

from __future__ import annotations

import gzip
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from imagint_serving.prober.errors import GatewayUnavailableError
from imagint_serving.prober.fakes import refusal
from imagint_serving.prober.gateways import MAX_ANSWER, HttpGateway
from imagint_serving.prober.ports import Opening

Respond = Callable[[httpx.Request], httpx.Response]
ROOT = {"generation": 1, "key_name": "tenant-acme", "key_version": 1, "ciphertext": "vault:v1:x", "extra": "ignored"}
NONCE = "0" * 64
GZIPPED = gzip.compress(b"{}")


@pytest.fixture
def token(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text("one\n")
    return path


def gateway(token: Path, respond: Respond) -> HttpGateway:
    return HttpGateway("http://serve.test", token, httpx.MockTransport(respond))


def test_it_shows_its_own_token_read_anew_each_time(token: Path) -> None:
    seen: list[httpx.Request] = []

    def respond(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json=ROOT)

    client = gateway(token, respond)
    client.root("acme")
    token.write_text("two")
    client.root("acme")
    assert [request.headers["authorization"] for request in seen] == ["Bearer one", "Bearer two"]
    assert str(seen[0].url) == "http://serve.test/acme/privacy/v1/root"
    client.close()


def raising(error: type[httpx.HTTPError]) -> Respond:
    def respond(request: httpx.Request) -> httpx.Response:
        raise error("boom")

    return respond


def endless() -> Iterator[bytes]:
    while True:
        yield b" " * 65_536


BAD: dict[str, Respond] = {
    "connection refused": raising(httpx.ConnectError),
    "a timeout": raising(httpx.ReadTimeout),
    "a broken answer": raising(httpx.RemoteProtocolError),
    "an internal error": lambda _: httpx.Response(500),
    "keys unavailable": lambda _: refusal(503, "keys_unavailable"),
    "not allowed": lambda _: refusal(403, "forbidden"),
    "a redirection elsewhere": lambda _: httpx.Response(302, headers={"location": "http://elsewhere.test"}),
    "no JSON": lambda _: httpx.Response(200, content=b"<html>"),
    "a list": lambda _: httpx.Response(200, json=[]),
    "a member missing": lambda _: httpx.Response(200, json={"generation": 1}),
    "a member of another kind": lambda _: httpx.Response(200, json={**ROOT, "key_version": "one"}),
    "an answer without end": lambda _: httpx.Response(200, content=endless()),
    "an answer beyond the limit": lambda _: httpx.Response(200, content=b" " * (MAX_ANSWER + 1)),
    "a compressed answer": lambda _: httpx.Response(200, headers={"content-encoding": "gzip"}, content=GZIPPED),
}


@pytest.mark.parametrize("respond", BAD.values(), ids=BAD.keys())
def test_an_answer_that_was_not_agreed_is_no_answer(token: Path, respond: Respond) -> None:
    with pytest.raises(GatewayUnavailableError):
        gateway(token, respond).root("acme")


OPENINGS: dict[str, tuple[httpx.Response, Opening]] = {
    "opened": (httpx.Response(200, json={"nonce": NONCE}), Opening.OPENED),
    "opened with other content": (httpx.Response(200, json={"nonce": "1" * 64}), Opening.OTHER_CONTENT),
    "destroyed": (refusal(410, "key_destroyed"), Opening.KEY_DESTROYED),
    "gone for another reason": (refusal(410, "gone"), Opening.FAILED),
    "gone without a reason": (httpx.Response(410), Opening.FAILED),
    "not found": (refusal(404, "key_destroyed"), Opening.FAILED),
    "malformed": (refusal(400, "invalid_value"), Opening.FAILED),
}


@pytest.mark.parametrize(("answer", "opening"), OPENINGS.values(), ids=OPENINGS.keys())
def test_what_became_of_a_canary(token: Path, answer: httpx.Response, opening: Opening) -> None:
    assert gateway(token, lambda _: answer).open_canary("acme", "sealed", NONCE) is opening


@pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
def test_a_gateway_that_does_not_let_us_try_proves_nothing(token: Path, status: int) -> None:
    with pytest.raises(GatewayUnavailableError):
        gateway(token, lambda _: refusal(status, "key_destroyed")).open_canary("acme", "sealed", NONCE)


@pytest.mark.parametrize("content", [None, b"", b" \n", b"\xff"], ids=["missing", "empty", "blank", "no text"])
def test_without_a_token_it_does_not_ask(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "token"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(GatewayUnavailableError):
        gateway(path, lambda _: pytest.fail("asked without a token")).root("acme")


def test_no_message_and_no_log_of_ours_repeats_what_a_gateway_said(
    token: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="imagint_serving")
    said = {"error": {"code": "jane doe\n", "message": "jane@example.org"}}
    with pytest.raises(GatewayUnavailableError) as refused:
        gateway(token, lambda _: httpx.Response(409, json=said)).root("acme")
    assert "jane" not in str(refused.value) + caplog.text


OWN = "http://{service}.{namespace}.svc:8000"
SHARED, ALONE = "serve.test", "imagint-serve-svc.tenant-acme.svc"
HERE: Respond = lambda _: httpx.Response(200, json=ROOT)  # noqa: E731
NOWHERE: Respond = lambda _: httpx.Response(404, text="Path '/acme/privacy/v1/root' not found.")  # noqa: E731
PLACES: dict[str, tuple[Respond, Respond, list[str]]] = {
    "on the shared cluster": (HERE, NOWHERE, [SHARED, SHARED]),
    "on its own, while the shared one serves others": (NOWHERE, HERE, [SHARED, ALONE, ALONE]),
    "on its own, while the shared one is down": (raising(httpx.ConnectError), HERE, [SHARED, ALONE, ALONE]),
}


@pytest.mark.parametrize(("shared", "own", "asked"), PLACES.values(), ids=PLACES.keys())
def test_a_tenants_gateway_is_found_and_remembered(
    token: Path, shared: Respond, own: Respond, asked: list[str]
) -> None:
    hosts: list[str] = []

    def respond(request: httpx.Request) -> httpx.Response:
        hosts.append(request.url.host)
        return (shared if request.url.host == SHARED else own)(request)

    client = HttpGateway("http://serve.test", token, httpx.MockTransport(respond), dedicated=OWN)
    client.root("acme")
    client.root("acme")
    assert hosts == asked


def test_a_gateway_that_moved_is_found_again(token: Path) -> None:
    at = [ALONE]

    def respond(request: httpx.Request) -> httpx.Response:
        return (HERE if request.url.host in at else NOWHERE)(request)

    client = HttpGateway("http://serve.test", token, httpx.MockTransport(respond), dedicated=OWN)
    for at[0] in (ALONE, SHARED, ALONE):
        assert client.root("acme").key_version == 1


ITS_WORD: dict[str, Respond] = {
    "refuses": lambda _: refusal(403, "forbidden"),
    "has nothing by that name": lambda _: refusal(404, "not_found"),
    "fails": lambda _: httpx.Response(500),
    "breaks off": raising(httpx.ReadTimeout),
}


@pytest.mark.parametrize("word", ITS_WORD.values(), ids=ITS_WORD.keys())
def test_what_a_tenants_gateway_says_is_not_asked_elsewhere(token: Path, word: Respond) -> None:
    def respond(request: httpx.Request) -> httpx.Response:
        return (word if request.url.host == SHARED else HERE)(request)

    client = HttpGateway("http://serve.test", token, httpx.MockTransport(respond), dedicated=OWN)
    with pytest.raises(GatewayUnavailableError):
        client.root("acme")


def test_a_gateway_that_is_nowhere_is_waited_for(token: Path) -> None:
    client = HttpGateway("http://serve.test", token, httpx.MockTransport(NOWHERE), dedicated=OWN)
    with pytest.raises(GatewayUnavailableError, match="does not run there"):
        client.root("acme")
    with pytest.raises(GatewayUnavailableError):
        client.open_canary("acme", "x", NONCE)
