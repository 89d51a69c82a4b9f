"""The prober's settings, from the environment. Only names that start with `IMAGINT_` are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from imagint_serving.prober.errors import ProberSettingsError

REQUIRED = (
    "IMAGINT_VAULT_ADDR",
    "IMAGINT_VAULT_TOKEN_FILE",
    "IMAGINT_SERVE_URL",
    "IMAGINT_DATAPLANE_TOKEN_FILE",
    "IMAGINT_PLATFORM_FILE",
    "IMAGINT_PROBES_DIR",
    "IMAGINT_PROBER_PORT",
)


@dataclass(frozen=True, slots=True)
class ProberSettings:
    """Where Vault and the Gateways are, whose tokens to show them, and where results are kept."""

    vault_address: str
    vault_token_file: Path
    serve_url: str
    dataplane_token_file: Path
    platform_file: Path
    probes_folder: Path
    host: str
    port: int
    dedicated_serve_url: str | None = None
    """Where a tenant's own Serve is, with `{service}` and `{namespace}` for its names; None: nowhere."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> ProberSettings:
        """Read the settings.

        Raises:
            ProberSettingsError: one that is needed is missing or malformed.
        """
        missing = [name for name in REQUIRED if not environment.get(name)]
        if missing:
            raise ProberSettingsError(f"not set: {', '.join(missing)}")
        for name in ("IMAGINT_VAULT_ADDR", "IMAGINT_SERVE_URL"):
            if urlsplit(environment[name]).scheme not in ("http", "https"):
                raise ProberSettingsError(f"{name} is not an http address")
        dedicated = environment.get("IMAGINT_DEDICATED_SERVE_URL") or None
        if dedicated is not None:
            _check_template(dedicated)
        port = environment["IMAGINT_PROBER_PORT"]
        if not port.isdecimal() or not 0 < int(port) < 65536:
            raise ProberSettingsError("IMAGINT_PROBER_PORT is not a port")
        return cls(
            vault_address=environment["IMAGINT_VAULT_ADDR"],
            vault_token_file=Path(environment["IMAGINT_VAULT_TOKEN_FILE"]),
            serve_url=environment["IMAGINT_SERVE_URL"].rstrip("/"),
            dataplane_token_file=Path(environment["IMAGINT_DATAPLANE_TOKEN_FILE"]),
            platform_file=Path(environment["IMAGINT_PLATFORM_FILE"]),
            probes_folder=Path(environment["IMAGINT_PROBES_DIR"]),
            host=environment.get("IMAGINT_PROBER_HOST") or "127.0.0.1",
            port=int(port),
            dedicated_serve_url=dedicated,
        )


def _check_template(template: str) -> None:
    name = "IMAGINT_DEDICATED_SERVE_URL"
    if urlsplit(template).scheme not in ("http", "https"):
        raise ProberSettingsError(f"{name} is not an http address")
    if "{namespace}" not in template:
        # Without it every tenant's answer would come from one place, whosever it is.
        raise ProberSettingsError(f"{name} does not say {{namespace}}, and so names no tenant's own Serve")
