"""What the controllers share: the clock, what Serve's writer last saw, whose turn it is, and the way to wake a key."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from imagint_operator.kube.resources import ObjectKey
from imagint_operator.serve.views import ServeView
from imagint_operator.times import Clock
from imagint_operator.turns import Turns

REST_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class World:
    """Handed to every controller by the composition root.

    `resync` is how long to wait for something that nobody reports; `rest` how long while all is as it should be: the
    more objects of the kind, the longer, so that looking costs the same however many there are.
    """

    clock: Clock
    resync: float
    view: Callable[[], ServeView | None]
    wake: Callable[[ObjectKey], None]
    turns: Turns = field(default_factory=Turns)
    rest: Callable[[str], float] = lambda _kind: REST_SECONDS
