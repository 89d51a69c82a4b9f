"""A state folder of an earlier version: its one identity that could do everything is taken away at the next start."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from imagint_dev.errors import RefusedError
from imagint_dev.stack import CONTROL_PLANE, Stack
from imagint_dev.vaults import VaultServer

pytestmark = pytest.mark.stack
OLD = """
{kind: ServiceAccount, apiVersion: v1, metadata: {name: imagint-operator, namespace: imagint-system}}
---
kind: ClusterRole
apiVersion: rbac.authorization.k8s.io/v1
metadata: {name: imagint-operator}
rules: [{apiGroups: [""], resources: [namespaces], verbs: [create, delete]}]
---
kind: ClusterRoleBinding
apiVersion: rbac.authorization.k8s.io/v1
metadata: {name: imagint-operator}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: imagint-operator}
subjects: [{kind: ServiceAccount, name: imagint-operator, namespace: imagint-system}]
"""
OLD_POLICY = 'path "transit/keys/+" { capabilities = ["create", "read", "update", "delete"] }'


def administrator(stack: Stack) -> VaultServer:
    vault = VaultServer(stack.url("vault"))
    return vault.with_token(vault.new_root_token((stack.folder.vault / "unseal-key").read_text()))


def age(stack: Stack) -> None:
    """Make it as an earlier version left it."""
    stack.apply(OLD)
    vault = administrator(stack)
    vault.call("PUT", "sys/policies/acl/operator", {"policy": OLD_POLICY})
    role = {
        "bound_service_account_names": ["imagint-operator"], "bound_service_account_namespaces": ["imagint-system"],
        "audience": "vault", "token_policies": ["operator"],
    }  # fmt: skip
    vault.call("POST", "auth/kubernetes/role/operator", role)
    assert stack.vault_as("operator", "imagint-system", "imagint-operator")
    (stack.identity("imagint-operator")).mkdir()
    (stack.identity("imagint-operator") / "vault-token").write_text("old")
    done = stack.folder.vault / "set-up.json"
    done.write_text(json.dumps(json.loads(done.read_text()) | {"digest": "an earlier version's"}))


def test_what_an_earlier_version_installed_is_taken_away(tmp_path: Path) -> None:
    stack = Stack(tmp_path)
    stack.up(parts=CONTROL_PLANE)
    try:
        age(stack)
        stack.down()
        stack.up(parts=CONTROL_PLANE)
        kept = stack.kubectl("get", "clusterroles,clusterrolebindings,serviceaccounts", "-A", "-o", "name").split()
        assert not [name for name in kept if name.endswith("/imagint-operator")]
        assert not stack.identity("imagint-operator").exists()
        vault = administrator(stack)
        for path in ("auth/kubernetes/role/operator", "sys/policies/acl/operator"):
            with pytest.raises(RefusedError) as gone:
                vault.call("GET", path)
            assert gone.value.status == 404
        for role in ("controller", "shredder"):
            assert stack.vault_as(role, "imagint-system", f"imagint-{role}")
    finally:
        stack.down(purge=True)
