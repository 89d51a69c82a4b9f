"""What the operator needs of a Serve cluster, whoever runs it. Its adapters: the REST API, and KubeRay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from imagint_operator.serve.applications import Application


class AppStatus(StrEnum):
    """Serve's own word for an application's state."""

    NOT_STARTED = "NOT_STARTED"
    DEPLOYING = "DEPLOYING"
    DEPLOY_FAILED = "DEPLOY_FAILED"
    RUNNING = "RUNNING"
    UNHEALTHY = "UNHEALTHY"
    DELETING = "DELETING"


@dataclass(frozen=True, slots=True)
class Deployed:
    """One application as Serve has it."""

    name: str
    status: AppStatus
    config: Mapping[str, Any]


class ServePort(Protocol):
    """A Serve cluster with one writer."""

    async def observe(self) -> Mapping[str, Deployed]:
        """Every application, by its name.

        Raises:
            ServeUnavailableError: Ray does not answer.
        """

    async def replace(self, applications: Sequence[Application]) -> None:
        """Make these, and only these, the applications of the cluster.

        Raises:
            ServeUnavailableError: Ray does not answer.
            ServeRefusedError: Serve refuses the set.
        """
