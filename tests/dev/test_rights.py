"""The table of rights follows the manifests, and no identity has a right that it must never have."""

from __future__ import annotations

from pathlib import Path

import pytest

from imagint_dev import rights
from imagint_dev.rights import Right
from imagint_operator.api.base import ObjectMeta
from imagint_operator.api.tenants import Tenant, TenantSpec
from imagint_operator.tenants import walls

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "rbac.md"
TEXTS = [path.read_text() for path in sorted((ROOT / "policies" / "rbac").glob("*.yaml"))]
RIGHTS = rights.rights(TEXTS)
TENANTS_PEOPLE = "imagint:tenant:NAME"
ESCAPES = ("pods", "serviceaccounts/token", "secrets", "nodes", "persistentvolumes", "certificatesigningrequests")
WRITES = {"create", "update", "patch", "delete", "deletecollection"}


def told(right: Right) -> str:
    return f"{right.identity}: {', '.join(right.verbs)} {right.what}"


def test_the_page_is_what_the_manifests_say() -> None:
    assert PAGE.read_text() == rights.page(TEXTS)
    assert rights.main(["--check", str(PAGE)]) == 0


def test_a_page_that_is_out_of_date_fails_the_check(tmp_path: Path) -> None:
    stale = tmp_path / "rbac.md"
    assert rights.main(["--check", str(stale)]) == 1
    assert rights.main([str(stale)]) == 0
    assert rights.main(["--check", str(stale)]) == 0


def test_a_rule_without_a_reason_is_an_error() -> None:
    rule = "{apiGroups: [''], resources: [pods], verbs: [get]}"
    text = f"apiVersion: x\nkind: ClusterRole\nmetadata: {{name: silent}}\nrules:\n- {rule}\n"
    with pytest.raises(ValueError, match="silent: 1 rules, 0 lines"):
        rights.page([text])


def test_nobody_has_a_wildcard() -> None:
    assert not [told(right) for right in RIGHTS if "*" in {*right.verbs, *right.resources, *right.groups}]


@pytest.mark.parametrize("resource", ESCAPES)
def test_nobody_but_who_must_reaches(resource: str) -> None:
    mine = {
        ("imagint-projector", "serviceaccounts/token"),  # of imagint-dataplane only, in a tenant's namespace only
        (TENANTS_PEOPLE, "secrets"),  # their own API keys
    }
    found = [right for right in RIGHTS if resource in right.resources and (right.identity, resource) not in mine]
    assert not [told(right) for right in found]


def test_the_provisioner_binds_what_the_table_says() -> None:
    metadata = ObjectMeta(name="acme", uid="u")
    tenant = Tenant(metadata=metadata, spec=TenantSpec.model_validate({"residency": {"region": "eu"}}))
    made = [manifest for key, manifest in walls.contents(tenant).items() if key.kind == "RoleBinding"]
    made.append(walls.archivist(tenant))
    bound = {
        manifest["roleRef"]["name"]: manifest["subjects"][0]["name"].replace("acme", "NAME")
        for manifest in made
        if manifest["roleRef"]["kind"] == "ClusterRole"
    }
    assert bound == rights.BOUND_BY_THE_PROVISIONER


def test_a_token_is_minted_of_one_account_only() -> None:
    minting = [right for right in RIGHTS if "serviceaccounts/token" in right.resources]
    assert [(right.identity, right.names, right.verbs) for right in minting] == [
        ("imagint-projector", ("imagint-dataplane",), ("create",))
    ]
    assert minting[0].where == rights.NOWHERE


def test_nobody_impersonates_enters_pods_or_approves() -> None:
    forbidden_verbs = {"impersonate", "approve", "sign"}
    subresources = ("/exec", "/attach", "/portforward", "/proxy", "/ephemeralcontainers", "/finalize", "/approval")
    for right in RIGHTS:
        assert not forbidden_verbs & set(right.verbs), told(right)
        assert not [name for name in right.resources if name.endswith(subresources)], told(right)


def test_escalating_and_binding_name_their_roles() -> None:
    for right in RIGHTS:
        if {"escalate", "bind"} & set(right.verbs):
            assert right.identity == "imagint-provisioner", told(right)
            assert right.names, told(right)
            assert not WRITES & set(right.verbs), told(right)


def test_who_builds_who_testifies_and_who_destroys_are_three() -> None:
    def holders(resource: str, verbs: set[str]) -> set[str]:
        return {right.identity for right in RIGHTS if resource in right.resources and verbs & set(right.verbs)}

    assert holders("namespaces", {"create", "patch"}) == {"imagint-provisioner"}
    assert holders("namespaces", {"delete"}) == {"imagint-shredder"}
    assert holders("tenants/status", WRITES) == {"imagint-controller"}
    assert holders("rolebindings", WRITES) == {"imagint-provisioner"}
    assert holders("rayservices", WRITES) == {"imagint-controller"}


def test_nothing_cluster_wide_is_written_but_namespaces_and_tenants() -> None:
    cluster_wide = {"clusterroles", "clusterrolebindings", "customresourcedefinitions", "nodes", "persistentvolumes"}
    written = {(right.identity, name) for right in RIGHTS for name in right.resources
               if WRITES & set(right.verbs) and name in cluster_wide}  # fmt: skip
    assert not written
