"""What a stack was asked to be: which parts, and which servers of somebody else's to use; nothing ambient counts."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from imagint_dev import files
from imagint_dev.admission import Mode
from imagint_dev.errors import SettingsError

CONTROL_PLANE = frozenset({"etcd", "apiserver", "controller-manager", "vault"})
EVERYTHING = CONTROL_PLANE | {"ray", "projector", "prober", "operator"}


class StackOptions(BaseModel):
    """Options of `imagint up`; the supervisor gets them by file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    parts: frozenset[str] = EVERYTHING
    kubeconfig: Path | None = None
    vault_address: str | None = None
    vault_token_file: Path | None = None
    ray_dashboard: str | None = None
    ray_token_file: Path | None = None
    serve_url: str | None = None
    ray_cpus: int = Field(default=16, ge=2, le=1024)
    object_store_mib: int = Field(default=300, ge=80)
    environment: dict[str, dict[str, str]] = {}
    admission: Mode = Mode.DENY

    @field_validator("parts")
    @classmethod
    def _known(cls, parts: frozenset[str]) -> frozenset[str]:
        if unknown := parts - EVERYTHING:
            raise ValueError(f"unknown parts: {', '.join(sorted(unknown))}")
        return parts

    @field_validator("vault_address", "ray_dashboard", "serve_url")
    @classmethod
    def _url(cls, url: str | None) -> str | None:
        if url is not None and not url.startswith(("http://", "https://")):
            raise ValueError(f"{url} is not an http(s) URL")
        return url.rstrip("/") if url else url

    def started(self) -> frozenset[str]:
        """The parts that this stack runs itself."""
        foreign: set[str] = set()
        if self.kubeconfig:
            foreign |= {"etcd", "apiserver", "controller-manager"}
        if self.vault_address:
            foreign.add("vault")
        if self.ray_dashboard:
            foreign.add("ray")
        return self.parts - foreign

    def has_cluster(self) -> bool:
        """Whether there is an apiserver, own or somebody else's."""
        return bool(self.kubeconfig) or "apiserver" in self.parts

    def check(self) -> None:
        """Fails early where options do not fit together.

        Raises:
            SettingsError: one is missing, a file cannot be read, or this installation lacks the parts' packages.
        """
        needed = {"ray": ("ray", "torch"), "operator": ("kopf", "kubernetes"), "prober": ("uvicorn",)}
        lacking = [
            name for part in sorted(self.started() & needed.keys()) for name in needed[part] if not find_spec(name)
        ]
        if lacking:
            raise SettingsError(
                f"the stack needs packages that are not installed: pip install 'imagint[dev]' {lacking}"
            )
        if self.vault_address and not self.vault_token_file:
            raise SettingsError(
                "--vault-addr needs --vault-token-file: a token that may set up mounts, policies and roles"
            )
        if self.ray_dashboard and not self.ray_token_file:
            raise SettingsError("--ray-dashboard needs --ray-token-file: only a Ray with token authentication is used")
        for path in (self.kubeconfig, self.vault_token_file, self.ray_token_file):
            if path is not None and not path.is_file():
                raise SettingsError(f"{path} is not a file")
        if "apiserver" in self.started() and "etcd" not in self.started():
            raise SettingsError("the apiserver cannot run without etcd")

    def write(self, path: Path) -> None:
        """Keeps the options for the supervisor."""
        files.write(path, self.model_dump_json(indent=1))

    @classmethod
    def load(cls, path: Path) -> StackOptions:
        """The options that were kept.

        Raises:
            SettingsError: the file is missing or broken.
        """
        try:
            return cls.model_validate_json(path.read_text())
        except OSError as error:
            raise SettingsError(f"cannot read {path}: {error.strerror}") from error
        except ValidationError as error:
            raise SettingsError(f"{path}: {error.error_count()} options are wrong") from error
