"""What the operator renders is what the data plane reads: neither imports the other, so this test reads both."""

from __future__ import annotations

import json
from pathlib import PurePosixPath
from typing import Any

import pytest

from imagint_operator.api.models import ModelDeployment, ModelDeploymentStatus
from imagint_operator.api.tenants import Compute, Tenant
from imagint_operator.dataplane.answers import ModelTrial
from imagint_operator.models.plan import trial
from imagint_operator.serve.applications import gateway, generator, render
from imagint_operator.serve.places import address
from imagint_operator.serve.rayservices import Place
from imagint_operator.serve.rayservices import render as ray_service
from imagint_operator.serve.revisions import revision_of, template_of
from imagint_operator.settings import from_environment
from imagint_serving.config import GatewayConfig, GatewaySettings, GeneratorConfig
from imagint_serving.gateway.trials import TrialBody
from imagint_serving.prober.gateways import addresses
from imagint_serving.projector import apiserver, handovers

ENVIRONMENT = {
    "IMAGINT_KUBECONFIG": "/k", "IMAGINT_PROVISIONER_KUBECONFIG": "/k", "IMAGINT_SHREDDER_KUBECONFIG": "/k",
    "IMAGINT_SHREDDER_VAULT_TOKEN_FILE": "/t", "IMAGINT_VAULT_ADDR": "http://127.0.0.1:8200",
    "IMAGINT_VAULT_TOKEN_FILE": "/t",
    "IMAGINT_RAY_DASHBOARD": "http://r", "IMAGINT_RAY_TOKEN_FILE": "/t", "IMAGINT_SERVE_URL": "http://s",
    "IMAGINT_PROBER_URL": "http://p", "IMAGINT_DATAPLANE_TOKEN_FILE": "/t", "IMAGINT_PROBER_TOKEN_FILE": "/t",
    "IMAGINT_HANDOVER": "/h", "IMAGINT_DATA_ROOT": "/d", "IMAGINT_COPIES_ROOT": "/c",
}  # fmt: skip
TENANT = Tenant.model_validate({"metadata": {"name": "acme"}, "spec": {"residency": {"region": "eu"}}})


def model(**spec: Any) -> ModelDeployment:
    source = {"source": {"type": "Bundled", "name": "shapes"}}
    metadata = {"name": "shapes", "namespace": "tenant-acme"}
    return ModelDeployment.model_validate({"metadata": metadata, "spec": source | spec})


MODELS = [
    pytest.param(model(), id="bundled"),
    pytest.param(model(source={"type": "Path", "path": "/models/x"}), id="a folder"),
    pytest.param(model(source={"type": "Hub", "repository": "a/b", "revision": "main"}), id="a repository"),
    pytest.param(model(dtype="BFloat16", accelerator={"type": "GPU"}, replicas={"min": 0, "max": 3}), id="on a GPU"),
    pytest.param(model(defaults={"size": "64x64", "steps": 3}, batching={"maxSize": 64}), id="with defaults"),
]


@pytest.mark.parametrize("deployed", MODELS)
def test_the_generator_reads_its_arguments(deployed: ModelDeployment) -> None:
    template = template_of(deployed.spec)
    rendered = generator(TENANT, deployed, revision_of(template), template, from_environment(ENVIRONMENT)).config
    assert GeneratorConfig.model_validate(rendered["args"]).model == "shapes"


@pytest.mark.parametrize("deployed", MODELS)
def test_the_gateway_reads_its_arguments_and_settings(deployed: ModelDeployment) -> None:
    rendered = gateway(TENANT, [deployed], from_environment(ENVIRONMENT)).config
    assert GatewayConfig.model_validate(rendered["args"]).namespace == "tenant-acme"
    (deployment,) = rendered["deployments"]
    settings = GatewaySettings.model_validate(deployment["user_config"])
    assert (settings.models["shapes"].app, settings.models["shapes"].candidate) == (None, None)


def test_the_gateway_reads_where_it_finds_a_candidate() -> None:
    began = {"began": "2026-11-23T12:00:00Z", "at": "2026-11-23T12:00:00Z"}
    made = model()
    candidate = {"revision": "ffff0000", "gate": "g", "template": {"source": made.spec.source}, **began}
    status = ModelDeploymentStatus.model_validate({"rollout": {"candidate": candidate}})
    rendered = gateway(TENANT, [made.model_copy(update={"status": status})], from_environment(ENVIRONMENT)).config
    settings = GatewaySettings.model_validate(rendered["deployments"][0]["user_config"])
    assert settings.models["shapes"].candidate == "acme.model.shapes.ffff0000"


