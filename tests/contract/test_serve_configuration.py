"""What the operator renders is what the data plane reads: neither imports the other, so this test reads both."""

from __future__ import annotations

from typing import Any

import pytest

from imagint_operator.api.models import ModelDeployment, ModelDeploymentStatus
from imagint_operator.api.tenants import Tenant
from imagint_operator.dataplane.answers import ModelTrial
from imagint_operator.models.plan import trial
from imagint_operator.serve.applications import gateway, generator
from imagint_operator.serve.revisions import revision_of, template_of
from imagint_operator.settings import from_environment
from imagint_serving.config import GatewayConfig, GatewaySettings, GeneratorConfig
from imagint_serving.gateway.trials import TrialBody

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
