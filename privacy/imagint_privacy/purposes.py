"""The one gate: may this purpose use this subject's data now?

Pure: a table and a ladder of early returns over plain data. Callers gather the standing inside the transaction that
does the work, so that an erasure which begins meanwhile is always seen. It must not read a database or a clock.

Rule 1  The tenant's own keys are used by OPERATE alone, and OPERATE uses nothing else.
Rule 2  A purpose allows the uses that its row in `ALLOWED` names.
Rule 3  While a subject or category is fenced, no purpose in `USING` touches it; its own rights still work.
Rule 4  While it is restricted, it is stored and nothing else (GDPR 18): the same purposes stop, the same rights work.
Rule 5  An objection (GDPR 21) stops the purposes that it names, out of `OBJECTABLE`, and no other.
Rule 6  A write is refused if an erasure or restriction of its subject or category began after the job did, also when
        it is over by now: the job made its choice before the person did. Objections need no such rule: no
        objectable purpose writes, and each of its reads asks anew.

A fence ends in an erasure. A restriction and an objection end by being lifted, and everything is as it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from imagint_privacy.errors import (
    LateWriteError,
    ObjectedError,
    PurposeRefusedError,
    SubjectFencedError,
    SubjectRestrictedError,
)
from imagint_privacy.subjects import SYSTEM

EVERY: Final = "*"
"""Stands for every category of a subject."""


class Purpose(StrEnum):
    """Why somebody's data is touched."""

    GENERATE = "Generate"
    DELIVER = "Deliver"
    ANALYSE = "Analyse"
    IMPROVE = "Improve"
    MARKET = "Market"
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


_LOOK: Final = frozenset({Use.READ, Use.LIST})

ALLOWED: Final[Mapping[Purpose, frozenset[Use]]] = {
    Purpose.GENERATE: frozenset({Use.WRITE, Use.READ, Use.LIST}),
    Purpose.DELIVER: frozenset({Use.READ, Use.LIST, Use.DELETE}),
    Purpose.ANALYSE: _LOOK,
    Purpose.IMPROVE: _LOOK,
    Purpose.MARKET: _LOOK,
    Purpose.ACCESS: _LOOK,
    Purpose.ERASE: frozenset({Use.LIST, Use.DELETE}),
    Purpose.PROBE: frozenset({Use.LIST}),
    Purpose.OPERATE: frozenset({Use.READ, Use.WRITE}),
}
"""Rule 2."""

OBJECTABLE: Final = frozenset({Purpose.ANALYSE, Purpose.IMPROVE, Purpose.MARKET})
"""Rule 5: what rests on a legitimate interest or is direct marketing; the contract's own purposes are neither."""

USING: Final = frozenset({Purpose.GENERATE, Purpose.DELIVER}) | OBJECTABLE
"""Rules 3 and 4: the purposes that a fence or a restriction stops; the others are rights, and the tenant's own."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How a subject stands: what is fenced, restricted or objected to, and what ever happened to it, by category."""

    fenced: frozenset[str] = frozenset()
    erased: Mapping[str, int] = field(default_factory=dict)
    restricted: frozenset[str] = frozenset()
    restrictions: Mapping[str, int] = field(default_factory=dict)
    """How many restrictions there ever were, those lifted included."""
    objected: Mapping[Purpose, frozenset[str]] = field(default_factory=dict)

    def incarnation(self, category: str) -> int:
        """Return which life of a category this is, counting erasures of all and of it alone; the first is 1."""
        return 1 + _count(self.erased, category)

    def restricted_times(self, category: str) -> int:
        """Return how often a category was ever restricted, with all others or alone."""
        return _count(self.restrictions, category)

    def is_fenced(self, category: str) -> bool:
        """Say whether a category (`*`: any) is fenced."""
        return _meets(self.fenced, category)

    def is_restricted(self, category: str) -> bool:
        """Say whether a category (`*`: any) may only be stored."""
        return _meets(self.restricted, category)

    def is_objected(self, purpose: Purpose, category: str) -> bool:
        """Say whether the subject objected to a purpose for a category (`*`: any)."""
        return _meets(self.objected.get(purpose, frozenset()), category)


def _meets(named: frozenset[str], category: str) -> bool:
    return bool(named) if category == EVERY else not named.isdisjoint({EVERY, category})


def _count(counts: Mapping[str, int], category: str) -> int:
    return counts.get(EVERY, 0) + (counts.get(category, 0) if category != EVERY else 0)


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
        SubjectRestrictedError: the data may only be stored (rule 4).
        ObjectedError: the subject objected to this purpose (rule 5).
        LateWriteError: an erasure or a restriction began after the job did (rule 6).
    """
    purpose, subject = access.purpose, access.subject
    if (subject == SYSTEM) != (purpose is Purpose.OPERATE):
        raise PurposeRefusedError(f"purpose {purpose} does not reach {subject}")
    if access.use not in ALLOWED[purpose]:
        raise PurposeRefusedError(f"purpose {purpose} does not allow {access.use}")
    if purpose in USING and standing.is_fenced(access.category):
        raise SubjectFencedError(f"an erasure of {subject} is under way")
    if purpose in USING and standing.is_restricted(access.category):
        raise SubjectRestrictedError(f"the data of {subject} is restricted")
    if purpose in OBJECTABLE and standing.is_objected(purpose, access.category):
        raise ObjectedError(f"{subject} objected to {purpose}")
    if access.use is Use.WRITE and access.begun is not None and _changed(access, access.begun, standing):
        raise LateWriteError(f"an erasure or restriction of {subject} began after this job")


def _changed(access: Access, begun: Standing, now: Standing) -> bool:
    """Say whether an erasure or a restriction of the category began between two moments."""
    erased = begun.incarnation(access.category) != now.incarnation(access.category)
    return erased or begun.restricted_times(access.category) != now.restricted_times(access.category)
