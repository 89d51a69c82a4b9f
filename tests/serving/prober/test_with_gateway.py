"""The prober and the real Gateway: application, library, key tree and database; only Vault is a (true) fake."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from starlette.testclient import TestClient

from imagint_privacy.keys.fakes import FakeTransit
from imagint_privacy.purposes import Purpose
from imagint_privacy.records.library import Draft, Library
from imagint_serving.gateway.application import build_application
from imagint_serving.gateway.identity import Role
from imagint_serving.gateway.rigs import FakeIssuer, TenantRig
from imagint_serving.prober.gateways import HttpGateway
from imagint_serving.prober.messages import AfterQuestion, Question, Result
from imagint_serving.prober.probing import Prober, Surroundings
from imagint_serving.prober.storage import ProbeStorage

REQUEST = "0b9cbd9c-3f0e-4c0e-9c3e-2f8f6f0f2a11"


class Through(httpx.BaseTransport):
    """Carries the prober's calls into the application of the Gateway."""

    def __init__(self, client: TestClient) -> None:
        self._client = client

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        path = request.url.raw_path.decode().removeprefix("/acme")
        headers = {"authorization": request.headers["authorization"]}
        answer = self._client.request(request.method, path, content=request.read(), headers=headers)
        return httpx.Response(answer.status_code, content=answer.content)


class Line:
    """A tenant's Gateway with two people in it, the operator's hand on Vault, and the prober."""

    def __init__(self, rig: TenantRig, client: TestClient, issuer: FakeIssuer, folder: Path) -> None:
        self.admin = rig.transit.admin()
        self.client, self.issuer = client, issuer
        with_library: Library = rig.services.library
        self.jane, self.john = (with_library.handle(name) for name in ("jane@example.org", "john@example.org"))
        for subject in (self.jane, self.john):
            ticket = with_library.begin(subject, Purpose.GENERATE)
            drafts = [
                Draft(secrets.token_hex(8), "prompts", "generation", b"a red circle"),
                Draft(secrets.token_hex(8), "images", "image/png", b"\x89PNG", large=True),
            ]
            with_library.store(ticket, drafts)
        token = folder / "token"
        token.write_text(issuer.token(Role.PROBER))
        around = Surroundings(lambda: datetime.now(UTC), lambda: 0.0, lambda: secrets.token_hex(32))
        http = HttpGateway("http://gateway", token, Through(client))
        self.prober = Prober(rig.transit.prober(), http, ProbeStorage(folder / "probes"), around)

    def order(self, path: str, body: dict[str, object] | None = None) -> None:
        """One step of the data plane, at the operator's word."""
        while True:
            headers = self.issuer.bearer(Role.OPERATOR)
            answer = self.client.post(f"/privacy/v1/erasures{path}", json=body or {}, headers=headers)
            if answer.status_code != 202:
                break
        assert answer.status_code == 200, answer.text

    def fence(self) -> None:
        received = datetime.now(UTC).isoformat()
        self.order("", {"request": REQUEST, "subject": self.jane, "categories": [], "received_at": received})

    def before(self) -> Result:
        return self.prober.before(REQUEST, Question(tenant="acme", namespace="tenant-acme", subject=self.jane))

    def after(self) -> Result:
        question = AfterQuestion(tenant="acme", namespace="tenant-acme", subject=self.jane, key_version=2)
        return self.prober.after(REQUEST, question)


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    issuer = FakeIssuer(tmp_path / "platform.json")
    rig = TenantRig("acme", tmp_path, FakeTransit(), issuer)
    with TestClient(build_application(rig.services), base_url="http://gateway/acme", root_path="/acme") as client:
        import time

        ends = time.monotonic() + 20
        while client.get("/healthz").status_code != 200:
            assert time.monotonic() < ends
            time.sleep(0.02)
        yield Line(rig, client, issuer, tmp_path)


def erase(line: Line) -> None:
    version = line.admin.rotate("tenant-acme")
    line.order(f"/{REQUEST}/commit", {"key_version": version})
    line.order(f"/{REQUEST}/copies")
    line.order(f"/{REQUEST}/caches")
    line.admin.raise_minimum("tenant-acme", version)
    line.admin.trim("tenant-acme", version)
    line.order(f"/{REQUEST}/purge")


@pytest.mark.clause("6.1")
def test_a_real_erasure_passes_both_looks(line: Line) -> None:
    line.fence()
    before = line.before()
    assert before.passed, before
    erase(line)
    after = line.after()
    assert after.passed, after


def test_nothing_passes_while_nothing_was_erased(line: Line) -> None:
    line.fence()
    line.before()
    failed = {check.name for check in line.after().checks if not check.passed}
    assert failed >= {"old-root-refused", "old-version-trimmed", "erased-canary-refused", "listing-empty"}
