"""Which operations each role asks for, and a generator of them: the same seed always gives the same sequence.

Mixes, sizes and choices follow GDPRbench's published workload files: 10,000 records, as many users, 25 purposes, 10
categories, 1,000 operations a run, contents of 100 bytes; record k belongs to user k mod users, purpose k mod 25 and
category k mod 10. "Zipfian" is YCSB's: rank r is drawn with weight 1 / r^0.99, and ranks are scattered over records.

The regulator's file is absent from the repository. Assumed here: 46 % metadata by user, 31 % system log, 23 % verify
a deletion, zipfian. Pure.
"""

from __future__ import annotations

import random
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import accumulate
from typing import Final

PURPOSES: Final = 25
CATEGORIES: Final = 10
CONTENT: Final = 100
_SKEW: Final = 0.99
_SCATTER: Final = 0x9E3779B1


class Kind(StrEnum):
    """What is asked of the store."""

    INSERT = "insert"
    READ = "read"
    UPDATE = "update"
    DELETE = "delete"
    META_BY_PURPOSE = "read-meta-by-purpose"
    META_BY_USER = "read-meta-by-user"
    CHANGE_BY_PURPOSE = "update-meta-by-purpose"
    CHANGE_BY_USER = "update-meta-by-user"
    LOG = "system-log"
    VERIFY = "verify-deletion"


@dataclass(frozen=True, slots=True)
class Mix:
    """How often a role asks for what, and whether some records are asked for more than others."""

    shares: Mapping[Kind, float]
    zipfian: bool


MIXES: Final[Mapping[str, Mix]] = {
    "controller": Mix(
        {Kind.INSERT: 0.25, Kind.DELETE: 0.25, Kind.CHANGE_BY_PURPOSE: 0.25, Kind.CHANGE_BY_USER: 0.25}, zipfian=False
    ),
    "customer": Mix(
        {
            Kind.READ: 0.2,
            Kind.UPDATE: 0.2,
            Kind.DELETE: 0.2,
            Kind.META_BY_PURPOSE: 0.1,
            Kind.META_BY_USER: 0.1,
            Kind.CHANGE_BY_PURPOSE: 0.1,
            Kind.CHANGE_BY_USER: 0.1,
        },
        zipfian=True,
    ),
    "processor": Mix({Kind.READ: 0.2, Kind.META_BY_PURPOSE: 0.4, Kind.META_BY_USER: 0.4}, zipfian=False),
    "regulator": Mix({Kind.META_BY_USER: 0.46, Kind.LOG: 0.31, Kind.VERIFY: 0.23}, zipfian=True),
}


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation on one record (its number also names user and purpose)."""

    kind: Kind
    record: int


class Generator:
    """Draws operations; it knows which records live, so that none asks in vain."""

    def __init__(self, records: int, seed: int) -> None:
        self.users = records
        self._random = random.Random(seed)  # noqa: S311  # made-up people: the same every time
        self._living = set(range(records))
        self._next = records
        self._dead: list[int] = []
        self._weights = list(accumulate(1 / (rank + 1) ** _SKEW for rank in range(records)))

    def draw(self, mix: Mix, count: int) -> list[Operation]:
        """Return the next operations of a role."""
        kinds = self._random.choices(list(mix.shares), list(mix.shares.values()), k=count)
        return [Operation(kind, self._record(kind, mix)) for kind in kinds]

    def _record(self, kind: Kind, mix: Mix) -> int:
        if kind is Kind.INSERT:
            self._next += 1
            self._living.add(self._next - 1)
            return self._next - 1
        if kind is Kind.VERIFY and self._dead:
            return self._random.choice(self._dead)
        record = self._existing(mix)
        if kind is Kind.DELETE:
            self._living.discard(record)
            self._dead.append(record)
        return record

    def _existing(self, mix: Mix) -> int:
        """Draw a record; one that was deleted stands for the next one that lives."""
        if mix.zipfian:
            rank = bisect_left(self._weights, self._random.random() * self._weights[-1])
            record = rank * _SCATTER % self.users
        else:
            record = self._random.randrange(self._next)
        while record not in self._living:
            record = (record + 1) % self._next
        return record
