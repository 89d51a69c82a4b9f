"""What retention must leave: of whom, and which categories, as one transaction sees it.

A restriction withholds if it stood at any moment since the run began, so that what a run left once it leaves to the
end. What an erasure has fenced is the erasure's to forget, and to count. It must not decide what is due.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Final

from sqlalchemy import Connection, or_, select

from imagint_privacy.purposes import EVERY
from imagint_privacy.records.gate import Kind
from imagint_privacy.records.schema import FENCES, RESTRICTIONS
from imagint_privacy.records.schema import RETENTION_EXCEPTIONS as EXCEPTIONS

_CHUNK: Final = 1000


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose run it is that withholds: its request and its beginning, or the exceptions of one that only counts."""

    since: datetime
    request: str | None = None
    excepted: frozenset[str] = frozenset()


def withheld(connection: Connection, subjects: Collection[str], scope: Scope) -> dict[str, frozenset[str]]:
    """Return which categories of these subjects (`*`: all) are not to be forgotten now."""
    found: dict[str, set[str]] = {subject: {EVERY} for subject in scope.excepted.intersection(subjects)}
    for chunk in _chunks(subjects):
        for subject, category in _rows(connection, chunk, scope):
            found.setdefault(subject, set()).add(category)
    return {subject: frozenset(categories) for subject, categories in found.items()}


def _rows(connection: Connection, subjects: list[str], scope: Scope) -> Iterator[tuple[str, str]]:
    restrictions = select(RESTRICTIONS.c.subject, RESTRICTIONS.c.category).where(
        RESTRICTIONS.c.subject.in_(subjects),
        RESTRICTIONS.c.kind == Kind.RESTRICT,
        or_(RESTRICTIONS.c.lifted_at.is_(None), RESTRICTIONS.c.lifted_at >= scope.since),
    )
    fences = select(FENCES.c.subject, FENCES.c.category).where(FENCES.c.subject.in_(subjects))
    for query in (restrictions, fences):
        yield from ((row.subject, row.category) for row in connection.execute(query))
    if scope.request is not None:
        mine = (EXCEPTIONS.c.request == scope.request, EXCEPTIONS.c.subject.in_(subjects))
        yield from ((row.subject, EVERY) for row in connection.execute(select(EXCEPTIONS.c.subject).where(*mine)))


def _chunks(subjects: Collection[str]) -> Iterator[list[str]]:
    remaining = iter(subjects)
    while chunk := list(islice(remaining, _CHUNK)):
        yield chunk
