"""Pure: on which Ray cluster a tenant is served, where it is to be served, and why that may not be.

A move starts the tenant at the new place, waits until its Gateway runs there, and only then stops the old one. Both may
serve for a moment because every change of the key tree is a compare-and-swap in one database: so only a tenant whose
database and objects are reached over the network may move, and only such a one may have a cluster of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

from imagint_operator import names
from imagint_operator.api.tenants import Compute, Tenant
from imagint_operator.serve.applications import is_served
from imagint_operator.settings import Ray, Settings

_LOCAL = ("sqlite", "file:")


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a compute cannot be carried out, as a condition says it."""

    reason: str
    message: str


def home(tenant: Tenant) -> Compute:
    """Where the tenant is served now; where it is to be served when it never was."""
    before = Compute.SHARED if tenant.status.path else None  # recorded by a version that knew no other
    return tenant.status.compute or before or tenant.spec.compute


def refusal(tenant: Tenant, settings: Settings) -> Refusal | None:
    """Why the compute that the Tenant asks for is not carried out."""
    if tenant.spec.compute is Compute.DEDICATED and settings.ray_image is None:
        return Refusal(
            "KubeRayNotConfigured",
            "compute Dedicated needs KubeRay, and the operator was not told of a Ray image (IMAGINT_RAY_IMAGE)",
        )
    moves = home(tenant) is not tenant.spec.compute
    bare = settings.ray is Ray.KUBERAY and settings.ray_data_claim is None
    if (tenant.spec.compute is Compute.DEDICATED or moves or bare) and (local := _local(tenant)):
        return Refusal(
            "StorageNotShared",
            f"{local} would lie on the disk of one Ray cluster and be left behind: name storage that is reached over "
            "the network (spec.storage can only be given when the Tenant is made)",
        )
    return None


def places(tenant: Tenant, settings: Settings) -> frozenset[Compute]:
    """Where the tenant's applications run: at its home, and at the new place while it moves."""
    if not is_served(tenant):
        return frozenset()
    now, then = home(tenant), tenant.spec.compute
    if refusal(tenant, settings) is None:
        return frozenset({now, then})
    return frozenset() if now is then else frozenset({now})


def address(tenant: str, compute: Compute, settings: Settings) -> str:
    """The address of the Serve that holds the tenant's Gateway, without the tenant's path."""
    if compute is Compute.SHARED:
        return settings.serve_url.rstrip("/")
    known = settings.dedicated_serve_url.replace("{service}", f"{names.RAY_SERVICE}-serve-svc")
    return known.replace("{namespace}", names.namespace_of(tenant)).rstrip("/")


def _local(tenant: Tenant) -> str:
    """Which parts of the tenant's data lie on a local disk."""
    storage = tenant.spec.storage
    parts = {
        "the database": storage.database if storage else None,
        "the objects": storage.objects if storage else None,
        **{f"copy {at} of the key tree": url for at, url in enumerate(storage.tree_copies if storage else (), 1)},
    }
    if storage is None or not storage.tree_copies:
        parts["the copy of the key tree"] = None
    return ", ".join(part for part, url in parts.items() if url is None or url.startswith(_LOCAL))
