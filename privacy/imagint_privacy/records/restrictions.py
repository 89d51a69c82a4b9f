"""Restrict and object: states of a subject that end as they began, with every byte where it was.

A restriction (GDPR 18, and the limits of the CCPA) leaves the data stored and stops every use but the person's own
rights. An objection (GDPR 21) stops the purposes that it names. Several at once stack: each stands until it is lifted
itself. What they stop is decided in `purposes`; here they are only noted, in the transaction that running writers
wait for. A completed erasure lifts what stood over the erased; the row stays as the tombstone that refuses writes
which began before. It must not touch a record or a key.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, insert, select, update

from imagint_privacy import subjects
from imagint_privacy.errors import (
    NotObjectableError,
    PathInvalidError,
    RestrictionConflictError,
    RestrictionMissingError,
)
from imagint_privacy.keys.paths import check_category
from imagint_privacy.purposes import EVERY, OBJECTABLE, Purpose
from imagint_privacy.records import gate, ledger
from imagint_privacy.records.context import Context
from imagint_privacy.records.gate import Kind
from imagint_privacy.records.results import Restriction, RestrictionList
from imagint_privacy.records.schema import RESTRICTIONS

LIFTED: Final = "Lifted"
_STATES: Final = {Kind.RESTRICT: "Restricted", Kind.OBJECT: "Objected"}


class Restrictions:
    """One tenant's restrictions and objections; thread-safe."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def restrict(
        self, request: str, subject: str, categories: Sequence[str] = (), *, received_at: datetime
    ) -> Restriction:
        """Let a subject's data, or some categories of it, be stored and nothing else, until lifted.

        Asked again, it answers how the restriction stands now, lifted or not.

        Raises:
            RestrictionConflictError: the request is known for something else.
            PathInvalidError: the subject is no handle, or a name is outside its grammar.
            StorageUnavailableError: try again.
        """
        return self._begin(Kind.RESTRICT, request, subject, (categories, ()), received_at)

    def object_to(
        self,
        request: str,
        subject: str,
        purposes: Collection[Purpose] = (),
        categories: Sequence[str] = (),
        *,
        received_at: datetime,
    ) -> Restriction:
        """Stop some purposes for a subject, by default all that one can object to, until lifted.

        Raises:
            NotObjectableError: nobody can object to one of these purposes.
            RestrictionConflictError, PathInvalidError, StorageUnavailableError: as in `restrict`.
        """
        for purpose in purposes:
            if purpose not in OBJECTABLE:
                raise NotObjectableError(f"nobody can object to {purpose}")
        return self._begin(Kind.OBJECT, request, subject, (categories, purposes or OBJECTABLE), received_at)

    def lift(self, request: str) -> Restriction:
        """End a restriction or an objection; the others of the subject stay.

        Raises:
            RestrictionMissingError: there is none of that id.
            StorageUnavailableError: try again.
        """
        with self._context.database.write() as connection:
            _load(connection, request)
            mine = (RESTRICTIONS.c.request == request, RESTRICTIONS.c.lifted_at.is_(None))
            lifted = {"lifted_at": self._context.now(), "lifted_by": request}
            connection.execute(update(RESTRICTIONS).where(*mine).values(lifted))
            return _load(connection, request)

    def status(self, request: str) -> Restriction:
        """Return a restriction or an objection as it stands.

        Raises:
            RestrictionMissingError: there is none of that id.
            StorageUnavailableError: the database does not answer.
        """
        with self._context.database.read() as connection:
            return _load(connection, request)

    def of(self, subject: str) -> RestrictionList:
        """Return every restriction and objection of a subject, the lifted ones included.

        Raises:
            StorageUnavailableError: the database does not answer.
        """
        query = select(RESTRICTIONS).where(RESTRICTIONS.c.subject == subject)
        rows: dict[str, list[Row[Any]]] = {}
        with self._context.database.read() as connection:
            for row in connection.execute(query.order_by(RESTRICTIONS.c.since, RESTRICTIONS.c.request)):
                rows.setdefault(row.request, []).append(row)
        return RestrictionList(tuple(_restriction(found) for found in rows.values()))

    def _begin(
        self,
        kind: Kind,
        request: str,
        subject: str,
        scope: tuple[Sequence[str], Collection[Purpose]],
        received_at: datetime,
    ) -> Restriction:
        if not subjects.is_handle(subject):
            raise PathInvalidError("only a subject's handle can be restricted")
        ledger.check_request(request)
        categories = tuple(sorted({check_category(category) for category in scope[0]}))
        purposes = tuple(sorted(set(scope[1])))
        with self._context.database.write() as connection:
            gate.hold(connection, fencing=True)
            found = _find(connection, request)
            if found is None:
                common = {"request": request, "subject": subject, "kind": kind, "received_at": received_at}
                common |= {"purposes": ledger.dump(purposes), "since": self._context.now()}
                rows = [{**common, "category": category} for category in categories or (EVERY,)]
                connection.execute(insert(RESTRICTIONS), rows)
                found = _load(connection, request)
        if (found.kind, found.subject, found.categories, found.purposes) != (kind, subject, categories, purposes):
            raise RestrictionConflictError(f"restriction {request} is known with another scope")
        return found


def lift_erased(connection: Connection, request: str, subject: str, categories: Sequence[str], now: datetime) -> None:
    """Lift whatever stood over what an erasure has erased, in the transaction that completes it."""
    over = [RESTRICTIONS.c.subject == subject, RESTRICTIONS.c.lifted_at.is_(None)]
    if categories:
        over.append(RESTRICTIONS.c.category.in_(list(categories)))
    connection.execute(update(RESTRICTIONS).where(*over).values(lifted_at=now, lifted_by=request))


def _find(connection: Connection, request: str) -> Restriction | None:
    query = select(RESTRICTIONS).where(RESTRICTIONS.c.request == ledger.check_request(request))
    rows = connection.execute(query).all()
    return _restriction(rows) if rows else None


def _load(connection: Connection, request: str) -> Restriction:
    found = _find(connection, request)
    if found is None:
        raise RestrictionMissingError(f"no restriction {request}")
    return found


def _restriction(rows: Sequence[Row[Any]]) -> Restriction:
    """Read a restriction from its rows, one a category; it is lifted when every row is."""
    first, lifted = rows[0], [row.lifted_at for row in rows]
    standing = any(moment is None for moment in lifted)
    return Restriction(
        request=first.request,
        kind=first.kind,
        state=_STATES[Kind(first.kind)] if standing else LIFTED,
        subject=first.subject,
        categories=tuple(sorted(row.category for row in rows if row.category != EVERY)),
        purposes=tuple(ledger.load_json(first.purposes)),
        received_at=first.received_at,
        since=first.since,
        lifted_at=None if standing else max(lifted),
    )
