"""The operator's settings, from its environment. Holds addresses and file names, never a secret."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from imagint_operator.errors import SettingsError

PREFIX = "IMAGINT_"


class Ray(StrEnum):
    """Who runs the Ray cluster that tenants share."""

    REST = "rest"
    KUBERAY = "kuberay"


class Settings(BaseModel):
    """Where everything is. Each field is the environment variable IMAGINT_<FIELD>."""

    model_config = ConfigDict(frozen=True)

    kubeconfig: Path
    provisioner_kubeconfig: Path
    shredder_kubeconfig: Path
    vault_addr: str = Field(pattern=r"^https?://")
    vault_token_file: Path
    shredder_vault_token_file: Path
    ray_dashboard: str = Field(pattern=r"^https?://")
    ray_token_file: Path
    serve_url: str = Field(pattern=r"^https?://")
    prober_url: str = Field(pattern=r"^https?://")
    dataplane_token_file: Path
    prober_token_file: Path
    handover: Path
    data_root: Path
    copies_root: Path
    ray: Ray = Ray.REST
    ray_image: str | None = Field(default=None, max_length=500, pattern=r"^[^\s]+$")
    ray_version: str | None = None
    ray_authentication: bool = True
    ray_mutual_tls: bool = False
    ray_gateway_class: str | None = None
    ray_data_claim: str | None = None
    ray_worker_cpus: int = Field(default=4, ge=1, le=1024)
    ray_worker_memory: str = Field(default="8Gi", pattern=r"^[1-9][0-9]*(Mi|Gi)$")
    dedicated_serve_url: str = Field(default="http://{service}.{namespace}.svc:8000", pattern=r"^https?://")
    models_root: Path = Path("/srv/imagint/models")
    metrics_port: int = Field(default=0, ge=0, le=65535)
    metrics_host: str = "127.0.0.1"
    resync_seconds: float = Field(default=30.0, gt=0)
    rest_looks_per_second: float = Field(default=1.0, gt=0)
    lease_name: str = Field(default="imagint-operator", pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")
    lease_seconds: float = Field(default=12.0, ge=3, le=60)
    lease_renew_seconds: float = Field(default=8.0, ge=1)
    lease_retry_seconds: float = Field(default=1.5, ge=0.1)
    cache_seconds: float = Field(default=5.0, gt=0, le=300)
    snapshot_retention_days: float = Field(default=30.0, ge=0)
    policy_version: str = "2024-08-02"
    image_digest: str | None = None

    @model_validator(mode="after")
    def _image_for_kuberay(self) -> Self:
        """Refuse to run a shared cluster on KubeRay without knowing of which image."""
        if self.ray is Ray.KUBERAY and self.ray_image is None:
            raise ValueError("IMAGINT_RAY=kuberay needs IMAGINT_RAY_IMAGE, best with a digest")
        return self

    @model_validator(mode="after")
    def _lease_ends_after_its_holder(self) -> Self:
        if not self.lease_retry_seconds * 2 <= self.lease_renew_seconds <= self.lease_seconds * 0.75:
            raise ValueError(
                "IMAGINT_LEASE_RENEW_SECONDS must be at least twice IMAGINT_LEASE_RETRY_SECONDS and at most three "
                "quarters of IMAGINT_LEASE_SECONDS: a holder stops before another may begin"
            )
        return self

    @property
    def snapshot_retention(self) -> timedelta:
        """How long a snapshot of Vault may be kept, and with it a key that was trimmed since."""
        return timedelta(days=self.snapshot_retention_days)


def from_environment(environment: Mapping[str, str]) -> Settings:
    """Read the settings.

    Raises:
        SettingsError: one or more are missing or wrong; the message names all of them.
    """
    given = {name: environment[variable(name)] for name in Settings.model_fields if environment.get(variable(name))}
    try:
        return Settings.model_validate(given)
    except ValidationError as error:
        lines = [f"  {_about(problem['loc'])}{problem['msg']}" for problem in error.errors()]
        raise SettingsError(
            "\n".join(["The operator cannot start; these settings are missing or wrong:", *lines])
        ) from None


def _about(place: tuple[int | str, ...]) -> str:
    return f"{variable(str(place[0]))}: " if place else ""


def variable(field: str) -> str:
    """The environment variable of a field."""
    return PREFIX + field.upper()
