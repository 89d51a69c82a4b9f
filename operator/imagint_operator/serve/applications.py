"""Pure rendering of Tenants and ModelDeployments into Serve applications.

Serve shows arguments and settings to whoever may call its REST API: nothing secret is ever rendered.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from imagint_operator import names
from imagint_operator.api.models import AcceleratorType, ModelDeployment, SourceType
from imagint_operator.api.tenants import Compute, DeletionPolicy, Tenant, TenantState
from imagint_operator.kube.differences import digest
from imagint_operator.kube.resources import MODEL_DEPLOYMENTS, TENANTS, ObjectKey
from imagint_operator.settings import Settings

GATEWAY_IMPORT = "imagint_serving.app:gateway"
GENERATOR_IMPORT = "imagint_serving.app:generator"
CPU_SHARE = 0.5
DEFAULT_STEPS = 12
BUNDLED_SIZE = "32x32"
DEFAULT_SIZE = "512x512"


@dataclass(frozen=True)
class Application:
    """One Serve application, and the object that asks for it."""

    name: str
    config: Mapping[str, Any]
    source: ObjectKey
    generation: int

    @functools.cached_property
    def digest(self) -> str:
        """A digest of everything that Serve is told."""
        return digest(self.config)


def render(tenants: Iterable[Tenant], models: Iterable[ModelDeployment], settings: Settings) -> tuple[Application, ...]:
    """The full set of applications, in the order of their names."""
    served = {names.namespace_of(tenant.name): tenant for tenant in tenants if is_served(tenant)}
    theirs: dict[str, list[ModelDeployment]] = {namespace: [] for namespace in served}
    for model in models:
        namespace = model.metadata.namespace or ""
        if namespace in theirs and model.metadata.deletion_timestamp is None:
            theirs[namespace].append(model)
    applications = [gateway(tenant, theirs[namespace], settings) for namespace, tenant in served.items()]
    applications += [
        generator(served[namespace], model, settings) for namespace in served for model in theirs[namespace]
    ]
    return tuple(sorted(applications, key=lambda application: application.name))


def is_served(tenant: Tenant) -> bool:
    """Whether the tenant's applications run: its walls and key stand, and it is not on its way out.

    A deleted tenant runs until its deletion is recorded: the prober takes its last root from the running Gateway.
    """
    deletion = tenant.status.deletion
    begun = deletion is not None and deletion.begun_at is not None
    leaving = begun or (deletion is not None and tenant.spec.deletion.policy is DeletionPolicy.SHRED)
    return tenant.spec.compute is Compute.SHARED and tenant.status.key is not None and not leaving


def gateway(tenant: Tenant, models: Iterable[ModelDeployment], settings: Settings) -> Application:
    """The Gateway of one tenant. Its models, limits and suspension change while it runs."""
    name, namespace = tenant.name, names.namespace_of(tenant.name)
    arguments = {
        "tenant": name,
        "namespace": namespace,
        "handover": str(settings.handover / name),
        "platform": str(settings.handover / "platform.json"),
        "vault": {
            "address": settings.vault_addr,
            "mount": "transit",
            "auth_mount": "kubernetes",
            "role": "dataplane",
            "key": namespace,
        },
        "storage": _storage(tenant, settings),
        "cache_seconds": settings.cache_seconds,
    }
    live = {
        "models": {model.name: _model(name, model) for model in sorted(models, key=lambda model: model.name)},
        "suspended": tenant.spec.state is TenantState.SUSPENDED,
        "limits": {
            "requests_per_minute": tenant.spec.quotas.requests_per_minute,
            "images_per_day": tenant.spec.quotas.images_per_day,
        },
    }
    config = {
        "name": names.gateway_app(name),
        "route_prefix": f"/{name}",
        "import_path": GATEWAY_IMPORT,
        "args": arguments,
        "deployments": [{"name": "Gateway", "user_config": live}],
    }
    key = ObjectKey(TENANTS.kind, "", name)
    return Application(names.gateway_app(name), config, key, tenant.metadata.generation)


def generator(tenant: Tenant, model: ModelDeployment, settings: Settings) -> Application:
    """The Generator of one model."""
    spec = model.spec
    devices = {AcceleratorType.AUTO: "auto", AcceleratorType.CPU: "cpu", AcceleratorType.GPU: "cuda"}
    options: dict[str, Any] = {"num_cpus": CPU_SHARE}
    if spec.accelerator.type is AcceleratorType.GPU:
        options["num_gpus"] = spec.accelerator.count
    deployment: dict[str, Any] = {"name": "Generator", "ray_actor_options": options}
    if spec.replicas.min == spec.replicas.max:
        deployment["num_replicas"] = spec.replicas.max
    else:
        deployment["autoscaling_config"] = {"min_replicas": spec.replicas.min, "max_replicas": spec.replicas.max}
    name = names.generator_app(tenant.name, model.name)
    config = {
        "name": name,
        "route_prefix": None,
        "import_path": GENERATOR_IMPORT,
        "args": {
            "tenant": tenant.name,
            "model": model.name,
            "source": _source(model),
            "model_roots": [f"{settings.models_root}/{model.metadata.namespace}", f"{settings.models_root}/shared"],
            "dtype": spec.dtype.value.lower(),
            "device": devices[spec.accelerator.type],
            "batching": {"max_size": spec.batching.max_size, "wait_ms": spec.batching.wait_milliseconds},
        },
        "deployments": [deployment],
    }
    key = ObjectKey(MODEL_DEPLOYMENTS.kind, model.metadata.namespace or "", model.name)
    return Application(name, config, key, model.metadata.generation)


def _storage(tenant: Tenant, settings: Settings) -> dict[str, Any]:
    """Where the tenant's data lies by default: below its uid, so that a tenant made anew under an old name, with a new
    key, never meets the old one's unreadable tree."""
    own = tenant.spec.storage
    incarnation = f"{tenant.name}/{tenant.metadata.uid}".rstrip("/")
    place = settings.data_root / incarnation
    return {
        "database": (own and own.database) or f"sqlite:///{place}/records.db",
        "objects": (own and own.objects) or f"file://{place}/objects",
        "tree_copies": list((own and own.tree_copies) or (f"file://{settings.copies_root / incarnation}",)),
    }


def _model(tenant: str, model: ModelDeployment) -> dict[str, Any]:
    spec = model.spec
    bundled = spec.source.type is SourceType.BUNDLED
    return {
        "app": names.generator_app(tenant, model.name),
        "max_pixels": spec.limits.pixels,
        "max_steps": spec.limits.steps,
        "default_steps": spec.defaults.steps or min(DEFAULT_STEPS, spec.limits.steps),
        "default_size": spec.defaults.size or (BUNDLED_SIZE if bundled else DEFAULT_SIZE),
        "max_n": spec.limits.images_per_request,
    }


def _source(model: ModelDeployment) -> dict[str, Any]:
    return model.spec.source.to_wire()
