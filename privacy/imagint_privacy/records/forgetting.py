"""The steps that every forgetting has in common, whatever it forgets: one person's data, or everybody's old data.

    commit -> copies -> caches -> purge -> complete

Every step is recorded in the transaction that does it, may be asked for again at any time, and resumes after a crash.
Rotating and trimming the tenant's key lie between these steps and are the operator's: this side can read, and so must
not be able to destroy. What is forgotten is the subclass's to say (`erasures`, `retention_runs`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from typing import Any, Generic

from sqlalchemy import Connection

from imagint_privacy.errors import CopyFailedError, StorageUnavailableError
from imagint_privacy.keys.paths import Prefix
from imagint_privacy.keys.ports import TreeChange
from imagint_privacy.records import copying, ledger, purging, replicas
from imagint_privacy.records.context import Context
from imagint_privacy.records.ledger import Ledger, S
from imagint_privacy.records.results import CachesDropped, Committed, Copied, Purged, StorePurged, Waiting

Noting = Callable[[Connection, S, TreeChange], Mapping[str, Any]]
"""What else a commit writes about its request, in the commit's own transaction; what it raises undoes the commit."""


class Forgetting(ABC, Generic[S]):
    """One tenant's requests of one kind; thread-safe."""

    def __init__(self, context: Context, book: Ledger[S]) -> None:
        self._context = context
        self._book = book

    def status(self, request: str) -> S:
        """Return a request as it stands.

        Raises:
            RequestMissingError: there is none of that id.
            StorageUnavailableError: the database does not answer.
        """
        with self._context.database.read() as connection:
            return self._book.load(connection, request)

    def copies(self, request: str) -> Copied:
        """Bring the new tree to every configured copy, and read it back: durability before destruction.

        Raises:
            CopyFailedError: a copy could not be written, or did not read back.
            RequestMissingError, RequestConflictError: unknown, or not committed yet.
            StorageUnavailableError: the database does not answer.
        """
        found = self._at_least(request, "Committed")
        if not self._book.reached(found, "Copied"):
            made = copying.copy_tree(self._context)
            with self._context.database.write() as connection:
                if self._book.load(connection, request, lock=True).generation != found.generation:
                    raise CopyFailedError("the tree was wrapped anew while it was copied")
                results = {"copies": made, "copied_at": self._context.now()}
                found = self._book.advance(connection, request, "Copied", results)
        return Copied(ledger.copies(found))

    def caches(self, request: str) -> CachesDropped | Waiting:
        """Say whether every replica has dropped the old generation: it said so, or its keys' age is over.

        Raises:
            RequestMissingError, RequestConflictError: unknown, or not copied yet.
            KeysUnavailableError, StorageUnavailableError: try again.
        """
        context = self._context
        found = self._at_least(request, "Copied")
        if found.committed_at is None or found.generation is None:
            raise self._book.conflict(f"{self._book.what} {request} was never committed")
        if not self._book.reached(found, "CachesDropped"):
            replicas.acknowledge(context, context.tree.refresh())
        known = replicas.seen(context)
        if not self._book.reached(found, "CachesDropped"):
            made_by = _made_by(found, found.committed_at)
            bounds = [
                replicas.open_until(replica, found.generation, made_by, context.cache_seconds) for replica in known
            ]
            wait = max((bound - context.now() for bound in bounds if bound is not None), default=timedelta())
            if wait > timedelta():
                return Waiting(round(min(wait.total_seconds(), 1.0), 3))
            self._advance(request, "CachesDropped", {"caches": {"bound_seconds": context.cache_seconds}})
        return CachesDropped(known, context.cache_seconds)

    def purge(self, request: str) -> Purged:
        """Delete rows, objects and outdated nodes of copies as well, and count what is left: nothing.

        Raises:
            RequestMissingError, RequestConflictError: unknown, or caches not dropped yet.
            StorageUnavailableError: something is left, or a store does not answer: try again.
        """
        found = self._at_least(request, "CachesDropped")
        if not self._book.reached(found, "Purged"):
            self._delete(found)
            swept = copying.sweep_copies(self._context)
            purging.wipe_log(self._context)
            self._context.guard.arm(self._context.tree.root().key_version)  # trimmed: Vault must go on refusing
            stores = (*self._remaining(self.status(request)), *swept)
            left = sum(store.remaining for store in stores)
            if left:
                raise StorageUnavailableError(f"the purge of {request} left {left} behind")
            found = self._advance(request, "Purged", {"purge": stores})
        return Purged(ledger.stores(found))

    # -- what the subclasses say -----------------------------------------------------------------------------------

    @abstractmethod
    def _delete(self, found: S) -> None:
        """Delete rows and objects, and note with `_note_deleted` how many."""

    @abstractmethod
    def _remaining(self, found: S) -> list[StorePurged]:
        """Count what was deleted, and what is left."""

    # -- parts of steps ----------------------------------------------------------------------------------------------

    def _at_least(self, request: str, state: str) -> S:
        found = self.status(request)
        self._book.require(found, state)
        return found

    def _advance(self, request: str, state: str, results: Mapping[str, Any]) -> S:
        with self._context.database.write() as connection:
            return self._book.advance(connection, request, state, results)

    def _needs_commit(self, found: S, key_version: int) -> bool:
        """Say whether a commit has something to do: it was not done, or the key has a newer version since.

        Raises:
            RequestConflictError: the request is complete, and the root is older than `key_version`.
        """
        done = self._book.reached(found, "Committed")
        if done and self._context.tree.root().key_version >= key_version:
            return False
        self._refuse_complete(found)
        return True

    def _forget(self, request: str, prefixes: Collection[Prefix], key_version: int, noting: Noting[S]) -> None:
        """Forget in one transaction: new nodes, a new root under `key_version` or newer, and the record of it."""

        def note(connection: Connection, change: TreeChange) -> None:
            before = self._book.load(connection, request, lock=True)
            self._refuse_complete(before)
            values = {
                "generation": change.root.generation,
                "key_version": change.root.key_version,
                "forgotten_paths": before.forgotten_paths + change.forgotten,
                "committed_at": self._context.now(),
            }
            self._book.save(connection, request, {**values, **noting(connection, before, change)})

        self._context.tree.forget(prefixes, key_version=key_version, alongside=note)

    def _refuse_complete(self, found: S) -> None:
        """Refuse to commit what is complete.

        Raises:
            RequestConflictError: it is.
        """
        if found.state == "Complete":
            raise self._book.conflict(f"{self._book.what} {found.request} is complete")

    def _note_deleted(self, connection: Connection, request: str, counts: Mapping[str, int]) -> None:
        """Record how many were deleted, over all attempts, in the transaction that deletes them."""
        found = self._book.load(connection, request, lock=True)
        before = found.results.get("deleted", {})
        total = {**before, **{name: count + before.get(name, 0) for name, count in counts.items()}}
        self._book.save(connection, request, {"results": ledger.dump({**found.results, "deleted": total})})


def committed(found: ledger.Progress) -> Committed:
    """Return what a commit answers."""
    return Committed(found.generation or 0, found.key_version or 0, found.forgotten_paths)


def _made_by(found: ledger.Progress, committed_at: datetime) -> datetime:
    """Return a moment at which the commit was surely made: it writes its own moment before it waits and is made."""
    copied_at = found.results.get("copied_at")
    return committed_at if copied_at is None else max(committed_at, datetime.fromisoformat(copied_at))
