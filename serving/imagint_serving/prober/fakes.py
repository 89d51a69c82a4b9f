"""A small true Gateway for tests: one tenant, keys per subject and category, a root wrapped by a (fake) transit key.

It can really be erased from: `forget` drops the keys and wraps a new root. The switches make it lie or fail, as a
Gateway that had been taken over or was broken would. Never used in service.
"""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Callable
from typing import Any

import httpx
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from imagint_privacy.keys.ports import RootWrapper

SYSTEM = ("system", "canary")
_PATH = re.compile(r"/(?P<tenant>[^/]+)/privacy/v1(?P<rest>/.*)")


class FakeGateway:
    """Holds records of subjects under keys that it can forget."""

    def __init__(self, tenant: str, wrapper: RootWrapper) -> None:
        self.tenant = tenant
        self.wrapper = wrapper
        self.version = 1
        self.generation = 1
        self.root = wrapper.encrypt(os.urandom(32))
        self.keys: dict[tuple[str, str], bytes] = {SYSTEM: os.urandom(32)}
        self.records: dict[tuple[str, str], int] = {}
        self.spare_keys = False  # a lie: answer "destroyed" never, keep every key
        self.spare_rows = False  # a fault: the rows stay listed
        self.answer: Callable[[httpx.Request], httpx.Response] | None = None  # a fault: say this instead
        self.calls: list[str] = []

    def hold(self, subject: str, category: str, records: int = 1) -> None:
        """Store records of a subject."""
        self.keys.setdefault((subject, category), os.urandom(32))
        self.records[subject, category] = self.records.get((subject, category), 0) + records

    def forget(self, subject: str, version: int, categories: tuple[str, ...] = ()) -> None:
        """Drop a subject's keys and rows, and wrap a new root under the key's next version."""
        for path in [p for p in self.keys if p[0] == subject and (not categories or p[1] in categories)]:
            if not self.spare_keys:
                del self.keys[path]
            if not self.spare_rows:
                self.records.pop(path, None)
        self.version, self.generation, self.root = version, self.generation + 1, self.wrapper.encrypt(os.urandom(32))

    def transport(self) -> httpx.MockTransport:
        """Answer over HTTP."""
        return httpx.MockTransport(self.respond)

    def respond(self, request: httpx.Request) -> httpx.Response:
        """Answer one call."""
        self.calls.append(request.url.path)
        if self.answer is not None:
            return self.answer(request)
        match = _PATH.fullmatch(request.url.path)
        if match is None or match["tenant"] != self.tenant or not request.headers.get("authorization"):
            return refusal(404, "not_found")
        body = json.loads(request.content) if request.content else {}
        return self._route(match["rest"], body)

    def _route(self, path: str, body: dict[str, Any]) -> httpx.Response:
        if path == "/root":
            return httpx.Response(200, json=self._root())
        if path == "/canaries":
            return httpx.Response(200, json=self._seal(body["subject"], bytes.fromhex(body["nonce"])))
        if path == "/canaries/open":
            return self._open(body["sealed"])
        if path.startswith("/subjects/") and path.endswith("/holdings"):
            return httpx.Response(200, json=self._holdings(path.split("/")[2]))
        return refusal(404, "not_found")

    def _root(self) -> dict[str, Any]:
        name = f"tenant-{self.tenant}"
        return {
            "generation": self.generation,
            "key_name": name,
            "key_version": self.version,
            "ciphertext": self.root,
        }

    def _seal(self, subject: str, nonce: bytes) -> dict[str, Any]:
        mine = [path for path in self.keys if path[0] == subject]
        others = [path for path in self.keys if path[0] != subject][:4]
        return {
            "erased": [{"category": path[1], "sealed": self._envelope(path, nonce)} for path in mine],
            "survivors": [{"sealed": self._envelope(path, nonce)} for path in others],
        }

    def _envelope(self, path: tuple[str, str], nonce: bytes) -> str:
        salt = os.urandom(12)
        sealed = salt + AESGCM(self.keys[path]).encrypt(salt, nonce, None)
        return base64.b64encode(json.dumps([*path, sealed.hex()]).encode()).decode()

    def _open(self, envelope: str) -> httpx.Response:
        subject, category, sealed = json.loads(base64.b64decode(envelope))
        key = self.keys.get((subject, category))
        if key is None:
            return refusal(410, "key_destroyed")
        body = bytes.fromhex(sealed)
        return httpx.Response(200, json={"nonce": AESGCM(key).decrypt(body[:12], body[12:], None).hex()})

    def _holdings(self, subject: str) -> dict[str, Any]:
        records = {category: count for (who, category), count in self.records.items() if who == subject}
        return {"paths": len(records), "records": records, "objects": records.get("images", 0)}


def refusal(status: int, code: str) -> httpx.Response:
    """A refusal in the shape of the privacy API."""
    return httpx.Response(status, json={"error": {"code": code, "message": code}})
