"""The purpose gate inside a transaction: gather how a subject stands, then let `purposes.decide` judge.

It must not judge by itself, and nothing else may read fences, incarnations or restrictions to decide an access.
"""

from __future__ import annotations

import json
from collections import Counter
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import (
    CompoundSelect,
    Connection,
    Integer,
    String,
    Text,
    bindparam,
    case,
    cast,
    literal,
    null,
    select,
    union_all,
)

from imagint_privacy.purposes import Access, Purpose, Standing, decide
from imagint_privacy.records import database
from imagint_privacy.records.schema import FENCES, INCARNATIONS, RESTRICTIONS

_FENCE: Final = "Fence"
_LIFE: Final = "Life"


class Kind(StrEnum):
    """The reversible states."""

    RESTRICT = "Restrict"
    OBJECT = "Object"


def _question() -> CompoundSelect[Any]:
    """Ask for fences, lives and restrictions at once; `number` is a life, or 1 for what stands and 0 for what stood."""
    subject, nothing = bindparam("subject", type_=String), cast(null(), Text)
    stands = case((RESTRICTIONS.c.lifted_at.is_(None), 1), else_=0)
    fences = select(
        literal(_FENCE, String).label("what"),
        FENCES.c.category,
        literal(1, Integer).label("number"),
        nothing.label("purposes"),
    ).where(FENCES.c.subject == subject)
    lives = select(literal(_LIFE, String), INCARNATIONS.c.category, INCARNATIONS.c.incarnation, nothing).where(
        INCARNATIONS.c.subject == subject
    )
    restrictions = select(RESTRICTIONS.c.kind, RESTRICTIONS.c.category, stands, RESTRICTIONS.c.purposes).where(
        RESTRICTIONS.c.subject == subject
    )
    return union_all(fences, lives, restrictions)


_QUESTION: Final = _question()


def standing(connection: Connection, subject: str) -> Standing:
    """Gather how a subject stands, as this transaction sees it: one question to the database."""
    fenced: set[str] = set()
    restricted: set[str] = set()
    lives: dict[str, int] = {}
    restrictions: Counter[str] = Counter()
    objected: dict[Purpose, set[str]] = {}
    for row in connection.execute(_QUESTION, {"subject": subject}):
        if row.what == _FENCE:
            fenced.add(row.category)
        elif row.what == _LIFE:
            lives[row.category] = row.number
        elif row.what == Kind.RESTRICT:
            restrictions[row.category] += 1
            restricted |= {row.category} if row.number else set()
        elif row.number:
            for purpose in json.loads(row.purposes):
                objected.setdefault(Purpose(purpose), set()).add(row.category)
    objections = {purpose: frozenset(categories) for purpose, categories in objected.items()}
    return Standing(frozenset(fenced), lives, frozenset(restricted), dict(restrictions), objections)


def check(connection: Connection, access: Access) -> Standing:
    """Return the standing if the access is allowed.

    Raises:
        AccessDeniedError: it is not.
    """
    found = standing(connection, access.subject)
    decide(access, found)
    return found


def hold(connection: Connection, *, fencing: bool) -> None:
    """Make writers and fences of one tenant wait for each other; writers that keep coming do not starve a fence."""
    database.hold(connection, database.Lock.FENCES, exclusive=fencing)
