"""Pure rendering of a set of Serve applications into one KubeRay RayService.

Everything follows from the applications and the settings, so that the object can be rendered anew from what it says
itself, and an edit by hand is seen. Nothing secret is rendered: a RayService is readable to whoever may list it.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from imagint_operator import names
from imagint_operator.kube.differences import stamped
from imagint_operator.settings import Settings

JsonObject = dict[str, Any]
PORT = 8000
GPU = "nvidia.com/gpu"
PRODUCT_LABEL = "nvidia.com/gpu.product"
DEFAULT_CPUS = 1.0
HEAD = {"cpu": "1", "memory": "4Gi"}
AUTOSCALER = {"cpu": "200m", "memory": "512Mi"}
VAULT_AUDIENCE = "vault"
TOKEN_SECONDS = 3600
MAXIMUM_BYTES = 1_000_000  # etcd takes 1.5 MiB a request, and KubeRay adds its status to the object


@dataclass(frozen=True, slots=True)
class Place:
    """Where a RayService lies, and whose it is: nobody's when tenants share it."""

    namespace: str
    tenant: str | None = None


def render(place: Place, applications: Sequence[Mapping[str, Any]], settings: Settings) -> JsonObject:
    """The RayService of these applications, with the digest of its own content."""
    metadata: JsonObject = {"name": names.RAY_SERVICE, "namespace": place.namespace, "labels": _labels(place)}
    spec: JsonObject = {
        "serveConfigV2": serve_config(applications),
        "suspend": False,
        # Callers reach workers only: the head answers for the whole cluster and runs no Gateway.
        "excludeHeadPodFromServeSvc": True,
        "upgradeStrategy": _upgrade(settings),
        "rayClusterConfig": _cluster(place, applications, settings),
    }
    return stamped({"metadata": metadata, "spec": spec})


def serve_config(applications: Sequence[Mapping[str, Any]]) -> str:
    """The Serve configuration as KubeRay takes it. JSON is YAML, and the shortest of it."""
    config = {
        "proxy_location": "EveryNode",
        "http_options": {"host": "0.0.0.0", "port": PORT},  # noqa: S104 - inside the pod; the walls are NetworkPolicies
        "logging_config": {"enable_access_log": False},
        "applications": [dict(application) for application in applications],
    }
    return json.dumps(config, separators=(",", ":"), sort_keys=True)


def size(manifest: Mapping[str, Any]) -> int:
    """How many bytes the apiserver will be sent."""
    return len(json.dumps(manifest, separators=(",", ":")).encode())


def undeclared(value: object, schema: Mapping[str, Any], path: str = "") -> list[str]:
    """The fields that a schema does not know, by their paths."""
    if isinstance(value, Mapping):
        known, rest = schema.get("properties", {}), schema.get("additionalProperties")
        if schema.get("x-kubernetes-preserve-unknown-fields") or (not known and not rest):
            return []
        found: list[str] = []
        for key, inside in value.items():
            here = f"{path}.{key}".lstrip(".")
            if key in known:
                found += undeclared(inside, known[key], here)
            elif isinstance(rest, Mapping):
                found += undeclared(inside, rest, here)
            elif not rest:
                found.append(here)
        return found
    if isinstance(value, list | tuple):
        return [name for item in value for name in undeclared(item, schema.get("items", {}), f"{path}[]")]
    return []


def _labels(place: Place) -> dict[str, str]:
    if place.tenant is not None:
        return names.labels(place.tenant)
    return {names.MANAGED_BY: names.OPERATOR}


def _upgrade(settings: Settings) -> JsonObject:
    """A changed cluster is a new one beside the old one, which serves until the new one does."""
    if settings.ray_gateway_class is None:
        return {"type": "NewCluster"}
    options = {
        "gatewayClassName": settings.ray_gateway_class,
        "stepSizePercent": 20,
        "intervalSeconds": 30,
        "maxSurgePercent": 50,
    }
    return {"type": "NewClusterWithIncrementalUpgrade", "clusterUpgradeOptions": options}


def _cluster(place: Place, applications: Sequence[Mapping[str, Any]], settings: Settings) -> JsonObject:
    cluster: JsonObject = {
        "enableInTreeAutoscaling": True,
        "autoscalerOptions": {
            "version": "v2",
            "upscalingMode": "Default",
            "idleTimeoutSeconds": 120,
            "securityContext": _container_security(),
            "resources": {"requests": AUTOSCALER, "limits": AUTOSCALER},
        },
        "headGroupSpec": {
            "rayStartParams": {"num-cpus": "0", "dashboard-host": "0.0.0.0"},  # noqa: S104 - KubeRay calls it
            "template": _head(place, settings),
        },
        "workerGroupSpecs": _groups(place, applications, settings),
    }
    if settings.ray_version is not None:
        cluster["rayVersion"] = settings.ray_version
    if settings.ray_authentication:
        cluster["authOptions"] = {"mode": "token"}
    if settings.ray_mutual_tls:
        cluster["tlsOptions"] = {"enabled": True}
    return cluster


