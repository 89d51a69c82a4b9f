"""What the operator renders is what the data plane reads: neither imports the other, so this test reads both."""

from __future__ import annotations

from typing import Any

import pytest

from imagint_operator.api.models import ModelDeployment
from imagint_operator.api.tenants import Tenant
from imagint_operator.serve.applications import gateway, generator
from imagint_operator.settings import from_environment
from imagint_serving.config import GatewayConfig, GatewaySettings, GeneratorConfig

ENVIRONMENT = {
    "IMAGINT_KUBECONFIG": "/k", "IMAGINT_VAULT_ADDR": "http://127.0.0.1:8200", "IMAGINT_VAULT_TOKEN_FILE": "/t",
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
    rendered = generator(TENANT, deployed, from_environment(ENVIRONMENT)).config
    assert GeneratorConfig.model_validate(rendered["args"]).model == "shapes"


@pytest.mark.parametrize("deployed", MODELS)
def test_the_gateway_reads_its_arguments_and_settings(deployed: ModelDeployment) -> None:
    rendered = gateway(TENANT, [deployed], from_environment(ENVIRONMENT)).config
    assert GatewayConfig.model_validate(rendered["args"]).namespace == "tenant-acme"
    (deployment,) = rendered["deployments"]
    settings = GatewaySettings.model_validate(deployment["user_config"])
    assert settings.models["shapes"].app == "acme.model.shapes"
