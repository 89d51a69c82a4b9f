"""One tenant's library in one process: sealed records and objects by subject, behind the purpose gate.

Every access names a purpose. What is written is refused if an erasure of its subject began after the job did; the
check and the row are one transaction. It must not decide accesses (`purposes`) nor carry erasures out (`erasures`).
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, NotRequired, TypedDict, Unpack

from imagint_privacy import subjects
from imagint_privacy.errors import (
    PathInvalidError,
    StorageUnavailableError,
)
from imagint_privacy.keys.paths import ALWAYS, KeyPath, check_subject
from imagint_privacy.keys.ports import RootWrapper
from imagint_privacy.keys.seals import Entropy
from imagint_privacy.keys.tree import KeyTree, TreeOptions
from imagint_privacy.purposes import Access, Purpose, Use
from imagint_privacy.records import copying, entries, gate, guarding, migrating, reading, replicas, writing
from imagint_privacy.records.canaries import CANARY
from imagint_privacy.records.context import Context, StorageSettings
from imagint_privacy.records.database import Database
from imagint_privacy.records.entries import Draft, Entry, Opened, OpenedStream, Ticket
from imagint_privacy.records.erasures import Erasures
from imagint_privacy.records.exports import Exports
from imagint_privacy.records.nodes import SqlTreeStore
from imagint_privacy.records.objects import Objects
from imagint_privacy.records.restrictions import Restrictions
from imagint_privacy.records.results import CopyResult, LibraryStatus
from imagint_privacy.records.retention_runs import RetentionRuns

__all__ = ["Draft", "Entry", "Library", "LibraryStatus", "Opened", "OpenedStream", "StorageSettings", "Ticket"]

INDEX: Final = KeyPath(subjects.SYSTEM, "index", ALWAYS)
"""The tenant's index key: the data key of this path itself."""


class Surroundings(TypedDict):
    """How `Library.open` is told about the process around it."""

    key_name: str
    replica: NotRequired[str]
    cache_seconds: NotRequired[float]
    now: NotRequired[Callable[[], datetime]]
    clock: NotRequired[Callable[[], float]]
    entropy: NotRequired[Entropy]


def _utc_now() -> datetime:
    return datetime.now(UTC)


def _context(
    tenant: str, storage: StorageSettings, wrapper: RootWrapper, database: Database, around: Surroundings
) -> Context:
    """Bring the database up to date, make the tree the first time, and put everything together."""
    now, entropy = around.get("now", _utc_now), around.get("entropy", os.urandom)
    seconds = around.get("cache_seconds", 5.0)
    options = TreeOptions(cache_seconds=seconds, clock=around.get("clock", time.monotonic), entropy=entropy)
    copies = tuple(Objects(url) for url in storage.tree_copies)
    migrating.prepare(database, tenant, now())
    store = SqlTreeStore(database)
    guarding.refuse_behind(store, copies)
    guard = guarding.GuardedKey(wrapper, database)
    tree = KeyTree.open(tenant, store, guard, options)
    guard.arm(tree.root().key_version)
    tree.ensure((INDEX, CANARY))
    return Context(
        tenant=tenant,
        key_name=around["key_name"],
        replica=around.get("replica", f"{tenant}-{os.getpid()}"),
        cache_seconds=seconds,
        database=database,
        objects=Objects(storage.objects),
        copies=copies,
        tree=tree,
        guard=guard,
        now=now,
        entropy=entropy,
    )


