"""What a stolen identity of the operator's may not do by RBAC, and what the policies say in the mode that only warns.

The admission policies themselves are tried sample by sample in tests/integration/policies.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from imagint_dev.admission import Mode, rendered

pytestmark = pytest.mark.stack
IDENTITIES = ("controller", "provisioner", "shredder")
PERSON = ["--as=ann", "--as-group=imagint:tenant:guarded", "--as-group=system:authenticated"]
NAMESPACE = "tenant-guarded"
POLICIES = Path(__file__).resolve().parents[3] / "policies" / "admission"


def attempt(stack: Any, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    command = stack.kubectl_command(*arguments)
    return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=30, check=False)


def may(stack: Any, identity: str, verb: str, what: list[str]) -> bool:
    user = f"--as=system:serviceaccount:imagint-system:imagint-{identity}"
    return attempt(stack, "auth", "can-i", verb, *what, "--all-namespaces", user).stdout.strip() == "yes"


@pytest.fixture(scope="module", autouse=True)
def guarded(stack: Any) -> Iterator[None]:
    labels = "{app.kubernetes.io/managed-by: imagint-operator, imagint.ai/tenant: guarded}"
    stack.apply(f"""
apiVersion: v1
kind: Namespace
metadata: {{name: {NAMESPACE}, labels: {labels}}}
---
apiVersion: v1
kind: ResourceQuota
metadata: {{name: imagint, namespace: {NAMESPACE}, labels: {labels}}}
spec: {{hard: {{pods: "1"}}}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{name: far-too-much, namespace: {NAMESPACE}}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}}
subjects: [{{apiGroup: rbac.authorization.k8s.io, kind: User, name: ann}}]
""")
    yield
    stack.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


@pytest.mark.parametrize("identity", IDENTITIES)
@pytest.mark.parametrize(
    ("verb", "what"),
    [
        pytest.param("get", ["secrets"], id="read Secrets"),
        pytest.param("create", ["serviceaccounts", "--subresource=token"], id="mint tokens"),
        pytest.param("create", ["pods"], id="run pods"),
        pytest.param("create", ["pods", "--subresource=exec"], id="enter pods"),
        pytest.param("list", ["configmaps"], id="list ConfigMaps"),
        pytest.param("impersonate", ["users"], id="impersonate"),
        pytest.param("create", ["clusterrolebindings"], id="bind cluster-wide"),
        pytest.param("create", ["validatingwebhookconfigurations"], id="call itself into every request"),
        pytest.param("update", ["namespaces", "--subresource=finalize"], id="finalize namespaces"),
    ],
)
def test_no_identity_of_the_operators_has_a_right_to(stack: Any, identity: str, verb: str, what: list[str]) -> None:
    assert not may(stack, identity, verb, what)


@pytest.mark.parametrize(
    ("verb", "what", "whose"),
    [
        pytest.param("create", ["resourcequotas"], "provisioner", id="walls"),
        pytest.param("patch", ["networkpolicies.networking.k8s.io"], "provisioner", id="network policies"),
        pytest.param("create", ["rolebindings.rbac.authorization.k8s.io"], "provisioner", id="bindings"),
        pytest.param("patch", ["tenants.imagint.ai", "--subresource=status"], "controller", id="testimony"),
        pytest.param("create", ["configmaps"], "controller", id="certificates"),
        pytest.param("delete", ["namespaces"], "shredder", id="taking away"),
    ],
)
def test_each_job_is_one_identitys(stack: Any, verb: str, what: list[str], whose: str) -> None:
    assert [identity for identity in IDENTITIES if may(stack, identity, verb, what)] == [whose]


def test_pod_security_refuses_a_pod_on_the_nodes_disk(stack: Any) -> None:
    """The first wall, by the label that the provisioner sets; imagint-tenant-pods is the second."""
    stack.apply("""
apiVersion: v1
kind: Namespace
metadata: {name: restricted, labels: {pod-security.kubernetes.io/enforce: restricted}}
---
{apiVersion: v1, kind: ServiceAccount, metadata: {name: default, namespace: restricted}}
""")
    made = attempt(stack, "apply", "--dry-run=server", "-f", "-", stdin="""
apiVersion: v1
kind: Pod
metadata: {name: p, namespace: restricted}
spec: {containers: [{name: c, image: "localhost/x:1"}], volumes: [{name: v, hostPath: {path: /}}]}
""")  # fmt: skip
    assert "violates PodSecurity" in made.stderr
    assert "hostPath" in made.stderr


def test_in_the_mode_that_warns_a_request_passes_with_a_warning(stack: Any) -> None:
    """The way to introduce the policies on a cluster that lives: first Warn, and Deny when nothing warns any more."""
    files = sorted(POLICIES.glob("*.yaml"))
    raising = ["patch", "quota", "imagint", "-n", NAMESPACE, "--type=merge", "-p", '{"spec":{"hard":{"pods":"9"}}}']
    assert "kept by the Imagint operator" in attempt(stack, *raising, *PERSON).stderr
    # Under the manager that put them there: another one's list would be added to it.
    put = ["apply", "--server-side", "--force-conflicts", "--field-manager=imagint-stack", "-f", "-"]
    said = attempt(stack, *put, stdin=rendered(files, Mode.WARN))
    assert said.returncode == 0, said.stderr
    try:
        ask = [*raising, "--dry-run=server", *PERSON]
        warned = _until(lambda: attempt(stack, *ask), lambda done: done.returncode == 0)
        assert "Warning:" in warned.stderr
        assert "kept by the Imagint operator" in warned.stderr
    finally:
        attempt(stack, *put, stdin=rendered(files, Mode.DENY))
    refused = _until(lambda: attempt(stack, *ask), lambda done: done.returncode != 0)
    assert "kept by the Imagint operator" in refused.stderr


def _until(look: Any, good: Any, tries: int = 100) -> Any:
    """The apiserver takes up a changed binding within a moment; each look takes a few hundred milliseconds."""
    for _ in range(tries):
        if good(found := look()):
            return found
    raise AssertionError(found.stdout + found.stderr)
