"""Two tenants' Gateways, in one process, with a real library each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from imagint_privacy.keys.fakes import FakeTransit
from imagint_serving.gateway.application import build_application
from imagint_serving.gateway.rigs import FakeIssuer, TenantRig


@pytest.fixture
def transit() -> FakeTransit:
    return FakeTransit()


@pytest.fixture(scope="session")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> FakeIssuer:
    return FakeIssuer(tmp_path_factory.mktemp("platform") / "platform.json")


@pytest.fixture
def acme(tmp_path: Path, transit: FakeTransit, issuer: FakeIssuer) -> TenantRig:
    return TenantRig("acme", tmp_path, transit, issuer)


@pytest.fixture
def bolt(tmp_path: Path, transit: FakeTransit, issuer: FakeIssuer) -> TenantRig:
    return TenantRig("bolt", tmp_path, transit, issuer)


@pytest.fixture
def client(acme: TenantRig) -> Iterator[TestClient]:
    """Acme's Gateway below its prefix, as Serve mounts it, once its library is open."""
    app = build_application(acme.services)
    with TestClient(app, base_url="http://gateway/acme", root_path="/acme", raise_server_exceptions=True) as client:
        wait_until_ready(client)
        yield client


@pytest.fixture
def bolt_client(bolt: TenantRig) -> Iterator[TestClient]:
    app = build_application(bolt.services)
    with TestClient(app, base_url="http://gateway/bolt", root_path="/bolt") as client:
        wait_until_ready(client)
        yield client


def wait_until_ready(client: TestClient) -> None:
    import time

    deadline = time.monotonic() + 20
    while client.get("/healthz").status_code != 200:
        assert time.monotonic() < deadline
        time.sleep(0.02)
