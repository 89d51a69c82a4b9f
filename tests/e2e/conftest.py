"""One whole stack for the session, two tenants with a model each, and people who make images."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import httpx
import pytest

from imagint_dev.demo import manifests, people, proofs
from imagint_dev.demo.cluster import Cluster, wait_until
from imagint_dev.demo.people import MadeImage, Person
from imagint_dev.stack import Stack

_numbers = count(1)


@dataclass
class World:
    """A running stack as its users meet it."""

    stack: Stack
    cluster: Cluster
    keys: dict[str, str] = field(default_factory=dict)

    @property
    def serve(self) -> str:
        return str(self.stack.url("serve"))

    @property
    def state(self) -> Path:
        return self.stack.folder.root

    @property
    def vault(self) -> str:
        return str(self.stack.url("vault"))

    def add_tenant(self, name: str) -> None:
        """Tenant, API key and model, until the model answers."""
        self.keys[name] = "sk-" + secrets.token_urlsafe(24)
        self.cluster.apply(manifests.TENANT.format(tenant=name, title=name))
        self.cluster.wait_condition("tenant", name, "Ready")
        self.cluster.apply(manifests.API_KEY.format(tenant=name, token=self.keys[name]))
        self.cluster.apply(manifests.MODEL.format(tenant=name))
        self.cluster.wait_condition("modeldeployment", "shapes", "Ready", f"tenant-{name}")
        wait_until("the API key", lambda: self.get(name, "/v1/models").status_code == httpx.codes.OK, limit_s=30)

    def get(self, tenant: str, path: str, key: str | None = None) -> httpx.Response:
        bearer = {"Authorization": f"Bearer {key or self.keys[tenant]}"}
        return httpx.get(f"{self.serve}/{tenant}{path}", headers=bearer, timeout=30)

    def someone(self, tenant: str, images: int = 1) -> list[MadeImage]:
        """A new person who makes some images."""
        person = Person("Somebody", f"person-{next(_numbers)}@{tenant}.example", tenant, ())
        api = people.client(f"{self.serve}/{tenant}/v1", self.keys[tenant])
        return [people.make_image(api, person, "a red circle on blue", seed) for seed in range(images)]

    def ask_erasure(self, subject: str, tenant: str = "acme") -> str:
        """Applies the request; its name."""
        name = f"erase-{next(_numbers)}"
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        self.cluster.apply(manifests.ERASURE.format(name=name, tenant=tenant, subject=subject, received_at=now))
        return name

    def status(self, request: str, tenant: str = "acme") -> dict[str, object]:
        found: dict[str, object] = self.cluster.get("dsr", request, f"tenant-{tenant}").get("status", {})
        return found

    def verifies(self, request: str, folder: Path) -> tuple[int, str]:
        """What `imagint verify` says of the request's certificate under the published key."""
        name = self.cluster.get("dsr", request, "tenant-acme")["status"]["evidence"]["configMap"]
        certificate, key = folder / f"{request}.json", folder / "evidence.pub"
        certificate.write_text(self.cluster.get("configmap", name, "tenant-acme")["data"]["certificate.json"])
        key.write_text(self.cluster.get("configmap", "imagint-evidence-key", "imagint-system")["data"]["evidence.pub"])
        return proofs.imagint_verify(certificate, key)

    def opens(self, made: MadeImage, tenant: str = "acme") -> bool:
        """Whether the API hands the image out, byte for byte as it was made."""
        answer = self.get(tenant, f"/v1/images/{made.record}/content")
        return answer.status_code == httpx.codes.OK and answer.content == made.png


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    stack = Stack(tmp_path_factory.mktemp("stack"))
    stack.up()
    try:
        made = World(stack, Cluster(stack.kubectl_command()))
        made.add_tenant("acme")
        made.add_tenant("globex")
        yield made
    finally:
        stack.down(purge=True)
