"""What there is of a model at one moment, as plain data for the plan and the status."""

from __future__ import annotations

from dataclasses import dataclass

from imagint_operator.api.tenants import Tenant
from imagint_operator.errors import OperatorError
from imagint_operator.serve.places import Refusal
from imagint_operator.serve.views import AppState


@dataclass(frozen=True, slots=True)
class Observed:
    """Everything that the plan is made from."""

    tenant: Tenant | None = None
    app: AppState | None = None
    gateway: AppState | None = None
    problem: OperatorError | None = None
    refusal: Refusal | None = None
