"""Pure: whether a tenant uses more than its quota allows. Kubernetes takes nothing away when a quota is lowered."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

_UNITS: dict[str, int | Fraction] = {
    "m": Fraction(1, 1000),
    "": 1,
    "k": 10**3,
    "M": 10**6,
    "G": 10**9,
    "T": 10**12,
    "P": 10**15,
    "E": 10**18,
}
_UNITS |= {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50, "Ei": 2**60}
_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]+)?)(m|[kMGTPE]i?|Ki)?")


def quantity(text: str) -> Fraction | None:
    """A Kubernetes quantity as a number; None when it is none."""
    found = _QUANTITY.fullmatch(text)
    return Fraction(found[1]) * _UNITS[found[2] or ""] if found else None


def exceeded(quota: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Which limits of a ResourceQuota are below what is used now."""
    status = (quota or {}).get("status") or {}
    hard = ((quota or {}).get("spec") or {}).get("hard") or {}
    found = []
    for name, used in sorted((status.get("used") or {}).items()):
        now, limit = quantity(str(used)), quantity(str(hard.get(name, "")))
        if now is not None and limit is not None and now > limit:
            found.append(f"{name} {used} of {hard[name]}")
    return tuple(found)
