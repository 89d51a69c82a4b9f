"""Gateways and a Generator on real Ray Serve, with keys from a real Vault and identities from the real projector.

The operator does not run: what it would make is applied by hand, so that a failure here is the data plane's.
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from openai import APIStatusError, AuthenticationError, InternalServerError, OpenAI
from PIL import Image

from imagint_dev.stack import Stack

pytestmark = [pytest.mark.stack, pytest.mark.timeout(480)]

PARTS = {"etcd", "apiserver", "controller-manager", "vault", "ray", "projector"}
CANARY = "canary-prompt-5b21 a red circle on blue"
MODEL = {"app": "acme.model.shapes", "max_pixels": 1024, "max_steps": 20, "default_steps": 8}
TENANT = """
apiVersion: v1
kind: Namespace
metadata: {name: tenant-NAME, labels: {imagint.ai/tenant: NAME}}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: imagint-dataplane, namespace: tenant-NAME}
---
apiVersion: v1
kind: Secret
metadata: {name: api-web, namespace: tenant-NAME}
stringData: {token: first-key-of-NAME}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: imagint-api-keys, namespace: tenant-NAME}
rules:
- {apiGroups: [""], resources: [secrets], resourceNames: [api-web], verbs: [get]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: keys, namespace: tenant-NAME}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: imagint-api-keys}
subjects: [{kind: ServiceAccount, name: imagint-projector, namespace: imagint-system}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: tokens, namespace: tenant-NAME}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: imagint-token-projector}
subjects: [{kind: ServiceAccount, name: imagint-projector, namespace: imagint-system}]
---
apiVersion: imagint.ai/v1alpha1
kind: Tenant
metadata: {name: NAME}
spec:
  residency: {region: eu}
  apiKeys: [{name: web, secretRef: {name: api-web, key: token}}]
"""


def eventually(check: Callable[[], Any], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.1)


class DataPlane:
    """What the operator would do: tenants, their keys, and the whole Serve configuration."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.suspended = False
        self.serve = stack.url("serve")
        self.opened = contextlib.ExitStack()

    def add_tenant(self, name: str) -> None:
        self.stack.apply(TENANT.replace("NAME", name))
        operator = self.stack.vault_as("controller", "imagint-system", "imagint-controller")
        operator.call("POST", f"transit/keys/tenant-{name}", {"type": "aes256-gcm96"})
        for folder in (f"data/{name}/objects", f"copies/{name}"):
            self.stack.path(folder).mkdir(parents=True)

    def deploy(self) -> None:
        host, port = self.serve.removeprefix("http://").split(":")
        config = {
            "proxy_location": "HeadOnly",
            "http_options": {"host": host, "port": int(port)},
            "logging_config": {"enable_access_log": False},
            "applications": [self._gateway("acme"), self._gateway("bolt"), self._generator()],
        }
        headers = {"authorization": f"Bearer {self.stack.ray_token}"}
        url = f"{self.stack.url('ray_dashboard')}/api/serve/applications/"
        httpx.put(url, json=config, headers=headers, timeout=60, trust_env=False).raise_for_status()

    def get(self, path: str) -> httpx.Response:
        return httpx.get(f"{self.serve}{path}", timeout=30, trust_env=False)

    def client(self, tenant: str, key: str) -> OpenAI:
        client = OpenAI(api_key=key, base_url=f"{self.serve}/{tenant}/v1", max_retries=0, timeout=60)
        return self.opened.enter_context(client)

    def _gateway(self, name: str) -> dict[str, Any]:
        settings = {"models": {"shapes": MODEL} if name == "acme" else {}, "suspended": self.suspended}
        path = self.stack.path
        args = {
            "tenant": name,
            "namespace": f"tenant-{name}",
            "handover": str(path("handover", name)),
            "platform": str(path("handover", "platform.json")),
            "vault": {"address": self.stack.url("vault"), "key": f"tenant-{name}"},
            "storage": {
                "database": f"sqlite:///{path('data', name, 'records.db')}",
                "objects": f"file://{path('data', name, 'objects')}",
                "tree_copies": [f"file://{path('copies', name)}"],
            },
            "cache_seconds": 1,
        }
        return {
            "name": f"{name}.gateway",
            "route_prefix": f"/{name}",
            "import_path": "imagint_serving.app:gateway",
            "args": args,
            "deployments": [{"name": "Gateway", "user_config": settings}],
        }

    def _generator(self) -> dict[str, Any]:
        source = {"type": "Bundled", "name": "shapes"}
        return {
            "name": "acme.model.shapes",
            "route_prefix": None,
            "import_path": "imagint_serving.app:generator",
            "args": {"tenant": "acme", "model": "shapes", "source": source, "device": "cpu"},
            "deployments": [{"name": "Generator", "num_replicas": 1, "ray_actor_options": {"num_cpus": 0.5}}],
        }


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DataPlane]:
    stack = Stack(tmp_path_factory.mktemp("stack"))
    stack.up(parts=PARTS)
    try:
        plane = DataPlane(stack)
        for name in ("acme", "bolt"):
            plane.add_tenant(name)
        plane.deploy()
        for name in ("acme", "bolt"):
            eventually(lambda n=name: plane.get(f"/{n}/healthz").status_code == 200, 150)  # type: ignore[misc]
        yield plane
        plane.opened.close()
    finally:
        stack.down(purge=True)


