"""What there is of a model at one moment, as plain data for the plan and the status."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from imagint_operator.api.tenants import Tenant
from imagint_operator.errors import OperatorError
from imagint_operator.serve.places import Refusal
from imagint_operator.serve.revisions import Route
from imagint_operator.serve.views import AppState


@dataclass(frozen=True, slots=True)
class Observed:
    """Everything that the plan is made from. `apps` is by revision; `seen` says whether Serve was looked at at all."""

    tenant: Tenant | None = None
    apps: Mapping[str, AppState] = field(default_factory=dict)
    gateway: AppState | None = None
    problem: OperatorError | None = None
    refusal: Refusal | None = None
    seen: bool = True

    def app(self, revision: str | None) -> AppState | None:
        """The application of one revision."""
        return self.apps.get(revision) if revision else None

    def runs(self, revision: str) -> bool:
        """Whether Serve runs this revision as it should be."""
        found = self.app(revision)
        return found is not None and found.running

    @property
    def gateway_runs(self) -> bool:
        """Whether the Gateway runs with the settings of now."""
        return self.gateway is not None and self.gateway.running

    def told(self, model: str) -> Route:
        """Where a Gateway that runs finds the model."""
        return self.gateway.routes.get(model, Route()) if self.gateway and self.gateway_runs else Route()


@dataclass(frozen=True, slots=True)
class Tried:
    """What a trial came to: figures and hashes. Not `ok` means that the revision made no pictures."""

    ok: bool
    score: int = 0
    hashes: tuple[str, ...] = ()
