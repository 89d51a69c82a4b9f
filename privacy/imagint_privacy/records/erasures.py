"""The data plane's side of an erasure, step by step, as the Gateway's privacy API offers it.

    fence -> commit -> copies -> caches -> purge -> complete

Every step is recorded in the transaction that does it, may be asked for again at any time, and resumes after a crash.
Rotating and trimming the tenant's key lie between these steps and are the operator's: this side can read, and so must
not be able to destroy.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, insert, update

from imagint_privacy import subjects
from imagint_privacy.errors import ErasureConflictError, PathInvalidError, StorageUnavailableError
from imagint_privacy.keys.paths import KeyPath, Prefix, check_category
from imagint_privacy.keys.ports import TreeChange
from imagint_privacy.purposes import EVERY
from imagint_privacy.records import canaries, copying, gate, ledger, purging, replicas
from imagint_privacy.records.context import Context
from imagint_privacy.records.results import (
    CachesDropped,
    Canaries,
    Committed,
    Completed,
    Copied,
    ErasureStatus,
    Holdings,
    Purged,
    Root,
    StorePurged,
    Waiting,
)
from imagint_privacy.records.schema import ERASURES, FENCES, INCARNATIONS


class Erasures:
    """One tenant's erasures; thread-safe."""

    def __init__(self, context: Context) -> None:
        self._context = context

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
            erasure = ledger.find(connection, request)
            if erasure is None:
                erasure = self._raise_fence(connection, request, subject, scope, received_at)
        if (erasure.subject, erasure.categories) != (subject, scope):
            raise ErasureConflictError(f"erasure {request} is known with another scope")
        return self._counted(erasure) if erasure.state == "Fencing" else erasure

    def status(self, request: str) -> ErasureStatus:
        """Return an erasure as it stands.

        Raises:
            ErasureMissingError: there is none of that id.
            StorageUnavailableError: the database does not answer.
        """
        with self._context.database.read() as connection:
            return ledger.load(connection, request)

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
        if not ledger.reached(erasure, "Committed") or self._context.tree.root().key_version < key_version:
            if erasure.state == "Complete":
                raise ErasureConflictError(f"erasure {request} is complete")
            self._context.tree.forget(
                _prefixes(erasure),
                key_version=key_version,
                alongside=lambda connection, change: self._note_commit(connection, request, change),
            )
            erasure = self.status(request)
        return Committed(erasure.generation or 0, erasure.key_version or 0, erasure.forgotten_paths)

    def copies(self, request: str) -> Copied:
        """Bring the new tree to every configured copy, and read it back: durability before destruction.

        Raises:
            CopyFailedError: a copy could not be written, or did not read back.
            ErasureMissingError, ErasureConflictError: unknown, or not committed yet.
            StorageUnavailableError: the database does not answer.
        """
        erasure = self._at_least(request, "Committed")
        if not ledger.reached(erasure, "Copied"):
            made = copying.copy_tree(self._context)
            erasure = self._advance(request, "Copied", {"copies": made})
        return Copied(ledger.copies(erasure))

    def caches(self, request: str) -> CachesDropped | Waiting:
        """Say whether every replica has dropped the old generation: it said so, or its keys' age is over.

        Raises:
            ErasureMissingError, ErasureConflictError: unknown, or not copied yet.
            KeysUnavailableError, StorageUnavailableError: try again.
        """
        context = self._context
        erasure = self._at_least(request, "Copied")
        if erasure.committed_at is None or erasure.generation is None:
            raise ErasureConflictError(f"erasure {request} was never committed")
        if not ledger.reached(erasure, "CachesDropped"):
            replicas.acknowledge(context, context.tree.refresh())
        known = replicas.seen(context)
        if not ledger.reached(erasure, "CachesDropped"):
            bounds = [
                replicas.open_until(replica, erasure.generation, erasure.committed_at, context.cache_seconds)
                for replica in known
            ]
            wait = max((bound - context.now() for bound in bounds if bound is not None), default=timedelta())
            if wait > timedelta():
                return Waiting(round(min(wait.total_seconds(), 1.0), 3))
            self._advance(request, "CachesDropped", {"caches": {"bound_seconds": context.cache_seconds}})
        return CachesDropped(known, context.cache_seconds)

    def purge(self, request: str) -> Purged:
        """Delete rows, objects and outdated nodes of copies as well, and count what is left: nothing.

        Raises:
            ErasureMissingError, ErasureConflictError: unknown, or caches not dropped yet.
            StorageUnavailableError: something is left, or a store does not answer: try again.
        """
        erasure = self._at_least(request, "CachesDropped")
        if not ledger.reached(erasure, "Purged"):
            purging.delete_objects(self._context, erasure.subject, erasure.categories)
            with self._context.database.write() as connection:
                deleted = self._note_deleted(connection, request)
            swept = copying.sweep_copies(self._context)
            purging.wipe_log(self._context)
            self._context.guard.arm(self._context.tree.root().key_version)  # trimmed: Vault must go on refusing
            stores = (*self._remaining(erasure, deleted), *swept)
            left = sum(store.remaining for store in stores)
            if left:
                raise StorageUnavailableError(f"the purge of {request} left {left} behind")
            erasure = self._advance(request, "Purged", {"purge": stores})
        return Purged(ledger.stores(erasure))

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
                ledger.require(erasure, "Purged")
            purging.delete_objects(self._context, erasure.subject, erasure.categories)
            with self._context.database.write() as connection:
                connection.execute(delete(FENCES).where(FENCES.c.request == request))
                ledger.save(connection, request, {"state": "Complete", "completed_at": self._context.now()})
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
        if erasure.subject != subject or ledger.reached(erasure, "Committed"):
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

    def _at_least(self, request: str, state: str) -> ErasureStatus:
        erasure = self.status(request)
        ledger.require(erasure, state)
        return erasure

    def _advance(self, request: str, state: str, results: dict[str, Any]) -> ErasureStatus:
        with self._context.database.write() as connection:
            return ledger.advance(connection, request, state, results)

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
        return ledger.load(connection, request)

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
            if ledger.load(connection, erasure.request, lock=True).state == "Fencing":
                ledger.save(connection, erasure.request, values)
            return ledger.load(connection, erasure.request)

    def _held(self, subject: str, categories: Sequence[str]) -> Holdings:
        paths = self._paths(subject, categories)
        with self._context.database.read() as connection:
            counted = purging.held(connection, subject, categories)
        return Holdings(len(paths), counted.records, counted.objects)

    def _paths(self, subject: str, categories: Sequence[str]) -> tuple[KeyPath, ...]:
        paths = self._context.tree.paths(subject)
        return tuple(path for path in paths if not categories or path.category in categories)

    def _note_commit(self, connection: Connection, request: str, change: TreeChange) -> None:
        """Record a commit inside its own transaction; what follows is done again for a root wrapped anew."""
        before = ledger.load(connection, request, lock=True)
        if before.state == "Complete":
            raise ErasureConflictError(f"erasure {request} is complete")
        values = {
            "state": "Committed",
            "generation": change.root.generation,
            "key_version": change.root.key_version,
            "forgotten_paths": before.forgotten_paths + change.forgotten,
            "committed_at": self._context.now(),
        }
        ledger.save(connection, request, values)

    def _note_deleted(self, connection: Connection, request: str) -> dict[str, int]:
        """Delete rows and record how many, over all attempts, inside one transaction."""
        erasure = ledger.load(connection, request, lock=True)
        counts = purging.delete_rows(connection, erasure.subject, erasure.categories)
        before = erasure.results.get("deleted", {})
        total = {name: count + before.get(name, 0) for name, count in counts.items()}
        ledger.save(connection, request, {"results": ledger.dump({**erasure.results, "deleted": total})})
        return total

    def _remaining(self, erasure: ErasureStatus, deleted: dict[str, int]) -> list[StorePurged]:
        subject, categories = erasure.subject, erasure.categories
        with self._context.database.read() as connection:
            rows = purging.remaining_rows(connection, subject, categories)
        objects = rows["objects"] + len(purging.old_objects(self._context, subject, categories))
        return [
            StorePurged("tree", erasure.forgotten_paths, len(self._paths(subject, categories))),
            StorePurged("records", deleted["records"], rows["records"]),
            StorePurged("objects", deleted["objects"], objects),
        ]


def _prefixes(erasure: ErasureStatus) -> list[Prefix]:
    if not erasure.categories:
        return [Prefix(erasure.subject)]
    return [Prefix(erasure.subject, category) for category in erasure.categories]
