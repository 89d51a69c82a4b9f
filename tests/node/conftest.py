"""One real node with pods that really run: shared/testnode beside the repository. Skips loudly where it cannot be."""

from __future__ import annotations

import base64
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from imagint_dev import assets
from imagint_operator.api.base import ObjectMeta
from imagint_operator.api.tenants import Tenant, TenantSpec
from imagint_operator.kube.resources import BY_KIND
from imagint_operator.tenants import walls

ROOT = Path(__file__).resolve().parents[2]
IMAGE = "localhost/imagint/probe:1"
PROVISIONER = "system:serviceaccount:imagint-system:imagint-provisioner"
SECURITY = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
CONNECT = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=float(sys.argv[3])).close()
    print("open")
except OSError as error:
    print("closed", type(error).__name__)
"""


DEMANDED = bool(os.environ.get("IMAGINT_TESTNODE"))


def unavailable(why: str) -> None:
    """A node is no part of the repository and needs more of a machine than any other test: who wants it says so."""
    if DEMANDED:
        pytest.fail(why)
    pytest.skip(why)


def testnode() -> Path:
    """The command, if it is asked for; then it fails where it cannot run."""
    if not DEMANDED:
        unavailable("NetworkPolicies on real pods are tried by `make node`: as root, it takes this machine's network")
    places = [folder / "shared" / "testnode" / "testnode" for folder in ROOT.parents]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        unavailable("NetworkPolicies are not tried: shared/testnode is not beside the repository")
    elif os.geteuid() != 0:
        unavailable("NetworkPolicies are not tried: a node needs root")
    home = Path(os.environ.get("TESTNODE_HOME") or Path("~/.cache/testnode").expanduser())
    built = all((home / part).is_file() for part in ("bin/kubelet", "bin/kube-apiserver", "images/coredns.tar"))
    if not built and os.environ.get("IMAGINT_TESTNODE") != "build":
        unavailable(
            f"NetworkPolicies are not tried: build the node once ({found} build), or set IMAGINT_TESTNODE=build"
        )
    assert found is not None
    return found


class Node:
    """A cluster of one node, and what a person does with it."""

    def __init__(self, command: Path, state: Path) -> None:
        self._command, self._state = command, state / "cluster"
        self.kubeconfig, self.server, self.authority = "", "", state / "authority.pem"
        self.log = state / "commands.log"

    def do(self, *arguments: str, timeout: float = 120.0) -> str:
        # Through a file: parts of the node outlive the command and would hold a pipe open.
        with self.log.open("a") as log:
            done = subprocess.run(
                [str(self._command), *arguments],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                timeout=timeout,
                check=False,
            )
        assert done.returncode == 0, self.log.read_text()[-3000:]
        return done.stdout.strip()

    def up(self) -> None:
        self.kubeconfig = self.do("up", "--state", str(self._state)).splitlines()[-1]
        cluster = yaml.safe_load(Path(self.kubeconfig).read_text())["clusters"][0]["cluster"]
        self.server = cluster["server"]
        self.authority = self._state / "authority.pem"
        self.authority.write_bytes(base64.b64decode(cluster["certificate-authority-data"]))

    def down(self) -> None:
        self.do("down", "--purge", "--state", str(self._state))

    def run(self, *arguments: str, timeout: float = 60.0) -> str:
        return self.do("exec", "--state", str(self._state), "--", *arguments, timeout=timeout)

    def kubectl(
        self, *arguments: str, stdin: str | None = None, timeout: float = 60.0
    ) -> subprocess.CompletedProcess[str]:
        home = Path(os.environ.get("TESTNODE_HOME") or Path("~/.cache/testnode").expanduser())
        clean = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
        return subprocess.run(
            [str(home / "bin" / "kubectl"), f"--kubeconfig={self.kubeconfig}", *arguments],
            input=stdin, capture_output=True, text=True, timeout=timeout, check=False, env=clean,
        )  # fmt: skip

    def must(self, *arguments: str, stdin: str | None = None) -> str:
        done = self.kubectl(*arguments, stdin=stdin)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def apply(self, *manifests: Any, user: str | None = None) -> None:
        text = yaml.safe_dump_all(manifests)
        who = [f"--as={user}"] if user else []
        self.must("apply", "--server-side", "--force-conflicts", "-f", "-", *who, stdin=text)

    def image(self, root: Path) -> None:
        self.do("base", str(root), timeout=400)
        command = '["python3", "-m", "http.server", "8080"]'
        self.do("image", "--state", str(self._state), IMAGE, str(root), "--cmd", command, "--user", "10001:10001",
                "--workdir", "/srv")  # fmt: skip

    def address(self, namespace: str, name: str) -> str:
        return self.must("get", "pod", name, "-n", namespace, "-o", "jsonpath={.status.podIP}")

    def reaches(self, namespace: str, name: str, host: str, port: int, seconds: float = 1.5) -> bool:
        """Whether a connection opens, as tried inside a pod."""
        arguments = ["exec", "-n", namespace, name, "--", "python3", "-c", CONNECT, host, str(port), str(seconds)]
        said = self.must(*arguments).strip()
        assert said.startswith(("open", "closed")), said
        return said == "open"


def tenant(name: str) -> Tenant:
    spec = TenantSpec.model_validate({"residency": {"region": "eu"}})
    return Tenant(metadata=ObjectMeta(name=name, uid=f"uid-{name}"), spec=spec)


def pod(namespace: str, name: str, **labels: str) -> dict[str, Any]:
    container = {"name": "probe", "image": IMAGE, "securityContext": SECURITY}
    account = {"serviceAccountName": "imagint-dataplane"} if namespace.startswith("tenant-") else {}
    security = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    spec = {"containers": [container], "securityContext": security, "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 0, **account}  # fmt: skip
    metadata = {"name": name, "namespace": namespace, "labels": labels}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


RAY = {"ray.io/is-ray-node": "yes"}
PODS = [
    ("tenant-a", "head", RAY), ("tenant-a", "worker", RAY), ("tenant-a", "plain", {}), ("tenant-b", "head", RAY),
    ("imagint-system", "platform", {}), ("elsewhere", "anybody", {}), ("stores", "vault", {}),
]  # fmt: skip


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """A running cluster with the platform's manifests, two tenants as the operator builds them, and pods."""
    made = Node(testnode(), tmp_path_factory.mktemp("node"))
    if os.environ.get("IMAGINT_TESTNODE") == "build":
        made.do("build", timeout=1800)
    try:
        try:
            made.up()
        except AssertionError as error:
            unavailable(f"NetworkPolicies are not tried: the node does not start here ({str(error)[-300:]})")
        _platform(made)
        for name in ("a", "b"):
            _walls(made, tenant(name))
        made.image(tmp_path_factory.mktemp("image") / "root")
        made.apply(*(pod(namespace, name, **labels) for namespace, name, labels in PODS))
        for namespace in {namespace for namespace, _, _ in PODS}:
            made.must("wait", "--for=condition=ready", "pod", "--all", "-n", namespace, "--timeout=60s")
        yield made
    finally:
        made.down()


def _platform(node: Node) -> None:
    objects = [found for path in assets.manifests() for found in yaml.safe_load_all(path.read_text()) if found]
    node.apply(*objects)
    node.must("wait", "--for=condition=established", "crd", "--all", "--timeout=30s")
    for name, labels in (("elsewhere", {}), ("stores", {"imagint.ai/backend": "true"})):
        node.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
        node.must("wait", "--for=create", "serviceaccount/default", "-n", name, "--timeout=30s")
    node.must("wait", "--for=create", "serviceaccount/default", "-n", "imagint-system", "--timeout=30s")


def _walls(node: Node, tenant: Tenant) -> None:
    """As the operator would: the same manifests, under the same identity."""
    namespace = {"apiVersion": "v1", "kind": "Namespace", **walls.namespace(tenant)}
    node.apply(namespace, user=PROVISIONER)
    inside = [
        {"apiVersion": BY_KIND[key.kind].api_version, "kind": key.kind, **manifest}
        for key, manifest in walls.contents(tenant).items()
    ]
    node.apply(*inside, user=PROVISIONER)
