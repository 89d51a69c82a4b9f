"""The projector's settings, from the environment.

Only names that start with `IMAGINT_` are read: an ambient KUBECONFIG may be somebody's production cluster.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from imagint_serving.projector.errors import ProjectorError


@dataclass(frozen=True, slots=True)
class ProjectorSettings:
    """Where to read from, where to write to, and how often."""

    kubeconfig: Path
    handover: Path
    poll_seconds: float = 0.25
    token_seconds: int = 3600
    platform_seconds: float = 300.0
    actions_per_poll: int = 32

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> ProjectorSettings:
        """Read the settings.

        Raises:
            ProjectorError: one that is needed is missing.
        """
        missing = [name for name in ("IMAGINT_KUBECONFIG", "IMAGINT_HANDOVER") if not environment.get(name)]
        if missing:
            raise ProjectorError(f"not set: {', '.join(missing)}")
        return cls(Path(environment["IMAGINT_KUBECONFIG"]), Path(environment["IMAGINT_HANDOVER"]))