def gateway_process(plane: DataPlane, name: str) -> psutil.Process:
    """Find the replica among this stack's processes; Ray changes the title for a moment on every call."""
    stack, found = plane.stack.environment("ray")["IMAGINT_STACK"], list[psutil.Process]()

    def look() -> bool:
        title = f"ray::ServeReplica:{name}.gateway:Gateway"
        titled = [p for p in psutil.process_iter(["cmdline"]) if title in " ".join(p.info["cmdline"] or ())]
        found[:] = [p for p in titled if p.environ().get("IMAGINT_STACK") == stack]
        return len(found) == 1

    eventually(look, 10)
    return found[0]


def test_the_whole_way_of_an_image(plane: DataPlane) -> None:
    acme = plane.client("acme", "first-key-of-acme")
    eventually(lambda: succeeds(acme))
    made = acme.images.with_raw_response.generate(prompt=CANARY, model="shapes", user="jane", n=2)
    images = made.parse().data
    assert images is not None
    for image in images:
        assert Image.open(io.BytesIO(base64.b64decode(image.b64_json or ""))).size == (32, 32)
    assert made.headers["x-imagint-subject"].startswith("subj-")
    assert len(made.headers.get_list("x-request-id")) == 1
    headers = {"authorization": "Bearer first-key-of-acme"}
    extra = images[0].model_extra or {}
    shown = httpx.get(f"{plane.serve}/acme/v1/images/{extra['id']}", headers=headers, trust_env=False).json()
    assert (shown["prompt"], shown["b64_json"]) == (CANARY, images[0].b64_json)


def succeeds(client: OpenAI) -> bool:
    try:
        client.images.generate(prompt="a red circle on blue", model="shapes", user="warm-up")
    except InternalServerError as error:
        if error.code != "model_unavailable":
            raise
        return False
    return True


def test_what_the_model_cannot_do_is_refused_by_it_and_told_by_us(plane: DataPlane) -> None:
    acme = plane.client("acme", "first-key-of-acme")
    with pytest.raises(APIStatusError) as refusal:
        acme.images.generate(prompt="a", model="shapes", size="31x17")
    assert (refusal.value.status_code, refusal.value.param) == (400, "size")


def test_one_tenants_key_opens_no_other_tenants_door(plane: DataPlane) -> None:
    with pytest.raises(AuthenticationError):
        plane.client("bolt", "first-key-of-acme").models.list()
    assert [m.id for m in plane.client("bolt", "first-key-of-bolt").models.list()] == []


def test_a_gateway_loads_no_model_framework(plane: DataPlane) -> None:
    libraries = {Path(m.path).name for m in gateway_process(plane, "acme").memory_maps()}
    assert not [name for name in libraries if "torch" in name]


def test_neither_prompt_nor_key_is_found_in_what_ray_writes(plane: DataPlane) -> None:
    session = Path(plane.stack.record()["ray_token_file"]).parent
    files = [p for root in (session, plane.stack.path("log"), Path("/dev/shm")) for p in root.rglob("*")]
    needles = (b"canary-prompt-5b21", b"first-key-of-acme")
    found = [(str(p), n) for p in files if p.is_file() for n in needles if n in read(p)]
    assert not found
    shown = json.dumps(plane.get("/-/routes").json())
    assert "canary" not in shown


def read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_a_sealed_vault_closes_the_gateway_and_an_unsealed_one_opens_it(plane: DataPlane) -> None:
    acme = plane.client("acme", "first-key-of-acme")
    plane.stack.seal()
    try:
        eventually(lambda: plane.get("/acme/healthz").json().get("reason") == "keys_unavailable", 15)
        with pytest.raises(InternalServerError) as refusal:
            acme.images.generate(prompt="a", model="shapes")
        assert (refusal.value.status_code, refusal.value.code) == (503, "keys_unavailable")
    finally:
        plane.stack.unseal()
    eventually(lambda: plane.get("/acme/healthz").status_code == 200, 30)


def test_a_rotated_api_key_is_in_force_within_two_seconds(plane: DataPlane) -> None:
    patch = json.dumps({"stringData": {"token": "second-key-of-bolt"}})
    plane.stack.kubectl("patch", "secret", "api-web", "-n", "tenant-bolt", "-p", patch)
    new, old = (plane.client("bolt", f"{which}-key-of-bolt") for which in ("second", "first"))

    def accepted() -> bool:
        try:
            return not list(new.models.list())
        except AuthenticationError:
            return False

    eventually(accepted, 2)
    with pytest.raises(AuthenticationError):
        old.models.list()


def test_settings_change_without_a_restart(plane: DataPlane) -> None:
    before = gateway_process(plane, "acme").pid
    plane.suspended = True
    plane.deploy()
    acme = plane.client("acme", "first-key-of-acme")

    def suspended() -> bool:
        try:
            acme.models.list()
        except APIStatusError as error:
            return error.code == "tenant_suspended"
        return False

    eventually(suspended, 20)
    assert gateway_process(plane, "acme").pid == before


def test_a_deleted_tenants_identity_is_taken_back(plane: DataPlane) -> None:
    plane.stack.kubectl("delete", "tenant", "bolt", "--wait=false")
    plane.stack.kubectl("delete", "namespace", "tenant-bolt", "--wait=false")
    eventually(lambda: not plane.stack.path("handover", "bolt").exists(), 10)