class Library:
    """One tenant's records, objects and keys; thread-safe."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.tree = context.tree
        self.erasures = Erasures(context)
        self.restrictions = Restrictions(context)
        self.retention = RetentionRuns(context)
        self.exports = Exports(context, self.read_stream)

    @classmethod
    def open(
        cls, tenant: str, storage: StorageSettings, wrapper: RootWrapper, **around: Unpack[Surroundings]
    ) -> Library:
        """Open a tenant's library: bring its database up to date, and make its tree the first time.

        Several processes may do so at once.

        Raises:
            KeysUnavailableError: Vault does not answer.
            StorageUnavailableError: the database or the object store does not answer.
            ForeignTreeError: the database is another tenant's.
            KeyDestroyedError: the database is an old one: its root is wrapped under a version that is gone.
            StaleTreeError: the database is empty or old, and a copy of the tree is newer.
            KeyBehindError, KeyRevivedError: Vault was restored from an old snapshot.
        """
        database = Database(storage.database)
        try:
            context = _context(tenant, storage, wrapper, database, around)
        except BaseException:
            database.close()
            raise
        replicas.acknowledge(context, context.tree.refresh())
        return cls(context)

    def close(self) -> None:
        """Wipe every open key, say so to whoever waits for this replica, and close the database."""
        self.tree.drop()
        with contextlib.suppress(StorageUnavailableError):
            replicas.leave(self.context)
        self.context.database.close()

    def handle(self, identifier: str) -> str:
        """Return the handle of a person.

        Raises:
            PathInvalidError: the identifier is empty.
            KeysUnavailableError, StorageUnavailableError: the index key cannot be read.
        """
        key = self.tree.lookup(INDEX)
        try:
            return subjects.handle(key, identifier)
        except ValueError:
            raise PathInvalidError("an identifier needs at least one visible character") from None

    def begin(self, subject: str, purpose: Purpose) -> Ticket:
        """Let a job begin that will write for a subject.

        Raises:
            SubjectFencedError: an erasure of the subject, or of one of its categories, is under way.
            PurposeRefusedError: the purpose does not write.
            PathInvalidError: the subject is no handle.
        """
        check_subject(subject)
        with self.context.database.read() as connection:
            standing = gate.check(connection, Access(purpose, Use.WRITE, subject))
        return Ticket(subject, purpose, standing)

    def store(self, ticket: Ticket, drafts: Sequence[Draft]) -> tuple[Entry, ...]:
        """Seal and keep all of these, or none; the content of a large one may come in pieces, of any length in all.

        Raises:
            LateWriteError: an erasure of the subject began after the job did.
            SubjectFencedError: an erasure of the subject is under way.
            RecordExistsError: one of the ids is taken.
            RecordSizeError: a content has another length than was said.
            KeysUnavailableError, StorageUnavailableError: nothing was kept.
        """
        return writing.store(self.context, ticket, drafts)

    def entries(
        self,
        subject: str,
        purpose: Purpose,
        *,
        category: str | None = None,
        before: str | None = None,
        limit: int = 1000,
    ) -> tuple[Entry, ...]:
        """List a subject's records, newest first, those older than the record `before` if it is given.

        Raises:
            AccessDeniedError: the purpose gate said no.
            StorageUnavailableError: the database does not answer.
        """
        access = Access(purpose, Use.LIST, check_subject(subject), category or "*")
        with self.context.database.read() as connection:
            gate.check(connection, access)
            return tuple(entries.page(connection, subject, category, before, limit))

    def locate(self, record_id: str, purpose: Purpose) -> Entry:
        """Return a record's entry by its id alone.

        Raises:
            RecordMissingError: there is none.
            AccessDeniedError: the purpose gate said no.
            StorageUnavailableError: the database does not answer.
        """
        with self.context.database.read() as connection:
            return reading.locate(connection, record_id, purpose)

    def read(self, subject: str, record_id: str, purpose: Purpose, *, limit: int | None = None) -> Opened:
        """Open a record of a subject whole, in memory: no more than `limit` bytes, or as many as were recorded.

        Raises:
            RecordMissingError: the subject has no such record.
            RecordSizeError: it is longer than the limit.
            AccessDeniedError: the purpose gate said no.
            KeyDestroyedError: its key is gone.
            RecordTamperedError: it is not what was written.
            KeysUnavailableError, StorageUnavailableError: try again.
        """
        opened = reading.open_stream(self.context, subject, record_id, purpose, limit)
        return Opened(opened.entry, b"".join(opened.chunks))

    def read_stream(self, subject: str, record_id: str, purpose: Purpose) -> OpenedStream:
        """Open a record of a subject chunk by chunk, in constant memory; each chunk was authenticated.

        The first chunk is opened here. Later ones may raise what `read` does, also because the key was forgotten
        meanwhile: only a stream that ends without an error was the whole record.

        Raises:
            RecordMissingError, AccessDeniedError, KeyDestroyedError, RecordTamperedError: as in `read`.
            KeysUnavailableError, StorageUnavailableError: try again.
        """
        return reading.open_stream(self.context, subject, record_id, purpose)

    def delete(self, subject: str, record_id: str, purpose: Purpose) -> None:
        """Delete a record of a subject.

        Raises:
            RecordMissingError: the subject has no such record.
            AccessDeniedError: the purpose gate said no.
            StorageUnavailableError: the database or the object store does not answer.
        """
        writing.remove(self.context, subject, record_id, purpose)

    def sweep_uploads(self, older: timedelta = timedelta(days=1)) -> int:
        """Delete what killed processes announced or wrote of objects, and never kept; return how many.

        No upload may take longer than that: one that does is refused at its end. An erasure deletes the same of its
        subject at once.

        Raises:
            StorageUnavailableError: the database or the object store does not answer.
        """
        return writing.sweep(self.context, self.context.now() - older)

    def beat(self) -> int:
        """Follow the tree and say so: drop what older generations left open, and return the generation held now.

        Raises:
            KeysUnavailableError, StorageUnavailableError: what was open is dropped when its time is over.
        """
        generation = self.tree.refresh()
        replicas.acknowledge(self.context, generation)
        return generation

    def copy_tree(self) -> tuple[CopyResult, ...]:
        """Bring every tree copy up to date; worth doing every few minutes, and an erasure does it anyway.

        Raises:
            CopyFailedError: a copy could not be written, or did not read back.
        """
        return copying.keep_copies(self.context)

    def require_key(self, version: int) -> None:
        """Serve no tree wrapped under an older version of the key, once its age in memory is over."""
        self.context.guard.require(version)

    def status(self) -> LibraryStatus:
        """Say how the library is doing.

        Raises:
            KeysUnavailableError, StorageUnavailableError: it is not doing well.
        """
        return replicas.status(self.context, self.tree.root())
