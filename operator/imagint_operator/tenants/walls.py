"""Pure builders of what a tenant's namespace consists of: the walls around it and the rights inside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from imagint_operator import names
from imagint_operator.api.tenants import Tenant
from imagint_operator.kube.differences import stamped
from imagint_operator.kube.resources import (
    LIMIT_RANGES,
    NAMESPACES,
    NETWORK_POLICIES,
    RESOURCE_QUOTAS,
    ROLE_BINDINGS,
    ROLES,
    SERVICE_ACCOUNTS,
    ObjectKey,
    Resource,
)

Manifest = Mapping[str, Any]
RBAC = "rbac.authorization.k8s.io"
TOKEN_PROJECTOR = "imagint-token-projector"  # noqa: S105 - the name of a ClusterRole
TENANT_EDITOR = "imagint-tenant-editor"
ARCHIVIST = "imagint-archivist"
API_KEYS = "imagint-api-keys"
PODS = 200
RAY_NODE = {"ray.io/is-ray-node": "yes"}
"""KubeRay's label on heads and workers; a tenant's people make no pods."""
BACKEND = {"imagint.ai/backend": "true"}
"""An administrator's label on namespaces with Vault, databases or object stores; tenants label no namespace."""


def namespace(tenant: Tenant) -> dict[str, Any]:
    """The namespace, under the strictest pod security."""
    security = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "audit", "warn")}
    metadata = {
        "name": names.namespace_of(tenant.name),
        "labels": names.labels(tenant.name) | security,
        "annotations": {names.TENANT_UID: tenant.metadata.uid},
    }
    return stamped({"metadata": metadata})


def contents(tenant: Tenant) -> dict[ObjectKey, dict[str, Any]]:
    """Everything inside the namespace, by its key."""
    made = [
        (RESOURCE_QUOTAS, _quota(tenant)),
        (LIMIT_RANGES, _limits(tenant)),
        (NETWORK_POLICIES, _default_deny(tenant)),
        (NETWORK_POLICIES, _allow_dns(tenant)),
        (NETWORK_POLICIES, _allow_platform(tenant)),
        (NETWORK_POLICIES, _allow_ray(tenant)),
        (SERVICE_ACCOUNTS, _dataplane(tenant)),
        (ROLES, _api_keys(tenant)),
        (ROLE_BINDINGS, _projector(tenant, API_KEYS, "Role")),
        (ROLE_BINDINGS, _projector(tenant, TOKEN_PROJECTOR, "ClusterRole")),
        (ROLE_BINDINGS, _editors(tenant)),
    ]
    return {_key(resource, manifest): stamped(manifest) for resource, manifest in made}


def _key(resource: Resource, manifest: Manifest) -> ObjectKey:
    return ObjectKey(resource.kind, manifest["metadata"]["namespace"], manifest["metadata"]["name"])


def _metadata(tenant: Tenant, name: str) -> dict[str, Any]:
    return {"name": name, "namespace": names.namespace_of(tenant.name), "labels": names.labels(tenant.name)}


def _quota(tenant: Tenant) -> dict[str, Any]:
    quotas = tenant.spec.quotas
    hard = {
        "pods": str(PODS),
        "requests.storage": quotas.storage,
        "requests.nvidia.com/gpu": str(quotas.gpu_count),
        "services.loadbalancers": "0",
        "services.nodeports": "0",
    }
    return {"metadata": _metadata(tenant, "imagint"), "spec": {"hard": hard}}


def _limits(tenant: Tenant) -> dict[str, Any]:
    container = {
        "type": "Container",
        "default": {"cpu": "1", "memory": "2Gi"},
        "defaultRequest": {"cpu": "100m", "memory": "256Mi"},
    }
    return {"metadata": _metadata(tenant, "imagint"), "spec": {"limits": [container]}}


def _default_deny(tenant: Tenant) -> dict[str, Any]:
    spec = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    return {"metadata": _metadata(tenant, "imagint-default-deny"), "spec": spec}


