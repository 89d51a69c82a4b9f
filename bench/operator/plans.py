"""How much is measured: whole, quick (some minutes) or tiny (for trying the command). Plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Plan:
    """Sizes, counts and limits of one run; everything that is measured is bounded by these."""

    name: str
    tenants: int
    models_each: int
    rest_s: float
    changes: int
    changes_per_s: float
    burst: int
    limit_s: float
    """How long a convergence may take before it is told as it stands."""
    naive_s: float
    whole_s: float
    """After this many seconds no further part is begun: what is missing is said."""


FULL: Final = Plan("full", 1000, 2, 60, 200, 5, 200, 230, 60, 800)
QUICK: Final = Plan("quick", 100, 2, 30, 60, 4, 50, 120, 30, 420)
TINY: Final = Plan("tiny", 10, 2, 10, 20, 5, 5, 60, 10, 240)
PLANS: Final = {plan.name: plan for plan in (FULL, QUICK, TINY)}
