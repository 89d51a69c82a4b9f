"""Writes the status of a custom resource: only when it differs, and only on the object that was seen."""

from __future__ import annotations

from imagint_operator.api.base import ApiModel, Kind
from imagint_operator.kube.client import FIELD_MANAGER, KubeClient
from imagint_operator.kube.resources import Resource


async def write(
    client: KubeClient,
    resource: Resource,
    seen: Kind,
    before: ApiModel,
    after: ApiModel,
    *,
    manager: str = FIELD_MANAGER,
) -> bool:
    """Apply a status, or the part of it that a manager keeps; answers whether anything was written.

    Raises:
        KubeConflictError: the object was deleted or replaced meanwhile.
    """
    if after == before:
        return False
    metadata = {"name": seen.metadata.name, "uid": seen.metadata.uid}
    if seen.metadata.namespace:
        metadata["namespace"] = seen.metadata.namespace
    await client.apply_status(resource, {"metadata": metadata, "status": after.to_wire()}, manager=manager)
    return True
