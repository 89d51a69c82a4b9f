"""A control plane with Vault for the session, shared by the tests that do not break it for good."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from imagint_dev.stack import CONTROL_PLANE, Stack

TENANTS = """
{kind: Namespace, apiVersion: v1, metadata: {name: tenant-acme}}
---
{kind: Namespace, apiVersion: v1, metadata: {name: tenant-globex}}
---
{kind: ServiceAccount, apiVersion: v1, metadata: {name: imagint-dataplane, namespace: tenant-acme}}
---
{kind: ServiceAccount, apiVersion: v1, metadata: {name: imagint-dataplane, namespace: tenant-globex}}
---
{kind: ServiceAccount, apiVersion: v1, metadata: {name: somebody-else, namespace: tenant-acme}}
"""


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    stack = Stack(tmp_path_factory.mktemp("control-plane"))
    stack.up(parts=CONTROL_PLANE)
    try:
        yield stack
    finally:
        stack.down(purge=True)


@pytest.fixture(scope="session")
def tenants(control_plane: Stack) -> Stack:
    """Two tenants' namespaces with their data planes' accounts, and a Vault key each."""
    control_plane.apply(TENANTS)
    operator = control_plane.vault_as("controller", "imagint-system", "imagint-controller")
    for name in ("tenant-acme", "tenant-globex"):
        operator.call("POST", f"transit/keys/{name}", {"type": "aes256-gcm96"})
    return control_plane
