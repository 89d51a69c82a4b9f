"""Where a tenant is served, and why it may not be elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from imagint_operator.api.tenants import Compute, Tenant
from imagint_operator.serve.places import address, home, places, refusal
from imagint_operator.settings import Ray, Settings

MakeTenant = Callable[..., Tenant]
KEY = {"key": {"name": "tenant-acme", "version": 1}}
NETWORK = {"database": "postgresql://db/acme", "objects": "s3://acme", "treeCopies": ["s3://copies/acme"]}
LOCAL_OBJECTS = NETWORK | {"objects": "file:///objects"}
NO_COPIES = {name: place for name, place in NETWORK.items() if name != "treeCopies"}
DEDICATED = {"compute": "Dedicated"}
BOTH = {Compute.SHARED, Compute.DEDICATED}


@pytest.fixture
def kuberay(settings: Settings) -> Settings:
    return settings.model_copy(update={"ray_image": "registry.example/imagint:1"})


CASES = [
    pytest.param({}, {}, {Compute.SHARED}, None, id="shared with default storage"),
    pytest.param(DEDICATED | {"storage": NETWORK}, {}, {Compute.DEDICATED}, None, id="dedicated from the start"),
    pytest.param(DEDICATED, {}, set(), "StorageNotShared", id="dedicated with default storage"),
    pytest.param(DEDICATED | {"storage": LOCAL_OBJECTS}, {}, set(), "StorageNotShared", id="one local part is enough"),
    pytest.param(DEDICATED | {"storage": NO_COPIES}, {}, set(), "StorageNotShared", id="default copies are local"),
    pytest.param(DEDICATED | {"storage": NETWORK}, {"compute": "Shared"}, BOTH, None, id="on its way: both serve"),
    pytest.param(DEDICATED, {"compute": "Shared"}, {Compute.SHARED}, "StorageNotShared", id="refused: it stays"),
    pytest.param(DEDICATED, {"path": "/acme"}, {Compute.SHARED}, "StorageNotShared", id="placed by an older version"),
    pytest.param({"storage": NETWORK}, {"compute": "Dedicated"}, BOTH, None, id="on its way back"),
    pytest.param(DEDICATED | {"storage": NETWORK}, {"compute": "Dedicated"}, {Compute.DEDICATED}, None, id="arrived"),
]


@pytest.mark.parametrize(("spec", "status", "wanted", "reason"), CASES)
def test_where_a_tenant_is_served(
    make_tenant: MakeTenant,
    kuberay: Settings,
    spec: dict[str, Any],
    status: dict[str, Any],
    wanted: set[Compute],
    reason: str | None,
) -> None:
    tenant = make_tenant(spec=spec, status=KEY | status)
    found = refusal(tenant, kuberay)
    assert (set(places(tenant, kuberay)), found.reason if found else None) == (wanted, reason)


def test_without_kuberay_a_dedicated_tenant_is_told(make_tenant: MakeTenant, settings: Settings) -> None:
    tenant = make_tenant(spec=DEDICATED | {"storage": NETWORK}, status=KEY)
    found = refusal(tenant, settings)
    assert found is not None
    assert (found.reason, places(tenant, settings)) == ("KubeRayNotConfigured", frozenset())


def test_a_shared_cluster_on_kuberay_keeps_no_data_without_a_volume(make_tenant: MakeTenant, kuberay: Settings) -> None:
    bare = kuberay.model_copy(update={"ray": Ray.KUBERAY})
    assert places(make_tenant(status=KEY), bare) == frozenset()
    claimed = bare.model_copy(update={"ray_data_claim": "imagint-data"})
    assert places(make_tenant(status=KEY), claimed) == {Compute.SHARED}


def test_a_tenant_without_a_key_or_on_its_way_out_is_served_nowhere(make_tenant: MakeTenant, kuberay: Settings) -> None:
    leaving = {"deletionTimestamp": "2026-11-23T12:00:00Z"}
    shred = {"deletion": {"policy": "Shred"}}
    recorded = {"deletion": {"step": "Drain", "startedAt": "2026-11-23T12:00:01Z"}}
    gone = make_tenant(spec=shred, status=KEY | recorded, **leaving)
    assert places(make_tenant(), kuberay) == places(gone, kuberay) == set()


def test_each_place_has_its_address(make_tenant: MakeTenant, settings: Settings) -> None:
    assert home(make_tenant(spec=DEDICATED)) is Compute.DEDICATED
    assert address("acme", Compute.SHARED, settings) == "http://127.0.0.1:8000"
    assert address("acme", Compute.DEDICATED, settings) == "http://imagint-serve-svc.tenant-acme.svc:8000"
