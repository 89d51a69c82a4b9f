"""How a session with Vault logs in, and what it never does; asked of a real Vault."""

from __future__ import annotations

import logging
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from imagint_privacy.errors import KeyForbiddenError, KeysUnavailableError
from imagint_privacy.vault import KeyAdmin, TenantKey, VaultSession


def test_a_missing_token_file_means_unavailable_not_broken(tmp_path: Path) -> None:
    session = VaultSession("http://127.0.0.1:9", "dataplane", tmp_path / "vault-token", timeout=0.2)
    with pytest.raises(KeysUnavailableError, match="not there yet"):
        TenantKey(session, "tenant-a").encrypt(b"x")


def test_an_unreachable_vault_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "vault-token").write_text("jwt")
    session = VaultSession("http://127.0.0.1:9", "dataplane", tmp_path / "vault-token", timeout=0.2)
    with pytest.raises(KeysUnavailableError, match="unreachable"):
        TenantKey(session, "tenant-a").encrypt(b"x")


def test_a_refused_login_is_unavailable_so_that_it_is_tried_again(real_vault: Any, tmp_path: Path) -> None:
    (tmp_path / "vault-token").write_text("no such jwt")
    session = VaultSession(real_vault.address, "dataplane", tmp_path / "vault-token")
    with pytest.raises(KeysUnavailableError, match="log-in"):
        TenantKey(session, "tenant-a").encrypt(b"x")


def test_a_token_without_the_right_is_forbidden(real_vault: Any) -> None:
    admin = VaultSession.with_token(real_vault.address, real_vault.token)
    answer = admin.call("post", "auth/token/create", {"policies": ["default"], "ttl": "1m"})
    assert answer == {}, "the token is not in the data part of the answer"
    created = real_vault.http("POST", "auth/token/create", {"policies": ["default"], "ttl": "1m"})
    session = VaultSession.with_token(real_vault.address, created["auth"]["client_token"])
    with pytest.raises(KeyForbiddenError) as refused:
        KeyAdmin(session).ensure("tenant-forbidden")
    assert created["auth"]["client_token"] not in str(refused.value)


def test_ambient_addresses_tokens_and_proxies_are_ignored(real_vault: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("VAULT_ADDR", "http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("VAULT_TOKEN", "somebody's")
    monkeypatch.setenv("VAULT_NAMESPACE", "somebody's")
    session = VaultSession.with_token(real_vault.address, real_vault.token)
    assert KeyAdmin(session).ensure("tenant-ambient").latest_version >= 1


def test_nothing_secret_is_logged(real_vault: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    session = VaultSession.with_token(real_vault.address, real_vault.token)
    KeyAdmin(session).ensure("tenant-logged")
    key = TenantKey(session, "tenant-logged")
    assert key.decrypt(key.encrypt(b"a secret root")) == b"a secret root"
    assert real_vault.token not in caplog.text
    assert "a secret root" not in caplog.text
    assert "vault:v1:" not in caplog.text


class _Logins(BaseHTTPRequestHandler):
    """A stand-in for the log-in alone: real Kubernetes log-ins are tested with the stack."""

    lease: ClassVar[int] = 3600
    log_ins: ClassVar[list[str]] = []
    valid: ClassVar[str] = ""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if self.path == "/v1/auth/kubernetes/login":
            self.log_ins.append(body)
            type(self).valid = f"token-{len(self.log_ins)}"
            self._answer(200, f'{{"auth": {{"client_token": "{self.valid}", "lease_duration": {self.lease}}}}}')
        elif self.headers["X-Vault-Token"] != self.valid:
            self._answer(403, '{"errors": ["permission denied"]}')
        else:
            self._answer(200, '{"data": {"ciphertext": "vault:v1:eA=="}}')

    def _answer(self, status: int, text: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_args: object) -> None:
        return


@pytest.fixture
def logins() -> Any:
    _Logins.log_ins, _Logins.lease = [], 3600
    server = HTTPServer(("127.0.0.1", 0), _Logins)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def _key(server: HTTPServer, folder: Path) -> TenantKey:
    (folder / "vault-token").write_text("first\n")
    return TenantKey(
        VaultSession(f"http://127.0.0.1:{server.server_port}", "dataplane", folder / "vault-token"), "tenant-a"
    )


def test_a_session_logs_in_once_and_keeps_its_token(logins: HTTPServer, tmp_path: Path) -> None:
    key = _key(logins, tmp_path)
    for _ in range(3):
        key.encrypt(b"x")
    assert [body for body in _Logins.log_ins if '"first"' in body] == _Logins.log_ins
    assert len(_Logins.log_ins) == 1


def test_a_refused_token_is_replaced_with_the_identity_as_it_is_now(logins: HTTPServer, tmp_path: Path) -> None:
    key = _key(logins, tmp_path)
    key.encrypt(b"x")
    (tmp_path / "vault-token").write_text("second")
    _Logins.valid = "another"
    key.encrypt(b"x")
    assert len(_Logins.log_ins) == 2
    assert '"second"' in _Logins.log_ins[1]


def test_a_token_is_replaced_before_it_ends(logins: HTTPServer, tmp_path: Path) -> None:
    _Logins.lease = 0
    key = _key(logins, tmp_path)
    key.encrypt(b"x")
    key.encrypt(b"x")
    assert len(_Logins.log_ins) == 2
