"""NetworkPolicies, pod security and tokens on a real node, with pods that run: what a neighbour tenant's pod can reach.

Each closed door has an open one beside it, tried the same way: a probe that could never connect would show nothing.
"""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

pytestmark = [pytest.mark.node, pytest.mark.timeout(600)]
METADATA = "169.254.169.254"
HEAD, WORKER, PLAIN = ("tenant-a", "head"), ("tenant-a", "worker"), ("tenant-a", "plain")
NEIGHBOUR, PLATFORM, ANYBODY, VAULT = (
    ("tenant-b", "head"),
    ("imagint-system", "platform"),
    ("elsewhere", "anybody"),
    ("stores", "vault"),
)
DOORS = [
    pytest.param(NEIGHBOUR, HEAD, False, id="a neighbour tenant's pod does not reach a tenant's pod"),
    pytest.param(HEAD, NEIGHBOUR, False, id="nor the other way round"),
    pytest.param(NEIGHBOUR, PLAIN, False, id="a neighbour reaches no other pod of the tenant either"),
    pytest.param(ANYBODY, HEAD, False, id="a pod of nobody's does not reach a tenant's pod"),
    pytest.param(HEAD, ANYBODY, False, id="a tenant's pod reaches nobody else"),
    pytest.param(ANYBODY, VAULT, True, id="(a pod without policies reaches another: the probe works)"),
    pytest.param(PLATFORM, HEAD, True, id="the platform reaches a tenant's pod"),
    pytest.param(PLATFORM, PLAIN, True, id="and any other of its pods"),
    pytest.param(HEAD, WORKER, True, id="a head reaches its worker"),
    pytest.param(WORKER, HEAD, True, id="a worker reaches its head"),
    pytest.param(PLAIN, HEAD, False, id="a pod that is no Ray node does not reach the head"),
    pytest.param(HEAD, PLAIN, False, id="nor the head it"),
    pytest.param(HEAD, PLATFORM, True, id="a Ray node reaches the platform"),
    pytest.param(HEAD, VAULT, True, id="and the namespaces that the platform labelled as backends"),
    pytest.param(PLAIN, PLATFORM, False, id="any other pod does not reach the platform"),
    pytest.param(PLAIN, VAULT, False, id="nor a backend"),
]


@pytest.mark.parametrize(("source", "target", "is_open"), DOORS)
def test_who_reaches_whom(node: Any, source: tuple[str, str], target: tuple[str, str], is_open: bool) -> None:
    assert node.reaches(*source, node.address(*target), 8080) is is_open


@pytest.mark.parametrize("source", [HEAD, PLAIN], ids="/".join)
def test_names_are_resolved(node: Any, source: tuple[str, str]) -> None:
    ask = "import socket; print(socket.gethostbyname('kubernetes.default.svc.cluster.local'))"
    namespace, name = source
    assert node.must("exec", "-n", namespace, name, "--", "python3", "-c", ask).strip() == "10.96.0.1"


@pytest.mark.parametrize(
    ("source", "is_open"),
    [
        pytest.param(HEAD, False, id="not for a Ray node"),
        pytest.param(PLAIN, False, id="not for another pod"),
        pytest.param(ANYBODY, True, id="(for a pod without policies)"),
    ],
)
def test_the_apiserver_is_closed(node: Any, source: tuple[str, str], is_open: bool) -> None:
    assert node.reaches(*source, "10.96.0.1", 443) is is_open


@pytest.fixture(scope="module")
def metadata(node: Any) -> str:
    """A server at the address where clouds keep their machines' credentials."""
    node.run("ip", "address", "add", f"{METADATA}/32", "dev", "lo")
    serve = f"exec setsid python3 -m http.server --bind {METADATA} 80 >/dev/null 2>&1 </dev/null &"
    node.run("sh", "-c", serve)
    deadline = time.monotonic() + 20
    while not node.reaches(*ANYBODY, METADATA, 80):
        assert time.monotonic() < deadline, "the test's own server does not answer"
    return METADATA


@pytest.mark.parametrize("source", [HEAD, PLAIN, NEIGHBOUR], ids="/".join)
def test_the_machines_metadata_are_closed(node: Any, metadata: str, source: tuple[str, str]) -> None:
    assert not node.reaches(*source, metadata, 80)


def hostile(**changes: Any) -> str:
    security = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, **changes.pop("container", {})}
    spec = {
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [{"name": "c", "image": "localhost/imagint/probe:1", "securityContext": security}],
        **changes,
    }
    return json.dumps(
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "tenant-a"}, "spec": spec}
    )


HOST_PATH = {"volumes": [{"name": "v", "hostPath": {"path": "/"}}]}
PRIVILEGED = {"container": {"privileged": True, "allowPrivilegeEscalation": True}}
ESCAPES = [
    pytest.param(HOST_PATH, id="hostPath"),
    pytest.param({"hostNetwork": True}, id="hostNetwork"),
    pytest.param({"hostPID": True}, id="hostPID"),
    pytest.param(PRIVILEGED, id="privileged"),
]


@pytest.mark.parametrize("changes", ESCAPES)
def test_pod_security_refuses_an_escape(node: Any, changes: dict[str, Any]) -> None:
    said = node.kubectl("create", "--dry-run=server", "-f", "-", stdin=hostile(**dict(changes)))
    assert said.returncode != 0
    assert "violates PodSecurity" in said.stderr or "imagint-tenant-pods" in said.stderr


@pytest.mark.parametrize("changes", ESCAPES)
def test_the_second_wall_holds_when_somebody_edits_the_labels(node: Any, changes: dict[str, Any]) -> None:
    label = "pod-security.kubernetes.io/enforce"
    node.must("label", "namespace", "tenant-a", f"{label}=privileged", "--overwrite")
    try:
        said = node.kubectl("create", "--dry-run=server", "-f", "-", stdin=hostile(**dict(changes)))
    finally:
        node.must("label", "namespace", "tenant-a", f"{label}=restricted", "--overwrite")
    assert "ValidatingAdmissionPolicy 'imagint-tenant-pods'" in said.stderr


@pytest.mark.parametrize("path", ["secrets", "pods", "configmaps", "serviceaccounts"])
@pytest.mark.parametrize("namespace", ["tenant-a", "tenant-b", "imagint-system"])
def test_a_data_planes_token_opens_nothing_at_the_apiserver(node: Any, namespace: str, path: str) -> None:
    token = node.must("create", "token", "imagint-dataplane", "-n", "tenant-a").strip()
    said = node.kubectl("get", path, "-n", namespace, f"--token={token}", "--kubeconfig=/dev/null",
                        f"--server={node.server}", f"--certificate-authority={node.authority}")  # fmt: skip
    assert said.returncode != 0
    assert "orbidden" in said.stderr


def test_a_token_for_vault_is_no_token_for_the_apiserver(node: Any) -> None:
    token = node.must("create", "token", "imagint-dataplane", "-n", "tenant-a", "--audience=vault").strip()
    said = node.kubectl("get", "secrets", "-n", "tenant-a", f"--token={token}", "--kubeconfig=/dev/null",
                        f"--server={node.server}", f"--certificate-authority={node.authority}")  # fmt: skip
    assert "Unauthorized" in said.stderr or "logged in" in said.stderr
