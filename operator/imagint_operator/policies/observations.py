"""What a policy's plan depends on beside the policy itself, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Object = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Observed:
    """The ConfigMaps of editions that were looked for, by name (None: there is none), and the tenants by name."""

    editions: Mapping[str, Object | None] = field(default_factory=dict)
    tenants: tuple[str, ...] = ()
