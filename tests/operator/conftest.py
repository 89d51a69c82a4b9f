"""Builders of custom resources and settings for the operator's tests."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from imagint_operator.api.breaches import BreachIncident
from imagint_operator.api.holds import LegalHold
from imagint_operator.api.models import ModelDeployment
from imagint_operator.api.policies import PrivacyPolicy
from imagint_operator.api.processors import DataProcessor
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
        vault_addr="http://127.0.0.1:8200",
        vault_token_file=place / "vault-token",
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


@pytest.fixture
def make_hold() -> Callable[..., LegalHold]:
    """A hold over everybody, in force since now, to be looked at again in a year; `subject` makes it one person's."""

    def make(name: str = "court", *, subject: str = "", status: dict[str, Any] | None = None, **spec: Any) -> LegalHold:
        named = {"name": name, "namespace": "tenant-acme", "uid": f"uid-{name}", "generation": 1}
        target = {"type": "Subject", "subject": subject} if subject else {"type": "Tenant"}
        said = {
            "target": target, "authority": "Regional Court, 12 O 34/26", "reasonCode": "Litigation",
            "from": NOW.isoformat(), "reviewBy": (NOW + timedelta(days=365)).isoformat(),
        }  # fmt: skip
        return LegalHold.model_validate({"metadata": named, "spec": said | spec, "status": status or {}})

    return make


@pytest.fixture
def make_policy() -> Callable[..., PrivacyPolicy]:
    def make(
        name: str = "studio",
        *,
        spec: dict[str, Any] | None = None,
        status: dict[str, Any] | None = None,
        **metadata: Any,
    ) -> PrivacyPolicy:
        written = {
            "version": "1.0.0",
            "effectiveAt": NOW.isoformat(),
            "change": "Material",
            "text": {"inline": "We forget."},
            "clauses": [{"id": "1", "controls": [{"type": "Test", "ref": "tests"}]}],
            "categories": [{"name": "prompts", "purposes": ["service"], "retention": {"keepDays": 30}}],
            "purposes": [{"name": "service", "legalBasis": "Contract", "optOut": "NotOffered"}],
            "minimumAge": 16,
            "regulations": ["GDPR"],
            "regions": ["eu"],
            "contacts": [{"role": "Controller", "name": "Studio", "email": "privacy@studio.example"}],
            "governingLaw": {"law": "Ireland", "courts": "Dublin"},
        }
        named = {"name": name, "uid": f"uid-{name}", "generation": 1}
        return PrivacyPolicy.model_validate(
            {"metadata": named | metadata, "spec": written | (spec or {}), "status": status or {}}
        )

    return make


@pytest.fixture
def make_breach() -> Callable[..., BreachIncident]:
    """A breach with a risk, discovered now."""

    def make(name: str = "leak", **spec: Any) -> BreachIncident:
        said = {
            "discoveredAt": NOW.isoformat(), "occurred": {"from": (NOW - timedelta(days=1)).isoformat()},
            "affected": {"extent": "AllTenants", "approximateSubjects": 40}, "risk": "Risk",
            "nature": ["Confidentiality"], "description": "a disk was lost", "consequences": "pictures may be seen",
            "measures": "keys were destroyed", "contact": "data protection officer",
        }  # fmt: skip
        metadata = {"name": name, "uid": f"uid-{name}", "generation": 1}
        return BreachIncident.model_validate({"metadata": metadata, "spec": said | spec})

    return make


@pytest.fixture
def make_processor() -> Callable[..., DataProcessor]:
    def make(name: str = "desk", *, spec: dict[str, Any] | None = None, **erasure: Any) -> DataProcessor:
        written = {
            "displayName": "Desk",
            "purpose": "Support",
            "role": "Processor",
            "categories": ["prompts"],
            "region": "ie",
            "safeguard": "None",
            "contract": {"reference": "C-1"},
            "erasure": {"protocol": "Webhook", "url": "https://desk.example/hook", **erasure},
        }
        return DataProcessor.model_validate(
            {"metadata": {"name": name, "generation": 1}, "spec": written | (spec or {})}
        )

    return make
