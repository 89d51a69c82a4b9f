"""The kinds that the operator touches, and their addresses. Pure data; no discovery."""

from __future__ import annotations

from dataclasses import dataclass

from imagint_operator.api.base import GROUP, VERSION


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind of object and where the apiserver serves it."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        """As written in a manifest."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, name: str | None = None, namespace: str | None = None, subresource: str | None = None) -> str:
        """The URL path of the collection, an object, or its subresource."""
        parts = ["/apis", self.group, self.version] if self.group else ["/api", self.version]
        if self.namespaced and namespace is not None:
            parts += ["namespaces", namespace]
        return "/".join([*parts, self.plural, *(part for part in (name, subresource) if part)])


NAMESPACES = Resource("", "v1", "namespaces", "Namespace", namespaced=False)
CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap")
SERVICE_ACCOUNTS = Resource("", "v1", "serviceaccounts", "ServiceAccount")
RESOURCE_QUOTAS = Resource("", "v1", "resourcequotas", "ResourceQuota")
LIMIT_RANGES = Resource("", "v1", "limitranges", "LimitRange")
NETWORK_POLICIES = Resource("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy")
ROLES = Resource("rbac.authorization.k8s.io", "v1", "roles", "Role")
ROLE_BINDINGS = Resource("rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding")
LEASES = Resource("coordination.k8s.io", "v1", "leases", "Lease")
EVENTS = Resource("events.k8s.io", "v1", "events", "Event")

TENANTS = Resource(GROUP, VERSION, "tenants", "Tenant", namespaced=False)
MODEL_DEPLOYMENTS = Resource(GROUP, VERSION, "modeldeployments", "ModelDeployment")
DATA_SUBJECT_REQUESTS = Resource(GROUP, VERSION, "datasubjectrequests", "DataSubjectRequest")
LEGAL_HOLDS = Resource(GROUP, VERSION, "legalholds", "LegalHold")
BREACH_INCIDENTS = Resource(GROUP, VERSION, "breachincidents", "BreachIncident", namespaced=False)
PRIVACY_POLICIES = Resource(GROUP, VERSION, "privacypolicies", "PrivacyPolicy", namespaced=False)
DATA_PROCESSORS = Resource(GROUP, VERSION, "dataprocessors", "DataProcessor", namespaced=False)

WATCHED = (
    TENANTS, MODEL_DEPLOYMENTS, DATA_SUBJECT_REQUESTS, LEGAL_HOLDS, BREACH_INCIDENTS, PRIVACY_POLICIES, DATA_PROCESSORS,
)  # fmt: skip
CHILDREN = (NAMESPACES, RESOURCE_QUOTAS, LIMIT_RANGES, NETWORK_POLICIES, SERVICE_ACCOUNTS, ROLES, ROLE_BINDINGS)
BY_KIND = {
    resource.kind: resource
    for resource in (
        NAMESPACES, CONFIG_MAPS, SERVICE_ACCOUNTS, RESOURCE_QUOTAS, LIMIT_RANGES, NETWORK_POLICIES, ROLES,
        ROLE_BINDINGS, EVENTS, *WATCHED,
    )
}  # fmt: skip


@dataclass(frozen=True, slots=True, order=True)
class ObjectKey:
    """Which object: its kind, namespace (empty for cluster-wide kinds) and name."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.namespace}/{self.name}" if self.namespace else f"{self.kind}/{self.name}"