def _groups(place: Place, applications: Sequence[Mapping[str, Any]], settings: Settings) -> list[JsonObject]:
    """One group of workers for CPUs, and one for each kind and number of GPUs; each from none to what is needed."""
    cpus = 0.0
    gpus: dict[tuple[int, str], int] = {}
    for options, replicas in _replicas(applications):
        count = math.ceil(options.get("num_gpus", 0))
        if count:
            product = (options.get("label_selector") or {}).get(names.GPU_PRODUCT, "")
            gpus[count, product] = gpus.get((count, product), 0) + replicas
        else:
            cpus += options.get("num_cpus", DEFAULT_CPUS) * replicas
    # One more than needed: a replica that is replaced runs beside its successor.
    made = [_group("cpu", math.ceil(cpus / settings.ray_worker_cpus) + 1, _worker(place, settings))]
    for (count, product), most in sorted(gpus.items()):
        group = _group(_gpu_name(count, product), most + 1, _worker(place, settings, count, product))
        if product:
            group["labels"] = {names.GPU_PRODUCT: product}
        made.append(group)
    return made


def _group(name: str, most: int, template: JsonObject) -> JsonObject:
    return {
        "groupName": name,
        "replicas": 0,
        "minReplicas": 0,
        "maxReplicas": most,
        "rayStartParams": {},
        "template": template,
    }


def _replicas(applications: Iterable[Mapping[str, Any]]) -> Iterable[tuple[Mapping[str, Any], int]]:
    for application in applications:
        for deployment in application.get("deployments", []):
            scaling = deployment.get("autoscaling_config") or {}
            most = scaling.get("max_replicas") or deployment.get("num_replicas") or 1
            yield deployment.get("ray_actor_options") or {}, most


def _gpu_name(count: int, product: str) -> str:
    """A name that KubeRay takes: short, and different for different products."""
    plain = re.sub(r"[^a-z0-9]+", "-", product.lower()).strip("-")
    if not plain:
        return f"gpu-{count}"
    return f"gpu-{count}-{plain[:20].strip('-')}-{hashlib.sha256(product.encode()).hexdigest()[:6]}"


def _head(place: Place, settings: Settings) -> JsonObject:
    """The head runs no application. KubeRay gives it an account of its own: its autoscaler asks the apiserver."""
    container = _container("ray-head", settings, {"requests": HEAD, "limits": HEAD})
    return _pod(place, {"containers": [container]})


def _worker(place: Place, settings: Settings, gpus: int = 0, product: str = "") -> JsonObject:
    needs: JsonObject = {"cpu": str(settings.ray_worker_cpus), "memory": settings.ray_worker_memory}
    if gpus:
        needs[GPU] = str(gpus)
    container = _container("ray-worker", settings, {"requests": needs, "limits": needs})
    volumes, mounts = _volumes(place, settings)
    if mounts:
        container["volumeMounts"] = mounts
    spec: JsonObject = {"containers": [container], "automountServiceAccountToken": False}
    if volumes:
        spec["volumes"] = volumes
    if place.tenant is not None:
        spec["serviceAccountName"] = names.DATAPLANE
    if gpus:
        spec["tolerations"] = [{"key": GPU, "operator": "Exists", "effect": "NoSchedule"}]
    if product:
        spec["nodeSelector"] = {PRODUCT_LABEL: product}
    return _pod(place, spec)


def _volumes(place: Place, settings: Settings) -> tuple[list[JsonObject], list[JsonObject]]:
    """What a Gateway reads from files: handed over by kubelet where the cluster is one tenant's, else by a claim."""
    if place.tenant is not None:
        token = {"path": "vault-token", "audience": VAULT_AUDIENCE, "expirationSeconds": TOKEN_SECONDS}
        keys = {"name": names.HANDOVER, "optional": True, "items": [{"key": "api-keys.json", "path": "api-keys.json"}]}
        platform = {"name": names.HANDOVER, "optional": True}
        platform_items = [{"key": "platform.json", "path": "platform.json"}]
        sources = [{"serviceAccountToken": token}, {"configMap": keys}]
        return (
            [
                {"name": "platform", "configMap": {**platform, "items": platform_items}},
                {"name": "handover", "projected": {"sources": sources}},
            ],
            [
                {"name": "platform", "mountPath": str(settings.handover), "readOnly": True},
                {"name": "handover", "mountPath": f"{settings.handover}/{place.tenant}", "readOnly": True},
            ],
        )
    if settings.ray_data_claim is None:
        return [], []
    folders = {"handover": settings.handover, "data": settings.data_root, "copies": settings.copies_root}
    mounts = [{"name": "data", "mountPath": str(path), "subPath": part} for part, path in folders.items()]
    return [{"name": "data", "persistentVolumeClaim": {"claimName": settings.ray_data_claim}}], mounts


def _pod(place: Place, spec: JsonObject) -> JsonObject:
    labels = {names.PART: "ray"} | ({names.TENANT_LABEL: place.tenant} if place.tenant else {})
    security = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    return {"metadata": {"labels": labels}, "spec": {"securityContext": security, **spec}}


def _container(name: str, settings: Settings, resources: JsonObject) -> JsonObject:
    return {
        "name": name,
        "image": settings.ray_image,
        "resources": resources,
        "securityContext": _container_security(),
    }


def _container_security() -> JsonObject:
    return {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
