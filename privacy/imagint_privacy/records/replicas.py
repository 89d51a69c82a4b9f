"""Which processes hold this tenant's tree open, at which generation, and when the last old key has left memory.

A replica says what it holds on every beat; one that says nothing is covered by the age bound of its cache. It must
not open a key.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from imagint_privacy.keys.ports import RootRecord
from imagint_privacy.records.context import Context
from imagint_privacy.records.results import CopySeen, LibraryStatus, ReplicaSeen
from imagint_privacy.records.schema import COPIES, REPLICAS

QUIET: Final = timedelta(seconds=2)
"""A beat that would say the same again is written this seldom."""
MARGIN: Final = timedelta(seconds=1)
"""Allowed for clocks that differ."""
_FORGOTTEN: Final = timedelta(minutes=10)


def acknowledge(context: Context, generation: int) -> None:
    """Say that this replica holds no generation older than this one.

    Raises:
        StorageUnavailableError: the database does not answer.
    """
    now = context.now()
    me = REPLICAS.c.id == context.replica
    with context.database.read() as connection:
        seen = connection.execute(select(REPLICAS).where(me)).one_or_none()
    if seen is not None and seen.generation == generation and now - seen.seen_at < QUIET:
        return
    with context.database.write() as connection:
        values = {"generation": generation, "seen_at": now}
        if not connection.execute(update(REPLICAS).where(me).values(values)).rowcount:
            try:
                with connection.begin_nested():
                    connection.execute(insert(REPLICAS).values(id=context.replica, **values))
            except IntegrityError:
                connection.execute(update(REPLICAS).where(me).values(values))
        connection.execute(delete(REPLICAS).where(REPLICAS.c.seen_at < now - _FORGOTTEN))


def leave(context: Context) -> None:
    """Say that this replica holds nothing any more: call it after its keys are wiped, so that nobody waits for it.

    Raises:
        StorageUnavailableError: the database does not answer; the age bound of the cache covers for the row.
    """
    with context.database.write() as connection:
        connection.execute(delete(REPLICAS).where(REPLICAS.c.id == context.replica))


def seen(context: Context) -> tuple[ReplicaSeen, ...]:
    """Return every replica known.

    Raises:
        StorageUnavailableError: the database does not answer.
    """
    with context.database.read() as connection:
        rows = connection.execute(select(REPLICAS).order_by(REPLICAS.c.id)).all()
    return tuple(ReplicaSeen(row.id, row.generation, row.seen_at) for row in rows)


def open_until(replica: ReplicaSeen, generation: int, committed_at: datetime, cache_seconds: float) -> datetime | None:
    """Return until when a replica may keep keys of before a commit in memory; None if it said it does not.

    It confirmed an older root at the latest when the commit was made, and drops what it confirmed `cache_seconds`
    later. When it was last seen says nothing: a replica whose beats do not get through may serve all the same.
    """
    if replica.generation >= generation:
        return None
    return committed_at + timedelta(seconds=cache_seconds) + MARGIN


def status(context: Context, root: RootRecord) -> LibraryStatus:
    """Put together how the library is doing.

    Raises:
        StorageUnavailableError: the database does not answer.
    """
    with context.database.read() as connection:
        rows = connection.execute(select(COPIES).order_by(COPIES.c.store)).all()
    copies = tuple(CopySeen(row.store, row.generation, row.verified_at) for row in rows)
    return LibraryStatus(root.generation, root.key_version, seen(context), copies, context.cache_seconds)
