"""The names that must be the same everywhere: namespaces, labels, accounts, applications. Pure."""

from __future__ import annotations

from collections.abc import Mapping

PLATFORM_NAMESPACE = "imagint-system"
OPERATOR = "imagint-operator"
"""Who keeps an object, as its label says; nobody logs in under this name: the operator acts under the three below."""
CONTROLLER = "imagint-controller"
PROVISIONER = "imagint-provisioner"
SHREDDER = "imagint-shredder"
PROBER = "imagint-prober"
PROJECTOR = "imagint-projector"
DATAPLANE = "imagint-dataplane"

KUBERAY_NAMESPACE = "kuberay-system"
RAY_SERVICE = "imagint"
HANDOVER = "imagint-handover"

PART = "imagint.ai/part"
GPU_PRODUCT = "imagint.ai/gpu-product"
MANAGED_BY = "app.kubernetes.io/managed-by"
TENANT_LABEL = "imagint.ai/tenant"
TENANT_UID = "imagint.ai/tenant-uid"
FINALIZER = "imagint.ai/tenant"

NAMESPACE_PREFIX = "tenant-"


def namespace_of(tenant: str) -> str:
    """The namespace of a tenant; its Vault key has the same name."""
    return NAMESPACE_PREFIX + tenant


def tenant_of(namespace: str) -> str:
    """The tenant of a namespace; empty when it is nobody's."""
    return namespace.removeprefix(NAMESPACE_PREFIX) if namespace.startswith(NAMESPACE_PREFIX) else ""


def labels(tenant: str) -> dict[str, str]:
    """The labels of everything that the operator makes for a tenant."""
    return {MANAGED_BY: OPERATOR, TENANT_LABEL: tenant}


def is_managed(labels_found: Mapping[str, str], tenant: str) -> bool:
    """Whether these labels say that the operator made the object for this tenant."""
    return labels(tenant).items() <= dict(labels_found).items()


def service_account(name: str, namespace: str = PLATFORM_NAMESPACE) -> str:
    """The user name of a ServiceAccount."""
    return f"system:serviceaccount:{namespace}:{name}"


def tenant_group(tenant: str) -> str:
    """The group of the people who run a tenant."""
    return f"imagint:tenant:{tenant}"


def gateway_app(tenant: str) -> str:
    """The Serve application of a tenant's Gateway."""
    return f"{tenant}.gateway"


def generator_app(tenant: str, model: str, revision: str) -> str:
    """The Serve application of one revision of a model."""
    return f"{tenant}.model.{model}.{revision}"
