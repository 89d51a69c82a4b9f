"""Writes the status of a custom resource: only when it differs, and only on the object that was seen."""

from __future__ import annotations

from typing import TypeVar

from imagint_operator.api.base import ApiModel, Kind
from imagint_operator.kube.client import FIELD_MANAGER, KubeClient
from imagint_operator.kube.resources import Resource

K = TypeVar("K", bound=Kind)


async def write(
    client: KubeClient,
    resource: Resource,
    seen: Kind,
    before: ApiModel,
    after: ApiModel,
    *,
    manager: str = FIELD_MANAGER,
) -> str:
    """Apply a status, or the part of it that a manager keeps; answers the new version, empty if nothing was written.

    Names the version that was seen, so that whoever looked at an older one cannot undo what was recorded since.

    Raises:
        KubeConflictError: the object was changed, deleted or replaced meanwhile.
    """
    if after == before:
        return ""
    metadata = {"name": seen.metadata.name, "uid": seen.metadata.uid}
    if seen.metadata.namespace:
        metadata["namespace"] = seen.metadata.namespace
    if seen.metadata.resource_version:
        metadata["resourceVersion"] = seen.metadata.resource_version
    answer = await client.apply_status(resource, {"metadata": metadata, "status": after.to_wire()}, manager=manager)
    return str(answer["metadata"]["resourceVersion"])


def at_version(seen: K, version: str) -> K:
    """The object as it is known after a write of ours."""
    if not version:
        return seen
    metadata = seen.metadata.model_copy(update={"resource_version": version})
    return seen.model_copy(update={"metadata": metadata})
