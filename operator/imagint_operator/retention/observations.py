"""What a run's next step depends on beside its Tenant, as plain data."""

from __future__ import annotations

from dataclasses import dataclass

from imagint_privacy.keys.ports import KeyState

HOLDER = "retention"


@dataclass(frozen=True, slots=True)
class Observed:
    """The tenant's key, the erasures that go first, and who is at work on the tenant now."""

    key: KeyState | None = None
    erasures: tuple[str, ...] = ()
    busy: str = ""
    holds: tuple[str, ...] = ()
    """The legal holds over everybody of the tenant."""
    excepted: tuple[str, ...] = ()
    """The subjects under a legal hold, by handle."""
    rechecked: bool = False
    """Whether they were seen, in this look, after everything else was ready: only then may it commit."""
    committed: bool = False
    """Whether the data plane has committed already, in whole or in part: then a hold comes too late."""
