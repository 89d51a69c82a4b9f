"""A Tenant's conditions tell what was seen, and tell people what to do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from imagint_operator.api.tenants import Tenant
from imagint_operator.dataplane.answers import GatewayStatus
from imagint_operator.errors import DataPlaneUnavailableError, ServeUnavailableError, VaultUnavailableError
from imagint_operator.kube.resources import ObjectKey
from imagint_operator.serve.applications import is_served
from imagint_operator.serve.places import Refusal
from imagint_operator.serve.ports import AppStatus
from imagint_operator.serve.views import AppState
from imagint_operator.tenants import walls
from imagint_operator.tenants.observations import GatewayView, KeyView, Observed
from imagint_operator.tenants.status import status
from imagint_privacy.keys.ports import KeyState

MakeTenant = Callable[..., Tenant]
KEY = KeyState("tenant-acme", 3, 3, 3, 3, exportable=False, allow_plaintext_backup=False, deletion_allowed=False)
APP = AppState(ObjectKey("Tenant", "", "acme"), 1, "digest", AppStatus.RUNNING, current=True)
SERVING = GatewayView(APP, GatewayStatus(tenant="acme", ready=True))
VAULT_DOWN = KeyView(problem=VaultUnavailableError("Vault is sealed or unreachable"))
LEAVING = {"deletionTimestamp": "2026-11-23T12:00:00Z"}
SHRED = {"deletion": {"policy": "Shred"}}


def seen(tenant: Tenant, **changes: Any) -> Observed:
    whole = Observed(walls.namespace(tenant), dict(walls.contents(tenant)), KeyView(KEY), SERVING)
    return replace(whole, **changes)


def reasons(tenant: Tenant, observed: Observed, now: datetime) -> dict[str, tuple[str, str]]:
    return {c.type: (c.status.value, c.reason) for c in status(tenant, observed, now).conditions}


@pytest.mark.parametrize(
    ("made", "recorded", "expected"),
    [
        pytest.param("2026-11-20T12:00:00Z", False, ("False", "KeyInherited"), id="made for an earlier Tenant"),
        pytest.param("2026-11-23T12:00:00Z", False, ("True", "KeyReady"), id="made for this one, and then a crash"),
        pytest.param("2026-11-20T12:00:00Z", True, ("True", "KeyReady"), id="recorded as its own"),
    ],
)
def test_the_key_of_an_earlier_tenant_that_vault_brings_back_is_not_taken_over(
    make_tenant: MakeTenant, now: datetime, made: str, *, recorded: bool, expected: tuple[str, str]
) -> None:
    """An old backup of Vault: what the certificate says is destroyed must not be opened by the next of that name."""
    tenant = make_tenant(
        status={"key": {"name": "tenant-acme", "version": 3}} if recorded else {},
        creationTimestamp="2026-11-23T12:00:00Z",
    )
    observed = seen(tenant, key=KeyView(replace(KEY, created_at={2: made, 3: "2026-11-23T12:00:01Z"})))
    assert reasons(tenant, observed, now)["KeyReady"] == expected
    assert (status(tenant, observed, now).key is not None) is (expected[0] == "True")
    assert is_served(tenant) is recorded


def test_a_whole_tenant_is_ready_and_serving(make_tenant: MakeTenant, now: datetime) -> None:
    tenant = make_tenant()
    found = status(tenant, seen(tenant), now)
    assert [condition.status for condition in found.conditions] == ["True"] * 5
    assert (found.namespace, found.path, found.key and found.key.version) == ("tenant-acme", "/acme", 3)


ERASED = {"status": {"key": {"name": "tenant-acme", "version": 3, "destroyedBelow": 3}}}
CASES = [
    pytest.param({}, {"key": VAULT_DOWN}, "KeyReady", ("Unknown", "VaultUnavailable"), id="vault sealed: key unknown"),
    pytest.param({}, {"key": VAULT_DOWN}, "Ready", ("False", "VaultUnavailable"), id="vault sealed: not ready"),
    pytest.param({}, {"key": KeyView()}, "KeyReady", ("False", "KeyMissing"), id="no key yet"),
    pytest.param({"status": {"key": {"name": "tenant-acme", "version": 3}}}, {"key": KeyView()}, "KeyReady",
                 ("False", "KeyLost"), id="a key that was there is gone"),
    pytest.param({}, {"key": KeyView(replace(KEY, exportable=True))}, "KeyReady", ("False", "KeyExportable"),
                 id="a key that could have left Vault"),
    pytest.param(ERASED, {"key": KeyView(replace(KEY, latest_version=2))}, "KeyReady", ("False", "KeyBehind"),
                 id="vault was restored from before a rotation"),
    pytest.param(ERASED, {"key": KeyView(replace(KEY, latest_version=2))}, "Ready", ("False", "KeyBehind"),
                 id="a key that is behind: not ready"),
    pytest.param(ERASED, {"key": KeyView(KEY, replayed=True)}, "KeyReady", ("True", "KeyReplayed"),
                 id="vault was restored from before a trim"),
    pytest.param({}, {"namespace": None}, "Ready", ("False", "NamespaceMissing"), id="no namespace yet"),
    pytest.param({}, {"namespace": {"metadata": {"name": "tenant-acme"}}}, "Ready", ("False", "NamespaceConflict"),
                 id="a namespace of somebody else"),
    pytest.param({}, {"contents": {}}, "NamespaceReady", ("False", "WallsIncomplete"), id="walls are missing"),
    pytest.param({"spec": {"state": "Suspended"}}, {}, "Ready", ("True", "Suspended"), id="suspended is ready"),
    pytest.param({}, {"gateway": GatewayView(refusal=Refusal("StorageNotShared", "no"))}, "Ready",
                 ("False", "StorageNotShared"), id="a compute that is refused"),
    pytest.param({"spec": {"compute": "Dedicated"}, "status": {"compute": "Shared"}}, {}, "ComputeReady",
                 ("False", "Moving"), id="a tenant on its way to another cluster"),
    pytest.param({"spec": {"compute": "Dedicated"}, "status": {"compute": "Shared"}},
                 {"gateway": GatewayView(arrived=True)}, "ComputeReady", ("True", "Placed"), id="one that arrived"),
    pytest.param({}, {"gateway": GatewayView()}, "GatewayReady", ("False", "Waiting"), id="gateway not asked for"),
    pytest.param({}, {"gateway": GatewayView(problem=ServeUnavailableError("down"))}, "GatewayReady",
                 ("Unknown", "DataPlaneUnavailable"), id="ray does not answer"),
    pytest.param({}, {"gateway": GatewayView(APP, problem=DataPlaneUnavailableError("down"))}, "GatewayReady",
                 ("Unknown", "DataPlaneUnavailable"), id="the gateway does not answer"),
    pytest.param({}, {"gateway": GatewayView(replace(APP, status=AppStatus.DEPLOY_FAILED))}, "GatewayReady",
                 ("False", "DeployFailed"), id="serve could not start it"),
    pytest.param({}, {"gateway": GatewayView(replace(APP, current=False))}, "GatewayReady", ("False", "Deploying"),
                 id="serve runs an older one"),
    pytest.param({}, {"gateway": GatewayView(APP, GatewayStatus(tenant="acme", ready=False, reason="NoToken"))},
                 "GatewayReady", ("False", "NotReady"), id="the gateway says it is not ready"),
    pytest.param(LEAVING, {}, "Ready", ("False", "DeletionRefused"), id="deletion refused"),
    pytest.param({**LEAVING, "spec": SHRED}, {}, "Ready", ("False", "Shredding"), id="being stopped"),
    pytest.param({**LEAVING, "spec": SHRED}, {"key": VAULT_DOWN}, "Ready", ("False", "VaultUnavailable"),
                 id="deletion waits for vault"),
    pytest.param({**LEAVING, "spec": SHRED}, {"key": KeyView(), "gateway": GatewayView(drained=True)}, "Ready",
                 ("False", "KeyDestroyed"), id="the key is gone"),
]  # fmt: skip


@pytest.mark.parametrize(("tenant", "changes", "condition", "expected"), CASES)
def test_each_observation_has_its_reason(
    make_tenant: MakeTenant,
    now: datetime,
    tenant: dict[str, Any],
    changes: dict[str, Any],
    condition: str,
    expected: tuple[str, str],
) -> None:
    made = make_tenant(**tenant)
    assert reasons(made, seen(made, **changes), now)[condition] == expected


def test_a_refused_deletion_says_how_to_go_on(make_tenant: MakeTenant, now: datetime) -> None:
    tenant = make_tenant(**LEAVING)
    ready = status(tenant, seen(tenant), now).conditions[0]
    assert "kubectl patch tenant acme" in ready.message
    assert '"policy":"Shred"' in ready.message


def test_the_recorded_key_stays_while_vault_is_silent(make_tenant: MakeTenant, now: datetime) -> None:
    tenant = make_tenant(status={"key": {"name": "tenant-acme", "version": 3}})
    kept = status(tenant, seen(tenant, key=VAULT_DOWN), now).key
    assert kept is not None
    assert kept.version == 3


def test_looking_again_writes_nothing_new(make_tenant: MakeTenant, now: datetime) -> None:
    tenant = make_tenant()
    first = status(tenant, seen(tenant), now)
    again = tenant.model_copy(update={"status": first})
    assert status(again, seen(again), now.replace(year=2027)) == first


def test_a_restored_vault_is_told_with_the_versions_and_remembered(make_tenant: MakeTenant, now: datetime) -> None:
    tenant = make_tenant(**ERASED)
    old = status(tenant, seen(tenant, key=KeyView(replace(KEY, latest_version=2))), now)
    message = next(condition.message for condition in old.conditions if condition.type == "KeyReady")
    assert "newest version of key tenant-acme is 2, but version 3 was in use" in message
    assert "Restore a newer snapshot" in message
    assert old.key is not None
    assert (old.key.version, old.key.destroyed_below, old.key.replayed_at) == (3, 3, None)
    replayed = status(tenant, seen(tenant, key=KeyView(KEY, replayed=True)), now).key
    assert replayed is not None
    assert replayed.replayed_at == now
    later = make_tenant(status={"key": replayed.model_dump(mode="json", by_alias=True)})
    kept = status(later, seen(later), now + timedelta(days=1)).key
    assert kept is not None
    assert kept.replayed_at == now