PROMPTS = [{"prompt": "a", "hash": "0" * 16, "size": "64x64", "steps": 2, "seed": 7}, {"prompt": "b", "hash": "f" * 16}]


@pytest.mark.parametrize("kind", ["Shapes", "Golden", "Picture"])
def test_the_gateway_reads_what_is_to_be_tried(kind: str) -> None:
    asked = model(rollout={"probe": {"type": kind, "prompts": PROMPTS, "maxDistance": 3}})
    body = TrialBody.model_validate(trial(asked, "acme.model.shapes.ffff0000"))
    assert (body.kind.value, len(body.prompts)) == (kind.lower(), 0 if kind == "Shapes" else 2)


def test_the_operator_reads_what_came_of_it() -> None:
    assert set(ModelTrial.model_fields) == {"ok", "seconds", "pictures", "right", "hashes"}


NETWORK = {"database": "postgresql://db/acme", "objects": "s3://acme", "treeCopies": ["s3://copies/acme"]}


def dedicated() -> tuple[GatewayConfig, dict[str, Any]]:
    """What the Gateway of a Dedicated tenant is told, and the pod that it runs in."""
    spec = {"residency": {"region": "eu"}, "compute": "Dedicated", "storage": NETWORK}
    key = {"name": "tenant-acme", "version": 1}
    tenant = Tenant.model_validate({"metadata": {"name": "acme"}, "spec": spec, "status": {"key": key}})
    settings = from_environment({**ENVIRONMENT, "IMAGINT_RAY_IMAGE": "registry.example/imagint:1"})
    applications = [application.config for application in render([tenant], [], settings)]
    made = ray_service(Place("tenant-acme", "acme"), applications, settings)["spec"]
    (served,) = json.loads(made["serveConfigV2"])["applications"]
    template = made["rayClusterConfig"]["workerGroupSpecs"][0]["template"]["spec"]
    return GatewayConfig.model_validate(served["args"]), template


def test_a_dedicated_gateway_finds_every_file_it_is_told_of_in_its_pod() -> None:
    config, pod = dedicated()
    (container,) = pod["containers"]
    mounts = {mount["name"]: PurePosixPath(mount["mountPath"]) for mount in container["volumeMounts"]}
    found: dict[PurePosixPath, str] = {}
    for volume in pod["volumes"]:
        sources = volume.get("projected", {}).get("sources") or [{"configMap": volume.get("configMap")}]
        for source in sources:
            if token := source.get("serviceAccountToken"):
                found[mounts[volume["name"]] / token["path"]] = token["audience"]
            else:
                config_map = source["configMap"]
                for item in config_map["items"]:
                    found[mounts[volume["name"]] / item["path"]] = f"{config_map['name']}/{item['key']}"
    handover = PurePosixPath(config.handover)
    assert found == {
        handover / handovers.TOKEN_FILE: apiserver.VAULT_AUDIENCE,
        handover / handovers.KEYS_FILE: f"{apiserver.HANDOVER}/{handovers.KEYS_FILE}",
        PurePosixPath(config.platform): f"{apiserver.HANDOVER}/{handovers.PLATFORM_FILE}",
    }


def test_a_dedicated_gateway_is_the_account_that_vault_knows() -> None:
    config, pod = dedicated()
    assert pod["serviceAccountName"] == apiserver.DATAPLANE_ACCOUNT
    assert (config.vault.role, config.vault.key, config.namespace) == ("dataplane", "tenant-acme", "tenant-acme")


def test_a_dedicated_gateway_keeps_nothing_on_its_own_disk() -> None:
    config, _ = dedicated()
    assert (config.storage.database, config.storage.objects) == (NETWORK["database"], NETWORK["objects"])
    assert list(config.storage.tree_copies) == NETWORK["treeCopies"]


def test_operator_and_prober_look_for_a_tenant_at_the_same_two_addresses() -> None:
    settings = from_environment(ENVIRONMENT)
    theirs = {address("acme", compute, settings) for compute in Compute}
    assert set(addresses("acme", settings.serve_url, settings.dedicated_serve_url, None)) == theirs
