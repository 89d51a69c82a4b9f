"""The operator's settings, from its environment. Holds addresses and file names, never a secret."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from imagint_operator.errors import SettingsError

PREFIX = "IMAGINT_"


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
    models_root: Path = Path("/srv/imagint/models")
    metrics_port: int = Field(default=0, ge=0, le=65535)
    metrics_host: str = "127.0.0.1"
    resync_seconds: float = Field(default=30.0, gt=0)
    cache_seconds: float = Field(default=5.0, gt=0, le=300)
    snapshot_retention_days: float = Field(default=30.0, ge=0)
    policy_version: str = "2024-08-02"
    image_digest: str | None = None

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
        lines = [f"  {variable(str(problem['loc'][0]))}: {problem['msg']}" for problem in error.errors()]
        raise SettingsError(
            "\n".join(["The operator cannot start; these settings are missing or wrong:", *lines])
        ) from None


def variable(field: str) -> str:
    """The environment variable of a field."""
    return PREFIX + field.upper()
