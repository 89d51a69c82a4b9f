"""A Tenant that leaves is looked at as the apiserver has it: its end is the one thing that no 409 would stop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from imagint_operator.api.tenants import Tenant
from imagint_operator.kube.caches import Caches
from imagint_operator.kube.client import KubeClient
from imagint_operator.kube.connections import Connection
from imagint_operator.kube.readers import CachedReader
from imagint_operator.kube.resources import TENANTS, Resource
from imagint_operator.tenants.observe import seen

MakeTenant = Callable[..., Tenant]
LEAVING = {"deletionTimestamp": "2026-11-23T11:00:00Z", "uid": "uid-old", "resourceVersion": "7"}
DESTROYING = {"deletion": {"step": "DestroyKey", "startedAt": "2026-11-23T11:00:00Z",
                           "begunAt": "2026-11-23T11:00:01Z"}}  # fmt: skip


class Apiserver(KubeClient):
    """Holds one Tenant, or none, and counts who asks for it."""

    def __init__(self, held: Tenant | None) -> None:
        super().__init__(Connection("http://127.0.0.1:9", None, None, ""))
        self._held = held
        self.asked = 0

    async def get(self, resource: Resource, name: str, namespace: str | None = None) -> dict[str, Any] | None:
        """See the client."""
        self.asked += 1
        return self._held.to_wire() if self._held is not None else None


def looked_at(kept: Tenant, held: Tenant | None) -> tuple[Tenant | None, int]:
    caches = Caches({TENANTS: Tenant}, ())
    caches.own["Tenant"].put(kept.to_wire())
    caches.own["Tenant"].complete = True

    async def look() -> tuple[Tenant | None, int]:
        async with Apiserver(held) as client:
            return await seen(CachedReader(client, caches), kept.name), client.asked

    return asyncio.run(look())


def test_the_successor_of_a_tenant_that_left_is_not_taken_for_it(make_tenant: MakeTenant) -> None:
    """After a takeover a cache may still show the old one at DestroyKey, and the key of that name is the new one's."""
    old = make_tenant(status=DESTROYING, **LEAVING)
    found, _ = looked_at(old, make_tenant(uid="uid-new", resourceVersion="9"))
    assert found is not None
    assert (found.metadata.uid, found.metadata.deletion_timestamp, found.status.deletion) == ("uid-new", None, None)


@pytest.mark.parametrize(
    ("kept", "asked"),
    [
        pytest.param(LEAVING, 1, id="one that leaves is asked for"),
        pytest.param({"resourceVersion": "7"}, 0, id="one that stays is not: what it writes names its version"),
    ],
)
def test_only_one_that_leaves_costs_a_question(make_tenant: MakeTenant, kept: dict[str, Any], asked: int) -> None:
    tenant = make_tenant(**kept)
    assert looked_at(tenant, tenant) == (tenant, asked)


def test_one_that_is_gone_is_gone(make_tenant: MakeTenant) -> None:
    assert looked_at(make_tenant(status=DESTROYING, **LEAVING), None) == (None, 1)
