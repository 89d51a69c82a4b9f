"""What every plan may answer beside work of its own: wait, or rest. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Wait:
    """Something has to be done and cannot be now, for this reason."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Rest:
    """Nothing has to be done before this moment; None: not before somebody changes something."""

    until: datetime | None = None