def _allow_dns(tenant: Tenant) -> dict[str, Any]:
    resolver = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
        "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
    }
    # A policy sees the pod's port, not the Service's: a CoreDNS without root listens above 1024, under these names.
    doors = (("UDP", 53), ("TCP", 53), ("UDP", "dns"), ("TCP", "dns-tcp"))
    ports = [{"protocol": protocol, "port": port} for protocol, port in doors]
    spec = {"podSelector": {}, "policyTypes": ["Egress"], "egress": [{"to": [resolver], "ports": ports}]}
    return {"metadata": _metadata(tenant, "imagint-allow-dns"), "spec": spec}


def _allow_platform(tenant: Tenant) -> dict[str, Any]:
    platform = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": names.PLATFORM_NAMESPACE}}}
    spec = {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{"from": [platform]}]}
    return {"metadata": _metadata(tenant, "imagint-allow-platform"), "spec": spec}


def _allow_ray(tenant: Tenant) -> dict[str, Any]:
    """The nodes of the tenant's own Ray cluster reach each other, and Vault and the stores on the platform's side;
    KubeRay reaches them."""
    nodes = {"podSelector": {"matchLabels": RAY_NODE}}
    kuberay = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": names.KUBERAY_NAMESPACE}}}
    backends = [
        {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": names.PLATFORM_NAMESPACE}}},
        {"namespaceSelector": {"matchLabels": BACKEND}},
    ]
    spec = {
        "podSelector": {"matchLabels": RAY_NODE},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [{"from": [nodes, kuberay]}],
        "egress": [{"to": [nodes, *backends]}],
    }
    return {"metadata": _metadata(tenant, "imagint-allow-ray"), "spec": spec}


def _dataplane(tenant: Tenant) -> dict[str, Any]:
    return {"metadata": _metadata(tenant, names.DATAPLANE), "automountServiceAccountToken": False}


def _api_keys(tenant: Tenant) -> dict[str, Any]:
    """Exactly the Secrets that the Tenant names. Without names there is no rule: an empty list would mean all."""
    secrets = sorted({key.secret_ref.name for key in tenant.spec.api_keys})
    rule = {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"], "resourceNames": secrets}
    return {"metadata": _metadata(tenant, API_KEYS), "rules": [rule] if secrets else []}


def _projector(tenant: Tenant, role: str, kind: str) -> dict[str, Any]:
    account = {"kind": "ServiceAccount", "name": names.PROJECTOR, "namespace": names.PLATFORM_NAMESPACE}
    return _binding(tenant, role, kind, account)


def archivist(tenant: Tenant) -> dict[str, Any]:
    """The controller's right to list the ConfigMaps of this namespace, given only when the namespace is about to go."""
    account = {"kind": "ServiceAccount", "name": names.CONTROLLER, "namespace": names.PLATFORM_NAMESPACE}
    return stamped(_binding(tenant, ARCHIVIST, "ClusterRole", account))


def _editors(tenant: Tenant) -> dict[str, Any]:
    group = {"kind": "Group", "name": names.tenant_group(tenant.name), "apiGroup": RBAC}
    return _binding(tenant, TENANT_EDITOR, "ClusterRole", group)


def _binding(tenant: Tenant, role: str, kind: str, subject: dict[str, Any]) -> dict[str, Any]:
    reference = {"apiGroup": RBAC, "kind": kind, "name": role}
    return {"metadata": _metadata(tenant, role), "roleRef": reference, "subjects": [subject]}


def resource_of(key: ObjectKey) -> Resource:
    """The address of one of the namespace's kinds."""
    return _BY_KIND[key.kind]


_BY_KIND = {
    resource.kind: resource
    for resource in (
        NAMESPACES, RESOURCE_QUOTAS, LIMIT_RANGES, NETWORK_POLICIES, SERVICE_ACCOUNTS, ROLES, ROLE_BINDINGS
    )
}  # fmt: skip
