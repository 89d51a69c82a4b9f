"""The data plane's side of an erasure, step by step, as the Gateway's privacy API offers it.

    fence -> commit -> copies -> caches -> purge -> complete

The steps from the commit on are those of every forgetting (`forgetting`); what is an erasure's own is here: whom it
fences, what it counts, what it deletes, and the canaries that show it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, insert, update

from imagint_privacy import subjects
from imagint_privacy.errors import ErasureConflictError, ErasureMissingError, PathInvalidError
from imagint_privacy.keys.paths import KeyPath, Prefix, check_category
from imagint_privacy.purposes import EVERY
from imagint_privacy.records import canaries, gate, ledger, purging, restrictions
from imagint_privacy.records.context import Context
from imagint_privacy.records.forgetting import Forgetting, committed
from imagint_privacy.records.ledger import Ledger
from imagint_privacy.records.results import Canaries, Committed, Completed, ErasureStatus, Holdings, Root, StorePurged
from imagint_privacy.records.schema import ERASURES, FENCES, INCARNATIONS
from imagint_privacy.records.schema import RETENTION_EXCEPTIONS as EXCEPTIONS


class Erasures(Forgetting[ErasureStatus]):
    """One tenant's erasures; thread-safe."""

    def __init__(self, context: Context) -> None:
        super().__init__(context, BOOK)

    def fence(
        self, request: str, subject: str, categories: Sequence[str] = (), *, received_at: datetime
    ) -> ErasureStatus:
        """Stop new writes for a subject, or some categories of it, void the running ones, and count what is held.

        Raises:
            ErasureConflictError: the request is known with another subject or other categories.
            PathInvalidError: the subject is no handle, or a name is outside its grammar.
            KeysUnavailableError, StorageUnavailableError: try again.
        """
        if not subjects.is_handle(subject):
            raise PathInvalidError("only a subject's handle can be erased")
        scope = tuple(sorted({check_category(category) for category in categories}))
        with self._context.database.write() as connection:
            gate.hold(connection, fencing=True)
            erasure = BOOK.find(connection, request)
            if erasure is None:
                erasure = self._raise_fence(connection, request, subject, scope, received_at)
        if (erasure.subject, erasure.categories) != (subject, scope):
            raise ErasureConflictError(f"erasure {request} is known with another scope")
        return self._counted(erasure) if erasure.state == "Fencing" else erasure

    def commit(self, request: str, key_version: int) -> Committed:
        """Forget, in one transaction: new nodes, a new root under `key_version` or newer, and this record of it.

        Asked again, it answers the same, unless `key_version` is newer than the root's: then the root is wrapped anew.

        Raises:
            KeyVersionBehindError: the tenant's key has no such version yet.
            ErasureMissingError: there is none of that id.
            ErasureConflictError: the erasure is complete, and the root is older than `key_version`.
            KeysUnavailableError, StorageUnavailableError, TreeContendedError: try again.
        """
        erasure = self._at_least(request, "Fenced")
        if self._needs_commit(erasure, key_version):
            # What follows a commit is done again for a root wrapped anew: so the state goes back to Committed.
            self._forget(request, _prefixes(erasure), key_version, lambda *_: {"state": "Committed"})
            erasure = self.status(request)
        return committed(erasure)

    def complete(self, request: str) -> Completed:
        """Lift the fence. The tombstone stays: what began before the erasure is refused for ever.

        An erasure of somebody of whom nothing is held may be completed straight from its fence.

        Raises:
            ErasureMissingError, ErasureConflictError: unknown, or not purged yet though something is held.
            StorageUnavailableError: try again.
        """
        erasure = self.status(request)
        if erasure.state != "Complete":
            if erasure.state != "Fenced" or erasure.held != Holdings():
                BOOK.require(erasure, "Purged")
            subject, categories, now = erasure.subject, erasure.categories, self._context.now()
            purging.delete_objects(self._context, subject, categories)
            with self._context.database.write() as connection:
                connection.execute(delete(FENCES).where(FENCES.c.request == request))
                restrictions.lift_erased(connection, request, subject, categories, now)
                if not categories:
                    connection.execute(delete(EXCEPTIONS).where(EXCEPTIONS.c.subject == subject))
                BOOK.save(connection, request, {"state": "Complete", "completed_at": now})
        # The database's log still holds the fence; asked again after a failure, this is all that is left to do.
        purging.wipe_log(self._context)
        return Completed()

    def holdings(self, subject: str) -> Holdings:
        """Count what is held of a subject.

        Raises:
            PathInvalidError: the subject is no handle.
            KeysUnavailableError, StorageUnavailableError: try again.
        """
        if not subjects.is_handle(subject):
            raise PathInvalidError("only a subject's handle has holdings")
        return self._held(subject, ())

    def root(self) -> Root:
        """Return the wrapped root of the current tree.

        Raises:
            KeysUnavailableError, StorageUnavailableError: try again.
        """
        record = self._context.tree.root()
        return Root(record.generation, self._context.key_name, record.key_version, record.wrapped)

    def seal_canaries(self, request: str, subject: str, nonce: bytes) -> Canaries:
        """Seal a nonce under every key to be erased and under some that must survive.

        Raises:
            ErasureMissingError: there is no such erasure.
            ErasureConflictError: it is of another subject, or the keys are gone already.
            KeysUnavailableError, StorageUnavailableError: try again.
        """
        erasure = self._at_least(request, "Fenced")
        if erasure.subject != subject or BOOK.reached(erasure, "Committed"):
            raise ErasureConflictError(f"erasure {request} takes no canaries of this subject now")
        return canaries.seal_all(self._context, request, self._paths(subject, erasure.categories), nonce)

    def open_canary(self, sealed: str) -> bytes:
        """Return the nonce of a canary.

        Raises:
            KeyDestroyedError: its key is gone.
            RecordTamperedError: it is no canary of this tenant.
            KeysUnavailableError, StorageUnavailableError: try again.
        """
        return canaries.open_one(self._context, sealed)

    # -- steps -----------------------------------------------------------------------------------------------------

    def _raise_fence(
        self, connection: Connection, request: str, subject: str, scope: tuple[str, ...], received_at: datetime
    ) -> ErasureStatus:
        """Begin: fence, end this life of the subject or of the categories, and note the erasure."""
        now = self._context.now()
        standing = gate.standing(connection, subject)
        for category in scope or (EVERY,):
            here = (INCARNATIONS.c.subject == subject, INCARNATIONS.c.category == category)
            life = {"incarnation": standing.erased.get(category, 0) + 1, "since": now}
            if not connection.execute(update(INCARNATIONS).where(*here).values(life)).rowcount:
                connection.execute(insert(INCARNATIONS).values(subject=subject, category=category, **life))
            connection.execute(insert(FENCES).values(request=request, category=category, subject=subject, since=now))
        row = {
            "request": request,
            "subject": subject,
            "categories": ledger.dump(scope),
            "state": "Fencing",
            "received_at": received_at,
            "fenced_at": now,
            "incarnation": max(standing.incarnation(category) for category in scope or (EVERY,)),
            "held": ledger.dump(Holdings()),
            "forgotten_paths": 0,
            "results": ledger.dump({}),
        }
        connection.execute(insert(ERASURES).values(row))
        return BOOK.load(connection, request)

    def _counted(self, erasure: ErasureStatus) -> ErasureStatus:
        """Count what is held now that nothing can be added, and finish the fence."""
        held = self._held(erasure.subject, erasure.categories)
        record = self._context.tree.root()
        values = {
            "state": "Fenced",
            "held": ledger.dump(held),
            "generation": record.generation,
            "key_version": record.key_version,
        }
        with self._context.database.write() as connection:
            if BOOK.load(connection, erasure.request, lock=True).state == "Fencing":
                BOOK.save(connection, erasure.request, values)
            return BOOK.load(connection, erasure.request)

    def _held(self, subject: str, categories: Sequence[str]) -> Holdings:
        paths = self._paths(subject, categories)
        with self._context.database.read() as connection:
            counted = purging.held(connection, subject, categories)
        return Holdings(len(paths), counted.records, counted.objects)

    def _paths(self, subject: str, categories: Sequence[str]) -> tuple[KeyPath, ...]:
        paths = self._context.tree.paths(subject)
        return tuple(path for path in paths if not categories or path.category in categories)

    def _delete(self, found: ErasureStatus) -> None:
        subject, categories = found.subject, found.categories
        purging.delete_objects(self._context, subject, categories)
        with self._context.database.write() as connection:
            self._note_deleted(connection, found.request, purging.delete_rows(connection, subject, categories))

    def _remaining(self, found: ErasureStatus) -> list[StorePurged]:
        subject, categories, deleted = found.subject, found.categories, found.results["deleted"]
        with self._context.database.read() as connection:
            rows = purging.remaining_rows(connection, subject, categories)
        objects = rows["objects"] + len(purging.old_objects(self._context, subject, categories))
        return [
            StorePurged("tree", found.forgotten_paths, len(self._paths(subject, categories))),
            StorePurged("records", deleted["records"], rows["records"]),
            StorePurged("objects", deleted["objects"], objects),
        ]


def _status(row: Row[Any]) -> ErasureStatus:
    return ErasureStatus(
        request=row.request,
        state=row.state,
        subject=row.subject,
        categories=tuple(json.loads(row.categories)),
        received_at=row.received_at,
        fenced_at=row.fenced_at,
        held=ledger.holdings(json.loads(row.held)),
        incarnation=row.incarnation,
        generation=row.generation,
        key_version=row.key_version,
        forgotten_paths=row.forgotten_paths,
        committed_at=row.committed_at,
        completed_at=row.completed_at,
        results=json.loads(row.results),
    )


BOOK: Final = Ledger(
    "erasure", ERASURES, ("Fencing", "Fenced", *ledger.SHARED), ErasureMissingError, ErasureConflictError, _status
)
"""`Fencing` is a fence whose holdings have not been counted yet."""


def _prefixes(erasure: ErasureStatus) -> list[Prefix]:
    if not erasure.categories:
        return [Prefix(erasure.subject)]
    return [Prefix(erasure.subject, category) for category in erasure.categories]
