"""A small true recipient that speaks both protocols and can be made to fail. For tests only."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from imagint_operator.recipients import protocols


class Fault(StrEnum):
    """How the next call goes wrong."""

    BUSY = "Busy"
    LOST = "Lost"
    GARBAGE = "Garbage"
    UNSIGNED = "Unsigned"


class FakeRecipient:
    """Erases what it is told, once a request, after being asked `asks` times."""

    def __init__(self, sender_key: Callable[[], str], asks: int = 1) -> None:
        self.asks = asks
        self.final = "completed"
        self.down = False
        self.faults: list[Fault] = []
        self.deliveries: list[str] = []
        self.erased: dict[str, str] = {}
        self.clock: Callable[[], datetime] = lambda: datetime.now(UTC)
        self._sender_key = sender_key
        self._key = Ed25519PrivateKey.generate()
        self._asked: dict[str, int] = {}
        self._lock = threading.RLock()
        handler = type("Handler", (_Handler,), {"fake": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def public_key(self) -> str:
        """The key that its receipts to webhooks are signed with."""
        return self._key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, path: str, headers: Mapping[str, str], body: bytes) -> tuple[int, dict[str, str], bytes] | None:
        """The answer to one call; None to hang up without one."""
        with self._lock:
            if self.down:
                return 503, {}, b""
            fault = self.faults.pop(0) if self.faults else None
            if fault is Fault.BUSY:
                return 500, {}, b"{}"
            status, answer = self._act(path, headers, body)
            if fault is Fault.LOST:
                return None
            raw = b"<html>" if fault is Fault.GARBAGE else json.dumps(answer).encode()
            unsigned = fault is Fault.UNSIGNED or "webhook-id" not in headers
            return status, {} if unsigned else self._signed(headers["webhook-id"], raw), raw

    def _act(self, path: str, headers: Mapping[str, str], body: bytes) -> tuple[int, dict[str, Any]]:
        if path.startswith("/requests/"):
            identity = path.removeprefix("/requests/")
            if identity not in self.erased:
                return 404, {}
            return 200, {"subject_request_id": identity, "request_status": self._progress(identity, "in_progress")}
        message: dict[str, Any] = json.loads(body)
        if path == "/requests":
            identity, subject = message["subject_request_id"], message["subject_identities"][0]["identity_value"]
            self._take(identity, subject)
            return 201, {"subject_request_id": identity, "received_time": message["submitted_time"]}
        if not self._from_sender(headers, body):
            return 401, {}
        self._take(headers["webhook-id"], message["data"]["subject"])
        return 200, {"status": self._progress(headers["webhook-id"], "in_progress")}

    def _take(self, identity: str, subject: str) -> None:
        self.deliveries.append(identity)
        self.erased.setdefault(identity, subject)

    def _progress(self, identity: str, under_way: str) -> str:
        self._asked[identity] = self._asked.get(identity, 0) + 1
        return self.final if self._asked[identity] >= self.asks else under_way

    def _from_sender(self, headers: Mapping[str, str], body: bytes) -> bool:
        key = load_pem_public_key(self._sender_key().encode())
        content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        version, _, signature = headers["webhook-signature"].partition(",")
        try:
            if isinstance(key, Ed25519PublicKey):
                key.verify(base64.b64decode(signature), content)
        except InvalidSignature:
            return False
        return version == "v1a" and isinstance(key, Ed25519PublicKey)

    def _signed(self, message: str, raw: bytes) -> dict[str, str]:
        now = self.clock()
        return protocols.webhook_headers(message, now, self._key.sign(protocols.signed_content(message, now, raw)))


class _Handler(BaseHTTPRequestHandler):
    fake: FakeRecipient
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        found = self.fake.answer(self.path, headers, body)
        if found is None:
            self.close_connection = True
            return
        status, extra, raw = found
        self.send_response(status)
        for name, value in {**extra, "Content-Type": "application/json", "Content-Length": str(len(raw))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(raw)

    do_GET = do_POST = _serve  # noqa: N815 - the names http.server looks for

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's own name
        """Stay silent."""
