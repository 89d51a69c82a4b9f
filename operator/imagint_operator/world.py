"""What the controllers share: the clock, what Serve's writer last saw, whose turn it is, and the way to wake a key."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from imagint_operator.api.tenants import Tenant
from imagint_operator.kube.resources import ObjectKey
from imagint_operator.serve.views import ServeView
from imagint_operator.times import Clock
from imagint_operator.turns import Turns


@dataclass(frozen=True, slots=True)
class World:
    """Handed to every controller by the composition root."""

    clock: Clock
    resync: float
    view: Callable[[Tenant], ServeView | None]
    wake: Callable[[ObjectKey], None]
    turns: Turns = field(default_factory=Turns)
