"""A tiny JSON HTTP server for the fakes that live beside the adapters. For tests; nothing in production imports it."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

Reply = tuple[int, dict[str, Any]]


def error(status: int, code: str) -> Reply:
    """An answer in the error shape that all our APIs share."""
    return status, {"error": {"code": code, "message": code}}


class FakeServer:
    """Answers JSON from `answer`, one request at a time, to whoever shows the token."""

    def __init__(self, token: str) -> None:
        self.token = token
        self.down = False
        self.calls: list[tuple[str, str]] = []
        self._lock = threading.RLock()
        handler = type("Handler", (_Handler,), {"fake": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, method: str, path: str, body: dict[str, Any]) -> Reply:
        """The status and the JSON object for one request."""
        raise LookupError(path)

    def handle(self, method: str, path: str, body: dict[str, Any], token: str) -> Reply:
        """One request, after the checks that all fakes share."""
        if self.down:
            return error(503, "storage_unavailable")
        if token != f"Bearer {self.token}":
            return error(401, "unauthorized")
        with self._lock:
            self.calls.append((method, path))
            try:
                return self.answer(method, path, body)
            except LookupError:
                return error(404, "not_found")


class _Handler(BaseHTTPRequestHandler):
    fake: FakeServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length) or b"{}")
        status, answer = self.fake.handle(self.command, self.path, body, self.headers.get("Authorization") or "")
        raw = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    do_GET = do_POST = do_PUT = _serve  # noqa: N815 - the names http.server looks for

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's own name
        """Stay silent."""
