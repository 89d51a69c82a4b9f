"""What Serve's writer last saw, as plain data for whoever plans with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from imagint_operator.api.tenants import Tenant
from imagint_operator.errors import OperatorError
from imagint_operator.kube.resources import ObjectKey
from imagint_operator.serve.ports import AppStatus

SERVE = ObjectKey("Serve", "", "applications")


@dataclass(frozen=True, slots=True)
class AppState:
    """One application: what is wanted and what is there."""

    source: ObjectKey
    generation: int
    digest: str
    status: AppStatus
    current: bool

    @property
    def running(self) -> bool:
        """Whether Serve runs what is wanted."""
        return self.current and self.status is AppStatus.RUNNING


@dataclass(frozen=True, slots=True)
class ServeView:
    """What the writer last saw. `problem` says why it could not look or write."""

    apps: Mapping[str, AppState] = field(default_factory=dict)
    present: frozenset[str] = frozenset()
    leaving: Mapping[str, str] = field(default_factory=dict)
    problem: OperatorError | None = None
    seen_at: datetime | None = None

    def drained(self, tenant: Tenant) -> bool:
        """Whether the tenant was left out on purpose and none of its applications is there any more.

        A look from before a deletion was recorded says nothing about it: the tenant was served until then.
        """
        if self.problem is not None or tenant.metadata.uid not in self.leaving:
            return False
        deletion = tenant.status.deletion
        if deletion is not None and self.seen_at is not None and self.seen_at < deletion.started_at:
            return False
        return not any(name.startswith(f"{tenant.name}.") for name in self.present)
