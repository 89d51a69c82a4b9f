"""What tenants, neighbours and a stolen operator identity may not do, whatever they try it on."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

pytestmark = pytest.mark.stack
OPERATOR = ["--as=system:serviceaccount:imagint-system:imagint-operator"]
# A tenant's person whom somebody gave the cluster role `admin` in the namespace, far more than we give.
PERSON = ["--as=ann", "--as-group=imagint:tenant:guarded", "--as-group=system:authenticated"]
NAMESPACE = "tenant-guarded"


def attempt(stack: Any, *arguments: str, stdin: str | None = None) -> str:
    """What kubectl says; empty when it worked."""
    command = stack.kubectl_command(*arguments)
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=30, check=False)
    return done.stderr if done.returncode else ""


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
apiVersion: v1
kind: ServiceAccount
metadata: {{name: imagint-dataplane, namespace: {NAMESPACE}, labels: {labels}}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{name: far-too-much, namespace: {NAMESPACE}}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}}
subjects: [{{apiGroup: rbac.authorization.k8s.io, kind: User, name: ann}}]
""")
    yield
    stack.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


KEPT = "kept by the Imagint operator"
IN = ["-n", NAMESPACE]
FORBIDDEN = [
    pytest.param(["patch", "quota", "imagint", *IN, "--type=merge", "-p", '{"spec":{"hard":{"pods":"99"}}}'], KEPT,
                 id="raising a quota"),
    pytest.param(["delete", "quota", "imagint", *IN], KEPT, id="deleting a quota"),
    pytest.param(["label", "quota", "imagint", *IN, "app.kubernetes.io/managed-by-"], KEPT, id="taking the label off"),
    pytest.param(["patch", "quota", "imagint", *IN, "--subresource=status", "--type=merge", "-p",
                  '{"status":{"hard":{"pods":"99"}}}'], KEPT, id="writing its status"),
    pytest.param(["annotate", "namespace", NAMESPACE, "imagint.ai/tenant-uid=x"], KEPT, id="changing the namespace"),
    pytest.param(["create", "token", "imagint-dataplane", *IN], "minted by the projector only", id="minting a token"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "message"), FORBIDDEN)
def test_a_tenant_with_far_too_many_rights_is_still_refused(stack: Any, arguments: list[str], message: str) -> None:
    assert message in attempt(stack, *arguments, *PERSON)


def test_nobody_passes_an_object_off_as_the_operators(stack: Any) -> None:
    manifest = f"""
apiVersion: v1
kind: ConfigMap
metadata: {{name: forged, namespace: {NAMESPACE}, labels: {{app.kubernetes.io/managed-by: imagint-operator}}}}
"""
    assert "is the operator's own" in attempt(stack, "apply", "-f", "-", *PERSON, stdin=manifest)


def test_a_tenants_own_objects_are_its_own(stack: Any) -> None:
    assert attempt(stack, "create", "secret", "generic", "mine", *IN, "--from-literal=a=b", *PERSON) == ""


ROLE = """
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {{name: imagint-api-keys, namespace: tenant-guarded}}
rules: [{rule}]
"""
BINDING = """
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{name: grab, namespace: tenant-guarded}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: {role}}}
subjects: [{{kind: ServiceAccount, name: {account}, namespace: imagint-system}}]
"""
ALL_SECRETS = '{apiGroups: [""], resources: [secrets], verbs: [get]}'
ONE_SECRET = '{apiGroups: [""], resources: [secrets], verbs: [get], resourceNames: [app]}'


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        pytest.param(ROLE.format(rule=ALL_SECRETS), "allows reading Secrets that it names", id="reading every Secret"),
        pytest.param(BINDING.format(role="imagint-token-projector", account="imagint-operator"),
                     "binds four roles only", id="giving itself the projector's right"),
        pytest.param(BINDING.format(role="imagint-archivist", account="imagint-projector"), "binds four roles only",
                     id="giving another the archivist's right"),
        pytest.param("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: other, namespace: imagint-system}\n",
                     "writes into tenants' namespaces only", id="writing no certificate into its own namespace"),
        pytest.param(BINDING.format(role="cluster-admin", account="imagint-operator"), "forbidden",
                     id="becoming admin"),
        pytest.param("apiVersion: v1\nkind: Namespace\nmetadata: {name: elsewhere}\n", "touches no namespace",
                     id="making a namespace of another name"),
        pytest.param("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x, namespace: kube-system}\n",
                     "writes into tenants' namespaces only", id="writing into kube-system"),
    ],
)  # fmt: skip
def test_a_stolen_operator_identity_gains_nothing(stack: Any, manifest: str, message: str) -> None:
    said = attempt(stack, "apply", "--server-side", "-f", "-", *OPERATOR, stdin=manifest)
    assert message in said


def test_the_operator_may_name_the_secrets_of_its_tenant(stack: Any) -> None:
    made = attempt(stack, "apply", "--server-side", "-f", "-", *OPERATOR, stdin=ROLE.format(rule=ONE_SECRET))
    assert made == ""


@pytest.mark.parametrize(
    ("verb", "what"),
    [
        pytest.param("get", ["secrets"], id="read Secrets"),
        pytest.param("create", ["serviceaccounts", "--subresource=token"], id="mint tokens"),
        pytest.param("create", ["pods"], id="run pods"),
        pytest.param("list", ["configmaps"], id="list ConfigMaps"),
        pytest.param("impersonate", ["users"], id="impersonate"),
    ],
)
def test_the_operator_has_no_right_to(stack: Any, verb: str, what: list[str]) -> None:
    command = stack.kubectl_command("auth", "can-i", verb, *what, "--all-namespaces", *OPERATOR)
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.stdout.strip() == "no"
