"""What a Tenant needs next, over every stage of its life."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from imagint_operator.api.tenants import Tenant
from imagint_operator.dataplane.answers import GatewayStatus
from imagint_operator.errors import VaultUnavailableError
from imagint_operator.kube.resources import NAMESPACES
from imagint_operator.tenants import walls
from imagint_operator.tenants.observations import GatewayView, KeyView, Observed, destroyed_by
from imagint_operator.tenants.plan import (
    Action,
    AddFinalizer,
    Apply,
    CloseGateway,
    DestroyAgain,
    EnsureKey,
    destroyed_below,
    plan,
)
from imagint_operator.tenants.shredding import RemoveFinalizer
from imagint_privacy.keys.ports import KeyState

MakeTenant = Callable[..., Tenant]
KEY = KeyState("tenant-acme", 1, 1, 0, 0, exportable=False, allow_plaintext_backup=False, deletion_allowed=False)
FINALIZER = {"finalizers": ["imagint.ai/tenant"]}
RECORDED = {"key": {"name": "tenant-acme", "version": 1}}
SHRED = {"deletion": {"policy": "Shred"}}
NO_VAULT = KeyView(problem=VaultUnavailableError("Vault is sealed or unreachable"))


def settled(tenant: Tenant) -> Observed:
    """Everything in place."""
    namespace = walls.namespace(tenant)
    namespace["metadata"] |= {"uid": "ns-uid"}
    return Observed(namespace, dict(walls.contents(tenant)), KeyView(KEY), GatewayView())


def carried_out(observed: Observed, actions: tuple[Action, ...], tenant: Tenant) -> tuple[Observed, Tenant]:
    """The world after a plan."""
    for action in actions:
        match action:
            case AddFinalizer():
                metadata = tenant.metadata.model_copy(update={"finalizers": ("imagint.ai/tenant",)})
                tenant = tenant.model_copy(update={"metadata": metadata})
            case RemoveFinalizer():
                metadata = tenant.metadata.model_copy(update={"finalizers": ()})
                tenant = tenant.model_copy(update={"metadata": metadata})
            case Apply(key, manifest) if key.kind == NAMESPACES.kind:
                metadata_now = {**manifest["metadata"], "uid": "ns-uid"}
                observed = replace(observed, namespace={**manifest, "metadata": metadata_now})
            case Apply(key, manifest):
                observed = replace(observed, contents={**observed.contents, key: manifest})
            case EnsureKey(name):
                observed = replace(observed, key=KeyView(replace(KEY, name=name)))
    return observed, tenant


def test_a_new_tenant_gets_everything_in_one_plan(make_tenant: MakeTenant, now: datetime) -> None:
    tenant = make_tenant()
    actions = plan(tenant, Observed(), now)
    assert actions[0] == AddFinalizer()
    assert EnsureKey("tenant-acme") in actions
    applied = {action.key.name for action in actions if isinstance(action, Apply)}
    assert {
        "tenant-acme",
        "imagint-default-deny",
        "imagint-allow-dns",
        "imagint-dataplane",
        "imagint-api-keys",
    } <= applied


def test_what_stands_is_left_alone(make_tenant: MakeTenant, now: datetime) -> None:
    tenant = make_tenant(**FINALIZER, status=RECORDED)
    assert plan(tenant, settled(tenant), now) == ()


def test_planning_what_was_done_plans_nothing(make_tenant: MakeTenant, now: datetime) -> None:
    for here, has_key, final in itertools.product([True, False], repeat=3):
        tenant = make_tenant(**(FINALIZER if final else {}))
        whole = settled(tenant)
        observed = Observed(whole.namespace if here else None, {}, whole.key if has_key else KeyView())
        observed, tenant = carried_out(observed, plan(tenant, observed, now), tenant)
        assert plan(tenant, observed, now) == ()


def test_a_wall_that_was_moved_is_put_back(make_tenant: MakeTenant, now: datetime) -> None:
    tenant = make_tenant(**FINALIZER)
    observed = settled(tenant)
    key = next(key for key in observed.contents if key.name == "imagint-default-deny")
    (action,) = plan(tenant, replace(observed, contents={**observed.contents, key: None}), now)
    assert isinstance(action, Apply)
    assert action.key == key


@pytest.mark.parametrize(
    "metadata",
    [
        pytest.param({"name": "tenant-acme", "uid": "1"}, id="made by somebody without labels"),
        pytest.param({"name": "tenant-acme", "uid": "1", "labels": {"imagint.ai/tenant": "acme"}}, id="half labelled"),
        pytest.param(
            {"name": "tenant-acme", "uid": "1", "labels": {"app.kubernetes.io/managed-by": "imagint-operator",
             "imagint.ai/tenant": "acme"}, "annotations": {"imagint.ai/tenant-uid": "an older tenant"}},
            id="left by an earlier tenant of the same name",
        ),
        pytest.param(
            {"name": "tenant-acme", "uid": "1", "labels": {"app.kubernetes.io/managed-by": "imagint-operator",
             "imagint.ai/tenant": "acme"}}, id="labelled as ours by somebody, without the uid",
        ),
    ],
)  # fmt: skip
def test_a_namespace_of_somebody_else_is_neither_adopted_nor_deleted(
    make_tenant: MakeTenant, now: datetime, metadata: dict[str, Any]
) -> None:
    observed = Observed(namespace={"metadata": metadata}, gateway=GatewayView(drained=True), key=KeyView(KEY))
    assert plan(make_tenant(**FINALIZER), observed, now) == ()
    leaving = make_tenant(**FINALIZER, spec=SHRED, deletionTimestamp=now.isoformat())
    assert plan(leaving, observed, now) == (RemoveFinalizer(),)


def test_labels_taken_from_our_own_namespace_are_put_back(make_tenant: MakeTenant, now: datetime) -> None:
    tenant = make_tenant(**FINALIZER, status={**RECORDED, "namespaceUid": "ns-uid"})
    stripped = {"metadata": {"name": "tenant-acme", "uid": "ns-uid"}}
    (action,) = plan(tenant, replace(settled(tenant), namespace=stripped), now)
    assert isinstance(action, Apply)
    assert action.key.kind == NAMESPACES.kind


def test_a_place_that_is_taken_is_not_built_upon(make_tenant: MakeTenant, now: datetime) -> None:
    assert plan(make_tenant(), Observed(storage_of="elder"), now) == (AddFinalizer(),)


def test_a_key_that_was_lost_is_not_made_anew(make_tenant: MakeTenant, now: datetime) -> None:
    tenant = make_tenant(**FINALIZER, status=RECORDED)
    assert plan(tenant, replace(settled(tenant), key=KeyView()), now) == ()


def test_nothing_is_made_while_vault_is_silent(make_tenant: MakeTenant, now: datetime) -> None:
    tenant = make_tenant(**FINALIZER)
    assert plan(tenant, replace(settled(tenant), key=NO_VAULT), now) == ()


def test_without_api_keys_the_projector_may_read_no_secret(make_tenant: MakeTenant) -> None:
    roles = [manifest for key, manifest in walls.contents(make_tenant()).items() if key.kind == "Role"]
    assert [role["rules"] for role in roles] == [[]]


def test_the_projector_may_read_exactly_the_named_secrets(make_tenant: MakeTenant) -> None:
    refs = [{"name": name, "secretRef": {"name": secret, "key": "k"}} for name, secret in [("a", "s2"), ("b", "s1")]]
    tenant = make_tenant(spec={"apiKeys": refs})
    (role,) = [manifest for key, manifest in walls.contents(tenant).items() if key.kind == "Role"]
    assert [rule["resourceNames"] for rule in role["rules"]] == [["s1", "s2"]]


ERASED = {"key": {"name": "tenant-acme", "version": 3, "destroyedBelow": 3}}
AS_IT_WAS = replace(KEY, latest_version=3, min_decryption_version=3, min_encryption_version=3, min_available_version=3)


class TestARestoredVault:
    """What was destroyed once is destroyed again; a key that is behind is left as it is."""

    @pytest.mark.parametrize(
        ("key", "expected"),
        [
            pytest.param(AS_IT_WAS, (), id="nothing came back"),
            pytest.param(replace(AS_IT_WAS, min_available_version=2), (DestroyAgain("tenant-acme", 3),),
                         id="a snapshot from between the minimums and the trim"),
            pytest.param(replace(KEY, latest_version=3), (DestroyAgain("tenant-acme", 3),),
                         id="a snapshot from between the rotation and the minimums"),
            pytest.param(replace(AS_IT_WAS, latest_version=4, min_decryption_version=2),
                         (DestroyAgain("tenant-acme", 3),), id="a lowered minimum"),
            pytest.param(replace(KEY, latest_version=2), (), id="a snapshot from before the rotation"),
            pytest.param(replace(AS_IT_WAS, latest_version=4), (), id="an erasure that has rotated and not trimmed"),
        ],
    )  # fmt: skip
    def test_each_state_of_the_key(
        self, make_tenant: MakeTenant, now: datetime, key: KeyState, expected: tuple[Action, ...]
    ) -> None:
        tenant = make_tenant(**FINALIZER, status=ERASED)
        assert plan(tenant, replace(settled(tenant), key=KeyView(key)), now) == expected

    def test_what_an_erasure_recorded_counts_before_the_tenant_has_seen_it(
        self, make_tenant: MakeTenant, now: datetime
    ) -> None:
        tenant = make_tenant(**FINALIZER, status=RECORDED)
        observed = replace(settled(tenant), key=KeyView(replace(KEY, latest_version=4), destroyed_below=4))
        assert plan(tenant, observed, now) == (DestroyAgain("tenant-acme", 4),)

    def test_an_erasure_counts_from_its_trim_on(self, make_request: Callable[..., Any]) -> None:
        versions = {"keyVersions": {"from": 3, "to": 4}}
        states = ["Running", "Done"]
        made = [make_request(status={**versions, "steps": [{"name": "Trim", "state": state}]}) for state in states]
        assert (destroyed_by(made[:1]), destroyed_by(made), destroyed_by([make_request()])) == (0, 4, 0)

    @pytest.mark.parametrize(
        ("latest", "served", "expected"),
        [
            pytest.param(2, 2, (CloseGateway("acme", 3),), id="all is old: closed, and the key left as it is"),
            pytest.param(3, 2, (CloseGateway("acme", 3), DestroyAgain("tenant-acme", 3)), id="closed, then destroyed"),
            pytest.param(3, 3, (DestroyAgain("tenant-acme", 3),), id="the tree is the newest"),
            pytest.param(2, None, (), id="the Gateway is closed already"),
        ],
    )
    def test_a_gateway_that_serves_an_old_tree_is_closed(
        self, make_tenant: MakeTenant, now: datetime, latest: int, served: int | None, expected: tuple[Action, ...]
    ) -> None:
        tenant = make_tenant(**FINALIZER, status=ERASED)
        gateway = GatewayView(status=GatewayStatus(tenant="acme", ready=True, key_version=served))
        observed = replace(settled(tenant), key=KeyView(replace(KEY, latest_version=latest)), gateway=gateway)
        assert plan(tenant, observed, now) == expected

    def test_the_bound_never_sinks(self, make_tenant: MakeTenant) -> None:
        tenant = make_tenant(status=ERASED)
        for key in (KeyView(), NO_VAULT, KeyView(KEY), KeyView(AS_IT_WAS), KeyView(AS_IT_WAS, destroyed_below=2)):
            assert destroyed_below(tenant, replace(settled(tenant), key=key)) == 3
