"""The purpose gate inside a transaction: gather how a subject stands, then let `purposes.decide` judge.

It must not judge by itself, and nothing else may read fences or incarnations to decide an access.
"""

from __future__ import annotations

from sqlalchemy import Connection, select

from imagint_privacy.purposes import Access, Standing, decide
from imagint_privacy.records import database
from imagint_privacy.records.schema import FENCES, INCARNATIONS


def standing(connection: Connection, subject: str) -> Standing:
    """Gather how a subject stands, as this transaction sees it."""
    fences = select(FENCES.c.category).where(FENCES.c.subject == subject)
    lives = select(INCARNATIONS.c.category, INCARNATIONS.c.incarnation).where(INCARNATIONS.c.subject == subject)
    fenced = frozenset(connection.execute(fences).scalars())
    return Standing(fenced, {row.category: row.incarnation for row in connection.execute(lives)})


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
