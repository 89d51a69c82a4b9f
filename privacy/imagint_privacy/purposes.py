"""The one gate: may this purpose use this subject's data now?

Pure: a table and a ladder of early returns over plain data. Callers gather the standing inside the transaction that
does the work, so that an erasure which begins meanwhile is always seen. It must not read a database or a clock.

Rule 1  The tenant's own keys are used by OPERATE alone, and OPERATE uses nothing else.
Rule 2  A purpose allows the uses that its row in `ALLOWED` names.
Rule 3  While a subject or category is fenced, nothing is made from it or served from it; its own rights still work.
Rule 4  A write is refused if an erasure of its subject or category began after the job did.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from imagint_privacy.errors import LateWriteError, PurposeRefusedError, SubjectFencedError
from imagint_privacy.subjects import SYSTEM

EVERY: Final = "*"
"""Stands for every category of a subject."""


class Purpose(StrEnum):
    """Why somebody's data is touched."""

    GENERATE = "Generate"
    DELIVER = "Deliver"
    ACCESS = "Access"
    ERASE = "Erase"
    PROBE = "Probe"
    OPERATE = "Operate"


class Use(StrEnum):
    """What is done with it."""

    WRITE = "Write"
    READ = "Read"
    LIST = "List"
    DELETE = "Delete"


ALLOWED: Final[Mapping[Purpose, frozenset[Use]]] = {
    Purpose.GENERATE: frozenset({Use.WRITE, Use.READ, Use.LIST}),
    Purpose.DELIVER: frozenset({Use.READ, Use.LIST, Use.DELETE}),
    Purpose.ACCESS: frozenset({Use.READ, Use.LIST}),
    Purpose.ERASE: frozenset({Use.LIST, Use.DELETE}),
    Purpose.PROBE: frozenset({Use.LIST}),
    Purpose.OPERATE: frozenset({Use.READ, Use.WRITE}),
}
"""Rule 2."""

FENCED: Final = frozenset({Purpose.GENERATE, Purpose.DELIVER})
"""Rule 3: the purposes that a fence stops."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How a subject stands: which categories are fenced (`*` for all), and how often each was erased."""

    fenced: frozenset[str] = frozenset()
    erased: Mapping[str, int] = field(default_factory=dict)

    def incarnation(self, category: str) -> int:
        """Return which life of a category this is, counting erasures of all and of it alone; the first is 1."""
        return 1 + self.erased.get(EVERY, 0) + (self.erased.get(category, 0) if category != EVERY else 0)

    def is_fenced(self, category: str) -> bool:
        """Say whether a category (`*`: any) is fenced."""
        return bool(self.fenced) if category == EVERY else not self.fenced.isdisjoint({EVERY, category})


@dataclass(frozen=True, slots=True)
class Access:
    """A wish to use one category (`*`: any) of a subject's data; `begun` is the standing when the job began."""

    purpose: Purpose
    use: Use
    subject: str
    category: str = EVERY
    begun: Standing | None = None


def decide(access: Access, standing: Standing) -> None:
    """Return if the access is allowed.

    Raises:
        PurposeRefusedError: the purpose does not allow this use (rules 1 and 2).
        SubjectFencedError: an erasure is under way (rule 3).
        LateWriteError: an erasure began after the job did (rule 4).
    """
    if (access.subject == SYSTEM) != (access.purpose is Purpose.OPERATE):
        raise PurposeRefusedError(f"purpose {access.purpose} does not reach {access.subject}")
    if access.use not in ALLOWED[access.purpose]:
        raise PurposeRefusedError(f"purpose {access.purpose} does not allow {access.use}")
    if access.purpose in FENCED and standing.is_fenced(access.category):
        raise SubjectFencedError(f"an erasure of {access.subject} is under way")
    if access.use is Use.WRITE and access.begun is not None and _erased_since(access, access.begun, standing):
        raise LateWriteError(f"an erasure of {access.subject} began after this job")


def _erased_since(access: Access, begun: Standing, now: Standing) -> bool:
    return begun.incarnation(access.category) != now.incarnation(access.category)
