"""The Serve port on KubeRay: one RayService, server-side applied, whose status is KubeRay's testimony.

It never speaks to Ray itself. A RayService that says anything else than it should is reported as such: the writer then
applies it again.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from imagint_operator import names
from imagint_operator.errors import (
    KubeForbiddenError,
    KubeInvalidError,
    OperatorError,
    RayServiceNotInstalledError,
    RayServiceRefusedError,
    RetryableError,
    ServeUnavailableError,
)
from imagint_operator.kube.client import KubeClient
from imagint_operator.kube.differences import up_to_date
from imagint_operator.kube.resources import CUSTOM_RESOURCE_DEFINITIONS, RAY_SERVICES
from imagint_operator.serve import rayservices
from imagint_operator.serve.applications import Application
from imagint_operator.serve.ports import AppStatus, Deployed
from imagint_operator.serve.rayservices import Place
from imagint_operator.settings import Settings

CRD = f"{RAY_SERVICES.plural}.{RAY_SERVICES.group}"


class KubeRayServe:
    """The adapter of one RayService."""

    def __init__(self, client: KubeClient, place: Place, settings: Settings) -> None:
        self._client = client
        self._place = place
        self._settings = settings
        self._version: tuple[str, str] | None = None
        self._seen: Mapping[str, Deployed] = {}

    async def close(self) -> None:
        """Nothing of its own to give back: the client is the operator's."""

    async def observe(self) -> Mapping[str, Deployed]:
        """See the port."""
        live = await self._get()
        version = (live["metadata"]["uid"], live["metadata"]["resourceVersion"]) if live is not None else None
        if version != self._version:  # what did not change stays the same object: comparing it again costs nothing
            self._seen = {} if live is None else deployed(live, self._place, self._settings)
            self._version = version
        return self._seen

    async def replace(self, applications: Sequence[Application]) -> None:
        """See the port. Without applications there is no RayService, and so no pod."""
        if not applications:
            await self._delete()
            return
        twice = [name for name, times in Counter(app.name for app in applications).items() if times > 1]
        if twice:
            raise RayServiceRefusedError(f"two applications are called {twice[0]}")
        manifest = rayservices.render(self._place, [app.config for app in applications], self._settings)
        _require_room(manifest, len(applications))
        try:
            await self._client.apply(RAY_SERVICES, manifest)
        except (KubeInvalidError, KubeForbiddenError, RetryableError) as error:
            raise await self._explained(error, manifest) from error

    async def _delete(self) -> None:
        live = await self._get()
        if live is not None and not live["metadata"].get("deletionTimestamp"):
            try:
                # Foreground: the object stays to be seen until KubeRay's pods are gone, and only that is drained.
                await self._client.delete(
                    RAY_SERVICES,
                    names.RAY_SERVICE,
                    self._place.namespace,
                    uid=live["metadata"]["uid"],
                    propagation="Foreground",
                )
            except RetryableError as error:
                raise ServeUnavailableError(str(error), after=error.after) from error

    async def _get(self) -> dict[str, Any] | None:
        try:
            return await self._client.get(RAY_SERVICES, names.RAY_SERVICE, self._place.namespace)
        except RetryableError as error:
            raise ServeUnavailableError(str(error), after=error.after) from error

    async def _explained(self, error: OperatorError, manifest: Mapping[str, Any]) -> OperatorError:
        """Why the apiserver did not take it: no such kind, a kind that is too old, or a wrong field."""
        try:
            definition = await self._client.get(CUSTOM_RESOURCE_DEFINITIONS, CRD)
        except (RetryableError, KubeForbiddenError):
            definition = None
            if not isinstance(error, KubeInvalidError):
                return _unavailable(error)
        if isinstance(error, KubeForbiddenError) and _schema(definition) is not None:
            return error
        schema = _schema(definition)
        if schema is None:
            return RayServiceNotInstalledError(
                f"the apiserver serves no {CRD} of version {RAY_SERVICES.version}: install KubeRay 1.4 or newer",
                after=5,
            )
        body = {"apiVersion": "", "kind": "", **manifest}
        unknown = sorted(set(rayservices.undeclared(body["spec"], schema["properties"]["spec"], "spec")))
        if unknown:
            return RayServiceRefusedError(f"this KubeRay's {CRD} does not know {', '.join(unknown)}: use a newer one")
        if isinstance(error, KubeInvalidError):
            return RayServiceRefusedError(f"the apiserver refuses the RayService: {error}")
        return _unavailable(error)


def deployed(live: Mapping[str, Any], place: Place, settings: Settings) -> dict[str, Deployed]:
    """Pure: every application of a RayService as KubeRay reports it.

    Where the object is not what would be rendered from its own applications, it was edited by hand: then nothing is
    reported as told, and the writer applies it again.
    """
    configs = _applications(live)
    if not up_to_date(live, rayservices.render(place, list(configs.values()), settings)):
        configs = {name: {} for name in configs}
    reported, certain = _reported(live)
    leaving = bool(live["metadata"].get("deletionTimestamp"))
    found = {}
    for name in sorted(configs.keys() | reported.keys()):
        status = _status(reported.get(name), certain=certain)
        if leaving or name not in configs:
            status = AppStatus.DELETING
        found[name] = Deployed(name, status, configs.get(name, {}))
    if leaving and not found:  # its pods may still be there
        found[""] = Deployed("", AppStatus.DELETING, {})
    return found


def _applications(live: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    try:
        told = json.loads(live["spec"]["serveConfigV2"])
        return {app["name"]: app for app in told["applications"]}
    except (KeyError, ValueError, TypeError):
        return {}


def _reported(live: Mapping[str, Any]) -> tuple[Mapping[str, str], bool]:
    """Serve's words by application, and whether they are about what the object says now.

    While an upgrade is under way the old cluster answers, and it was not told what is new.
    """
    status = live.get("status") or {}
    seen = status.get("observedGeneration") == live["metadata"].get("generation")
    active, pending = status.get("activeServiceStatus") or {}, status.get("pendingServiceStatus") or {}
    words = {**_words(pending), **_words(active)}
    return words, seen and not pending.get("rayClusterName")


def _words(cluster: Mapping[str, Any]) -> dict[str, str]:
    return {name: app.get("status", "") for name, app in (cluster.get("applicationStatuses") or {}).items()}


def _status(word: str | None, *, certain: bool) -> AppStatus:
    if word is None:
        return AppStatus.NOT_STARTED
    if word == AppStatus.RUNNING and not certain:
        return AppStatus.DEPLOYING
    return AppStatus(word) if word in set(AppStatus) else AppStatus.DEPLOYING


def _require_room(manifest: Mapping[str, Any], count: int) -> None:
    bytes_needed = rayservices.size(manifest)
    if bytes_needed > rayservices.MAXIMUM_BYTES:
        fit = count * rayservices.MAXIMUM_BYTES // bytes_needed
        raise RayServiceRefusedError(
            f"{count} applications make a RayService of {bytes_needed} bytes, and one holds "
            f"{rayservices.MAXIMUM_BYTES} (about {fit} applications): move tenants to compute Dedicated"
        )


def _schema(definition: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    going = definition is not None and definition["metadata"].get("deletionTimestamp")
    versions = definition["spec"]["versions"] if definition and not going else []
    for version in versions:
        if version["name"] == RAY_SERVICES.version and version.get("served"):
            schema: Mapping[str, Any] = version["schema"]["openAPIV3Schema"]
            return schema
    return None


def _unavailable(error: OperatorError) -> ServeUnavailableError:
    return ServeUnavailableError(str(error), after=error.after if isinstance(error, RetryableError) else 0.0)
