"""What the operator hands to the Serve apps: the arguments of each app and the live settings of the Gateway.

The operator renders these as plain JSON and never imports this package; a contract test parses what it renders.
Serve shows arguments and settings to whoever may call its REST API, so nothing secret may ever be declared here:
secrets arrive as files under `handover`. Unknown fields are refused, so a misspelt one cannot be ignored silently.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

TENANT_PATTERN = r"^[a-z]([-a-z0-9]{0,38}[a-z0-9])?$"
MODEL_PATTERN = r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$"
_SIZE = re.compile(r"^([1-9][0-9]{0,4})x([1-9][0-9]{0,4})$", re.ASCII)

TenantName = Annotated[str, StringConstraints(pattern=TENANT_PATTERN)]
ModelName = Annotated[str, StringConstraints(pattern=MODEL_PATTERN)]
AbsolutePath = Annotated[str, StringConstraints(pattern=r"^/", max_length=4096)]
Size = Annotated[str, StringConstraints(pattern=_SIZE.pattern)]
ObjectsUrl = Annotated[str, StringConstraints(pattern=r"^[a-z0-9+]+://", max_length=4096)]


class Config(BaseModel):
    """Base of every block: immutable, and strict about names."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class VaultConfig(Config):
    """Where the tenant's root key lives, and the role the Gateway logs in with."""

    address: Annotated[str, StringConstraints(pattern=r"^https?://", max_length=2048)]
    mount: str = "transit"
    auth_mount: str = "kubernetes"
    role: str = "dataplane"
    key: str


class StorageConfig(Config):
    """The tenant's database, its objects, and where copies of its key tree go."""

    database: str
    objects: ObjectsUrl
    tree_copies: tuple[ObjectsUrl, ...] = ()

    @field_validator("database")
    @classmethod
    def _without_password(cls, value: str) -> str:
        """Refuse a database URL that carries a password: Serve would show it."""
        if re.search(r"://[^/@]*:[^/@]+@", value):
            raise ValueError("a database URL must not carry a password")
        return value


class GatewayConfig(Config):
    """Arguments of the app `<tenant>.gateway`."""

    tenant: TenantName
    namespace: str
    handover: AbsolutePath
    platform: AbsolutePath
    vault: VaultConfig
    storage: StorageConfig
    cache_seconds: Annotated[float, Field(gt=0, le=300)] = 5


class ModelSettings(Config):
    """One model as the tenant's callers may use it."""

    app: str | None = None
    """The revision that answers callers; none while no revision has passed its probe."""
    candidate: str | None = None
    """The revision that only probes reach."""
    max_pixels: Annotated[int, Field(gt=0)]
    max_steps: Annotated[int, Field(gt=0)]
    default_steps: Annotated[int, Field(gt=0)] | None = None
    default_size: Size = "32x32"
    max_n: Annotated[int, Field(gt=0, le=100)] = 10


class Limits(Config):
    """How much one tenant may ask for; `None` is no limit."""

    requests_per_minute: Annotated[int, Field(gt=0)] | None = None
    images_per_day: Annotated[int, Field(gt=0)] | None = None


class GatewaySettings(Config):
    """The Gateway's `user_config`: what may change while it runs."""

    models: dict[ModelName, ModelSettings] = {}
    suspended: bool = False
    limits: Limits = Limits()


class BundledSource(Config):
    """A model that comes with the package."""

    type: Literal["Bundled"]
    name: str = "shapes"


class PathSource(Config):
    """A diffusers repository in a folder."""

    type: Literal["Path"]
    path: AbsolutePath


class HubSource(Config):
    """A diffusers repository on a model hub."""

    type: Literal["Hub"]
    repository: str
    revision: str | None = None


ModelSource = Annotated[BundledSource | PathSource | HubSource, Field(discriminator="type")]


class Batching(Config):
    """How long a call may wait for companions of the same shape."""

    max_size: Annotated[int, Field(ge=1, le=256)] = 8
    wait_ms: Annotated[float, Field(ge=0, le=1000)] = 10


class GeneratorConfig(Config):
    """Arguments of the app `<tenant>.model.<model deployment>.<revision>`."""

    tenant: TenantName
    model: ModelName
    source: ModelSource
    model_roots: tuple[AbsolutePath, ...] = ()
    """A `Path` source must lie below one of these: a shared cluster's disk holds the neighbours' models too."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    device: Literal["cpu", "cuda", "auto"] = "auto"
    batching: Batching = Batching()


def parse_size(size: str) -> tuple[int, int]:
    """Return width and height of a text like `512x768`.

    Raises:
        ValueError: it is no such text.
    """
    match = _SIZE.fullmatch(size)
    if match is None:
        raise ValueError("a size is written WIDTHxHEIGHT")
    return int(match[1]), int(match[2])
