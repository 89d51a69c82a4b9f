"""One stack as it is laid out this time: folder, ports, addresses, scratch folder. Computed once by the supervisor."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from imagint_dev.folder import StateFolder
from imagint_dev.options import StackOptions

CONTROLLER, PROVISIONER, SHREDDER = "imagint-controller", "imagint-provisioner", "imagint-shredder"
PROBER, PROJECTOR = "imagint-prober", "imagint-projector"
RETIRED = ("imagint-operator",)
"""Accounts of earlier versions: what is left of them is taken away."""


@dataclass(frozen=True, slots=True)
class Site:
    """All that command lines and environments are made of. Holds no secret."""

    identity: str
    folder: StateFolder
    ports: dict[str, int]
    options: StackOptions
    api: str
    serve: str
    kubeconfig: Path

    @property
    def scratch(self) -> Path:
        """A folder (0700) for what is gone after `down`; short, since a socket's path has at most 107 characters."""
        return scratch_of(self.identity)

    @property
    def ray_folder(self) -> Path:
        """Ray's own folder, below one that only its owner may enter: Ray opens its own to everybody (0777)."""
        return self.scratch / "r"

    @property
    def vault(self) -> str:
        """Vault's address."""
        return self.options.vault_address or f"http://127.0.0.1:{self.ports['vault']}"

    @property
    def ray_dashboard(self) -> str:
        """Where Ray's dashboard and Serve's REST API answer."""
        return self.options.ray_dashboard or f"http://127.0.0.1:{self.ports['ray_dashboard']}"

    @property
    def ray_token(self) -> Path:
        """The file with the Ray cluster's token."""
        return self.options.ray_token_file or self.folder.ray_token

    @property
    def prober(self) -> str:
        """The prober's address."""
        return f"http://127.0.0.1:{self.ports['prober']}"

    def urls(self) -> dict[str, str]:
        """Every address, for people and tests."""
        return {
            "api": self.api,
            "vault": self.vault,
            "ray_dashboard": self.ray_dashboard,
            "serve": self.serve,
            "prober": self.prober,
            "operator_metrics": f"http://127.0.0.1:{self.ports['operator_metrics']}/metrics",
        }


def scratch_of(identity: str) -> Path:
    """The scratch folder of a stack's run."""
    base = Path(tempfile.gettempdir())
    return (base if len(str(base)) <= 30 else Path("/tmp")) / f"imagint-{identity[:10]}"  # noqa: S108 - made 0700
