"""What is said of drift, of places that are taken, of quotas, of holds, and of a namespace that does not go."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from imagint_operator.api.tenants import Tenant
from imagint_operator.errors import KubeForbiddenError
from imagint_operator.kube.resources import ObjectKey
from imagint_operator.tenants import certificates, drift, walls
from imagint_operator.tenants.leftovers import remaining
from imagint_operator.tenants.observations import KeyView, Observed
from imagint_operator.tenants.places import storage_taken
from imagint_operator.tenants.plan import plan
from imagint_operator.tenants.quotas import exceeded
from imagint_operator.tenants.status import status
from imagint_privacy.keys.ports import KeyState

MakeTenant = Callable[..., Tenant]
KEY = KeyState("tenant-acme", 1, 1, 0, 0, exportable=False, allow_plaintext_backup=False, deletion_allowed=False)
QUOTA = ObjectKey("ResourceQuota", "tenant-acme", "imagint")
STOOD = {
    "key": {"name": "tenant-acme", "version": 1},
    "namespaceUid": "ns-uid",
    "conditions": [
        {"type": "NamespaceReady", "status": "True", "reason": "NamespaceReady", "message": "",
         "lastTransitionTime": "2026-11-23T12:00:00Z"}
    ],
}  # fmt: skip


def settled(tenant: Tenant) -> Observed:
    namespace = walls.namespace(tenant)
    namespace["metadata"] |= {"uid": "ns-uid"}
    return Observed(namespace, dict(walls.contents(tenant)), KeyView(KEY))


def changed(observed: Observed, live: dict[str, Any] | None, key: ObjectKey = QUOTA) -> Observed:
    return replace(observed, contents={**observed.contents, key: live})


def by(manager: str, live: Any) -> dict[str, Any]:
    """The quota as somebody left it."""
    entries = [
        {"manager": "imagint-operator", "time": "2026-11-23T11:00:00Z"},
        {"manager": manager, "time": "2026-11-23T12:00:00Z"},
        {"manager": "status-writer", "time": "2026-11-23T13:00:00Z", "subresource": "status"},
    ]
    spec = {"hard": {**live["spec"]["hard"], "pods": "9999"}}
    return {**live, "spec": spec, "metadata": {**live["metadata"], "managedFields": entries}}


class TestDrift:
    """What was put back, who had changed it, and where to change it instead."""

    def repaired(self, tenant: Tenant, observed: Observed, now: datetime) -> tuple[drift.Drift, ...]:
        return drift.drifted(tenant, observed, plan(tenant, observed, now), observed)

    def test_a_changed_object_is_told_with_its_field_manager(self, make_tenant: MakeTenant, now: datetime) -> None:
        tenant = make_tenant(status=STOOD, finalizers=["imagint.ai/tenant"])
        whole = settled(tenant)
        found = self.repaired(tenant, changed(whole, by("kubectl-edit", whole.contents[QUOTA])), now)
        assert found == (drift.Drift(QUOTA, deleted=False, manager="kubectl-edit"),)
        told = drift.event(tenant, found, now)
        assert told.reason == "DriftRepaired"
        assert told.message == (
            "put back: ResourceQuota imagint was changed by field manager kubectl-edit. To change it, change the "
            "Tenant acme"
        )

    def test_a_deleted_object_is_told(self, make_tenant: MakeTenant, now: datetime) -> None:
        tenant = make_tenant(status=STOOD)
        found = self.repaired(tenant, changed(settled(tenant), None), now)
        assert "was deleted" in drift.event(tenant, found, now).message

    def test_a_new_tenant_has_no_drift(self, make_tenant: MakeTenant, now: datetime) -> None:
        assert self.repaired(make_tenant(), Observed(), now) == ()

    def test_a_changed_tenant_is_no_drift(self, make_tenant: MakeTenant, now: datetime) -> None:
        before, after = make_tenant(), make_tenant(spec={"quotas": {"gpuCount": 3}}, status=STOOD)
        assert self.repaired(after, settled(before), now) == ()

    def test_what_could_not_be_repaired_is_not_told_as_repaired(self, make_tenant: MakeTenant, now: datetime) -> None:
        tenant = make_tenant(status=STOOD)
        observed = changed(settled(tenant), None)
        refused = replace(observed, refused={QUOTA: KubeForbiddenError("403 Forbidden")})
        assert drift.drifted(tenant, observed, plan(tenant, observed, now), refused) == ()

    def test_there_is_no_flood(self, now: datetime) -> None:
        log, other = drift.DriftLog(), ObjectKey("Role", "tenant-acme", "imagint-api-keys")
        first, second = (drift.Drift(key, deleted=True, manager="") for key in (QUOTA, other))
        assert log.to_tell("uid", [first], now) == (first,)
        for seconds in range(1, 59):
            assert log.to_tell("uid", [first, second], now + timedelta(seconds=seconds)) == ()
        assert log.to_tell("uid", [], now + timedelta(seconds=60)) == (first, second)
        assert log.to_tell("uid", [], now + timedelta(seconds=200)) == ()


class TestPlaces:
    """No two Tenants share a place."""

    @pytest.mark.parametrize(
        ("mine", "theirs", "taken"),
        [
            pytest.param({"database": "postgresql://db/a"}, {"database": "postgresql://db/a"}, True, id="the same"),
            pytest.param({"database": "postgresql+psycopg://DB/a?x=1"}, {"database": "postgresql://db/a/"}, True,
                         id="the same, written differently"),
            pytest.param({"objects": "s3://bucket/a/b"}, {"objects": "s3://bucket/a"}, True, id="inside the other"),
            pytest.param({"treeCopies": ["s3://bucket/a"]}, {"objects": "s3://bucket/a"}, True,
                         id="a copy where the other keeps objects"),
            pytest.param({"objects": "s3://bucket/ab"}, {"objects": "s3://bucket/a"}, False, id="a longer name beside"),
            pytest.param({"database": "postgresql://db/a"}, {"database": "postgresql://db/b"}, False, id="another"),
            pytest.param({"database": "postgresql://db/a"}, None, False, id="the platform's own place"),
        ],
    )  # fmt: skip
    def test_each_pair(
        self, make_tenant: MakeTenant, mine: dict[str, Any], theirs: dict[str, Any] | None, taken: bool
    ) -> None:
        tenant = make_tenant("newer", spec={"storage": mine}, creationTimestamp="2026-11-23T12:00:01Z")
        elder = make_tenant("elder", spec={"storage": theirs} if theirs else {},
                            creationTimestamp="2026-11-23T12:00:00Z")  # fmt: skip
        assert storage_taken(tenant, [tenant, elder]) == ("elder" if taken else None)
        assert storage_taken(elder, [tenant, elder]) is None

    def test_whoever_has_a_key_has_the_place(self, make_tenant: MakeTenant) -> None:
        spec = {"storage": {"database": "postgresql://db/a"}}
        early = make_tenant("early", spec=spec, creationTimestamp="2026-11-23T12:00:00Z")
        keyed = make_tenant("keyed", spec=spec, creationTimestamp="2026-11-23T12:00:01Z",
                            status={"key": {"name": "tenant-keyed", "version": 1}})  # fmt: skip
        assert (storage_taken(early, [keyed]), storage_taken(keyed, [early])) == ("keyed", None)

    def test_of_two_made_in_one_second_neither_is_served(self, make_tenant: MakeTenant) -> None:
        spec = {"storage": {"database": "postgresql://db/a"}}
        one, two = (make_tenant(name, spec=spec, creationTimestamp="2026-11-23T12:00:00Z") for name in ("one", "two"))
        assert (storage_taken(one, [two]), storage_taken(two, [one])) == ("two", "one")

    def test_the_condition_names_the_other(self, make_tenant: MakeTenant, now: datetime) -> None:
        ready = status(make_tenant(), Observed(storage_of="elder"), now).conditions[0]
        assert (ready.reason, "Tenant elder" in ready.message) == ("StorageTaken", True)


@pytest.mark.parametrize(
    ("used", "hard", "expected"),
    [
        pytest.param("5", "5", (), id="just full"),
        pytest.param("6", "5", ("pods 6 of 5",), id="lowered below use"),
        pytest.param("1500m", "1", ("pods 1500m of 1",), id="thousandths"),
        pytest.param("11811160064", "10Gi", ("pods 11811160064 of 10Gi",), id="bytes against gibibytes"),
        pytest.param("10G", "10Gi", (), id="two kinds of giga"),
        pytest.param("?", "5", (), id="not a quantity"),
    ],
)
def test_a_quota_below_use(used: str, hard: str, expected: tuple[str, ...]) -> None:
    assert exceeded({"spec": {"hard": {"pods": hard}}, "status": {"used": {"pods": used}}}) == expected


def test_a_quota_below_use_is_said_while_it_is_so(make_tenant: MakeTenant, now: datetime) -> None:
    tenant = make_tenant()
    whole = settled(tenant)
    live: Any = whole.contents[QUOTA]
    over = changed(whole, {**live, "status": {"used": {"pods": "300"}}})
    last = status(tenant, over, now).conditions[-1]
    assert (last.type, last.reason, "pods 300 of 200" in last.message) == ("WithinQuota", "QuotaBelowUse", True)
    assert len(status(tenant, whole, now).conditions) == 4


def test_a_wall_that_the_apiserver_refuses_is_named(make_tenant: MakeTenant, now: datetime) -> None:
    tenant = make_tenant()
    refused = replace(settled(tenant), refused={QUOTA: KubeForbiddenError("PATCH /x: 403 Forbidden")})
    ready = status(tenant, refused, now).conditions[0]
    assert ready.reason == "WallsRefused"
    assert "ResourceQuota imagint: PATCH /x: 403 Forbidden" in ready.message


NOW = datetime.fromisoformat("2026-11-23T12:00:00Z")


def condition(type_: str, message: str, status_: str = "True") -> dict[str, str]:
    return {"type": type_, "status": status_, "message": message}


@pytest.mark.parametrize(
    ("conditions", "words"),
    [
        pytest.param([condition("NamespaceContentRemaining", "Some resources remain: pods. has 1 resource instances")],
                     (), id="on its way"),
        pytest.param([condition("NamespaceFinalizersRemaining", "finalizers remain: example.org/kept in 1 instances"),
                      condition("NamespaceContentRemaining", "Some resources remain: configmaps. has 1")],
                     ("example.org/kept", "configmaps. has 1"), id="somebody's finalizer"),
        pytest.param([condition("NamespaceDeletionDiscoveryFailure", "metrics.k8s.io/v1beta1: stale")],
                     ("metrics.k8s.io", "APIService"), id="an APIService that is down"),
        pytest.param([condition("NamespaceDeletionDiscoveryFailure", "all fine", "False")], (), id="nothing"),
    ],
)  # fmt: skip
def test_why_a_namespace_does_not_go(conditions: list[dict[str, str]], words: tuple[str, ...]) -> None:
    namespace = {"metadata": {"deletionTimestamp": "2026-11-23T12:00:00Z"}, "status": {"conditions": conditions}}
    told = " ".join(remaining(namespace))
    assert bool(told) is bool(words)
    assert all(word in told for word in words)
    assert remaining({"metadata": {}, "status": {"conditions": conditions}}) == ()


def test_many_certificates_are_split_into_config_maps_that_the_apiserver_takes() -> None:
    files = {f"dsr-{number:04}.json": "x" * 5000 for number in range(1000)}
    parts = certificates.chunks(files)
    assert {name: text for part in parts for name, text in part.items()} == files
    assert all(sum(len(name) + len(text) for name, text in part.items()) <= certificates.CHUNK for part in parts)
    assert certificates.chunks({}) == []
