"""Builders of custom resources and settings for the operator's tests."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from imagint_operator.api.models import ModelDeployment
from imagint_operator.api.requests import DataSubjectRequest
from imagint_operator.api.tenants import Tenant
from imagint_operator.settings import Settings

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SUBJECT = "subj-" + "a" * 26


@pytest.fixture
def now() -> datetime:
    return NOW


@pytest.fixture
def settings() -> Settings:
    place = Path("/state")
    return Settings(
        kubeconfig=place / "kubeconfig",
        provisioner_kubeconfig=place / "provisioner.kubeconfig",
        shredder_kubeconfig=place / "shredder.kubeconfig",
        vault_addr="http://127.0.0.1:8200",
        vault_token_file=place / "vault-token",
        shredder_vault_token_file=place / "shredder-vault-token",
        ray_dashboard="http://127.0.0.1:8265",
        ray_token_file=place / "ray-token",
        serve_url="http://127.0.0.1:8000",
        prober_url="http://127.0.0.1:8001",
        dataplane_token_file=place / "dataplane-token",
        prober_token_file=place / "prober-token",
        handover=place / "handover",
        data_root=place / "data",
        copies_root=place / "copies",
    )


@pytest.fixture
def make_tenant() -> Callable[..., Tenant]:
    def make(
        name: str = "acme",
        *,
        spec: dict[str, Any] | None = None,
        status: dict[str, Any] | None = None,
        **metadata: Any,
    ) -> Tenant:
        return Tenant.model_validate(
            {
                "metadata": {"name": name, "uid": f"uid-{name}", "generation": 1, **metadata},
                "spec": {"residency": {"region": "eu"}, **(spec or {})},
                "status": status or {},
            }
        )

    return make


@pytest.fixture
def make_model() -> Callable[..., ModelDeployment]:
    def make(
        name: str = "shapes",
        tenant: str = "acme",
        *,
        spec: dict[str, Any] | None = None,
        status: dict[str, Any] | None = None,
        **metadata: Any,
    ) -> ModelDeployment:
        named = {"name": name, "namespace": f"tenant-{tenant}", "uid": f"uid-{name}", "generation": 1}
        source = {"source": {"type": "Bundled", "name": "shapes"}}
        return ModelDeployment.model_validate(
            {"metadata": named | metadata, "spec": source | (spec or {}), "status": status or {}}
        )

    return make


@pytest.fixture
def make_request() -> Callable[..., DataSubjectRequest]:
    def make(
        name: str = "ada",
        *,
        spec: dict[str, Any] | None = None,
        status: dict[str, Any] | None = None,
        **metadata: Any,
    ) -> DataSubjectRequest:
        named = {"name": name, "namespace": "tenant-acme", "uid": f"uid-{name}", "generation": 1}
        asked = {
            "type": "Erase",
            "subject": SUBJECT,
            "regulation": "GDPR",
            "receivedAt": NOW.isoformat(),
            "verification": {"method": "AccountSession", "at": NOW.isoformat()},
        }
        return DataSubjectRequest.model_validate(
            {"metadata": named | metadata, "spec": asked | (spec or {}), "status": status or {}}
        )

    return make
