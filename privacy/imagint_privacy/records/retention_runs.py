"""Retention carried out: everybody's old data forgotten, by the same steps as one person's data on request.

    begin -> commit -> copies -> caches -> purge -> complete

A run forgets what was due when it began. It walks the tree page by page and commits slice by slice: one root change
for all due paths of up to `SLICE` subjects, in the order of their hashes; where a slice ends stands in its own
transaction, so that a crash repeats nothing. One call of `begin` or `commit` looks at `LOOK` subjects at most, so that
each ends in time however large the tree is. Before each commit it asks again who is withheld, holding restrictions off
until the commit is made. What is due is decided in `retention`, what is withheld in `withholding`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, insert, select

from imagint_privacy import subjects
from imagint_privacy.errors import (
    PathInvalidError,
    RetentionConflictError,
    RetentionMissingError,
    TreeContendedError,
)
from imagint_privacy.keys.paths import KeyPath, Prefix
from imagint_privacy.keys.ports import TreeChange
from imagint_privacy.records import gate, ledger, purging
from imagint_privacy.records.context import Context
from imagint_privacy.records.expired import Expired
from imagint_privacy.records.forgetting import Forgetting, committed
from imagint_privacy.records.ledger import Ledger
from imagint_privacy.records.results import (
    Committed,
    Completed,
    RetentionCounts,
    RetentionStatus,
    StorePurged,
    Waiting,
)
from imagint_privacy.records.retention import RuleSet, Sorter
from imagint_privacy.records.schema import OBJECTS, RECORDS, RETENTION_RUNS
from imagint_privacy.records.schema import RETENTION_EXCEPTIONS as EXCEPTIONS
from imagint_privacy.records.withholding import Scope, withheld

SLICE: Final = 10_000
"""How many subjects with something due one commit forgets of at most."""
LOOK: Final = 1_000_000
"""How many subjects one call looks at: about half a minute."""
PAGE: Final = 1000
_ATTEMPTS: Final = 16


@dataclass(slots=True)
class _Slice:
    """What one commit is to forget, and how far it has walked; None: to the end of the tree."""

    prefixes: list[Prefix] = field(default_factory=list)
    subjects: list[str] = field(default_factory=list)
    walked: bytes | None = None


class RetentionRuns(Forgetting[RetentionStatus]):
    """One tenant's runs of retention; thread-safe."""

    def __init__(self, context: Context, *, slice_subjects: int = SLICE, look_subjects: int = LOOK) -> None:
        super().__init__(context, BOOK)
        self._slice_subjects = slice_subjects
        self._look_subjects = look_subjects

    def count(self, rules: RuleSet, excepted: Collection[str] = ()) -> RetentionCounts:
        """Count what a run would forget now, and do nothing.

        Raises:
            PathInvalidError: an exception is no handle.
            KeysUnavailableError, StorageUnavailableError: try again.
        """
        now = self._context.now()
        sorter = Sorter(rules, now)
        for _, paths, kept in self._walk(Scope(now, excepted=_handles(excepted))):
            sorter.due(paths, kept)
        return sorter.counts

    def begin(self, request: str, rules: RuleSet, excepted: Collection[str] = ()) -> RetentionStatus:
        """Begin a run over what is due now, and count it; `excepted` are handles that it must leave.

        While the state is `Counting`, ask again: there is more to count than one call may.

        Raises:
            RetentionConflictError: the request is known with other rules, or with other exceptions.
            PathInvalidError: the request or an exception is outside its grammar.
            KeysUnavailableError, StorageUnavailableError: try again.
        """
        handles = _handles(excepted)
        with self._context.database.write() as connection:
            gate.hold(connection, fencing=True)
            found = BOOK.find(connection, request) or self._note_begun(connection, request, rules, handles)
            mine = select(EXCEPTIONS.c.subject).where(EXCEPTIONS.c.request == request)
            # An erasure of one of them, or the end of the run, has taken its row; the number stays.
            others = not handles.issuperset(connection.execute(mine).scalars())
        if others or (found.rules_digest, found.results["excepted"]) != (rules.digest(), len(handles)):
            raise RetentionConflictError(f"retention run {request} is known with other rules")
        return self._counted(found) if found.state == "Counting" else found

    def commit(self, request: str, key_version: int) -> Committed | Waiting:
        """Forget one slice of what is due, under `key_version` or newer; `Waiting` while more slices are to come.

        Raises:
            KeyVersionBehindError: the tenant's key has no such version yet.
            RetentionMissingError: there is none of that id.
            RetentionConflictError: the run is complete, and the root is older than `key_version`.
            KeysUnavailableError, StorageUnavailableError, TreeContendedError: try again.
        """
        found = self._at_least(request, "Begun")
        if self._needs_commit(found, key_version):
            if BOOK.reached(found, "Committed"):
                self._forget(request, (), key_version, lambda *_: {"state": "Committed"})
            else:
                self._commit_slice(request, key_version)
            found = self.status(request)
        return committed(found) if BOOK.reached(found, "Committed") else Waiting(0.0)

    def complete(self, request: str) -> Completed:
        """End a run; one that found nothing due may be completed as it was begun.

        Raises:
            RetentionMissingError, RetentionConflictError: unknown, or not purged yet though something was due.
            StorageUnavailableError: try again.
        """
        found = self.status(request)
        if found.state != "Complete":
            if found.state != "Begun" or found.counts.due:
                BOOK.require(found, "Purged")
            with self._context.database.write() as connection:
                connection.execute(delete(EXCEPTIONS).where(EXCEPTIONS.c.request == request))
                BOOK.save(connection, request, {"state": "Complete", "completed_at": self._context.now()})
        purging.wipe_log(self._context)
        return Completed()

    # -- beginning -------------------------------------------------------------------------------------------------

    def _note_begun(
        self, connection: Connection, request: str, rules: RuleSet, excepted: frozenset[str]
    ) -> RetentionStatus:
        row = {
            "request": request,
            "state": "Counting",
            "rules": ledger.dump(rules.document()),
            "rules_digest": rules.digest(),
            "begun_at": self._context.now(),
            "counts": ledger.dump(RetentionCounts()),
            "slices": 0,
            "forgotten": ledger.dump({}),
            "forgotten_paths": 0,
            "results": ledger.dump({"excepted": len(excepted)}),
        }
        connection.execute(insert(RETENTION_RUNS).values(row))
        if excepted:
            connection.execute(insert(EXCEPTIONS), [{"request": request, "subject": name} for name in excepted])
        return BOOK.load(connection, request)

    def _counted(self, found: RetentionStatus) -> RetentionStatus:
        """Go on counting where the last call stopped."""
        sorter, before = Sorter(RuleSet.of(found.rules), found.begun_at, found.counts), self._walked(found.request)
        walked: bytes | None = None
        for looked_at, (place, paths, kept) in enumerate(self._walk(_scope(found), before or b""), start=1):
            sorter.due(paths, kept)
            if looked_at == self._look_subjects:
                walked = place
                break
        values = {"state": "Begun" if walked is None else "Counting", "walked": walked}
        with self._context.database.write() as connection:
            now = BOOK.load(connection, found.request, lock=True)
            if now.state == "Counting" and now.counts == found.counts:
                BOOK.save(connection, found.request, {**values, "counts": ledger.dump(sorter.counts)})
            return BOOK.load(connection, found.request)

    def _walked(self, request: str) -> bytes | None:
        """Return how far a run has walked."""
        with self._context.database.read() as connection:
            query = select(RETENTION_RUNS.c.walked).where(RETENTION_RUNS.c.request == request)
            walked: bytes | None = connection.execute(query).scalar_one()
        return walked

    # -- committing ------------------------------------------------------------------------------------------------

    def _commit_slice(self, request: str, key_version: int) -> None:
        """Commit the next slice; begin it again if somebody was restricted, or erased, meanwhile.

        Raises:
            TreeContendedError: something came between every time.
        """
        for _ in range(_ATTEMPTS):
            found = self.status(request)
            if BOOK.reached(found, "Committed"):
                return
            part = self._next_slice(found)
            if not part.prefixes and part.walked is not None:
                self._note_walked(request, part.walked)
                return
            try:
                self._forget(request, part.prefixes, key_version, lambda *given, p=part, f=found: _noted(p, f, *given))
            except RetentionConflictError:
                continue
            return
        raise TreeContendedError("something changed under every attempt to forget what is due")

    def _note_walked(self, request: str, walked: bytes) -> None:
        """Note how far was looked in vain, unless somebody else has come to the end meanwhile."""
        with self._context.database.write() as connection:
            if BOOK.load(connection, request, lock=True).state == "Begun":
                BOOK.save(connection, request, {"walked": walked})

    def _next_slice(self, found: RetentionStatus) -> _Slice:
        """Collect what is due, from where the last slice ended, of as many subjects as one commit takes."""
        sorter, part = Sorter(RuleSet.of(found.rules), found.begun_at), _Slice()
        before = self._walked(found.request) or b""
        for looked_at, (place, paths, kept) in enumerate(self._walk(_scope(found), before)):
            due = sorter.due(paths, kept)
            if looked_at == self._look_subjects or (due and len(part.subjects) == self._slice_subjects):
                part.walked = before
                return part
            if due:
                part.prefixes += due
                part.subjects.append(due[0].subject)
            before = place
        return part

    def _walk(self, scope: Scope, after: bytes = b"") -> Iterator[tuple[bytes, tuple[KeyPath, ...], frozenset[str]]]:
        """Give the place and the paths of one subject after another, with the categories that are withheld."""
        while page := self._context.tree.paths_from(PAGE, after=after):
            names = [paths[0].subject for _, paths in page if paths[0].subject != subjects.SYSTEM]
            with self._context.database.read() as connection:
                kept = withheld(connection, names, scope)
            for place, paths in page:
                if paths[0].subject != subjects.SYSTEM:
                    yield place, paths, kept.get(paths[0].subject, frozenset())
            after = page[-1][0]

    # -- purging ---------------------------------------------------------------------------------------------------

    def _delete(self, found: RetentionStatus) -> None:
        expired = _expired(self._context, found)
        for objects in expired.objects():
            self._context.objects.delete(list(objects.values()))
            with self._context.database.write() as connection:
                gone = connection.execute(delete(OBJECTS).where(OBJECTS.c.record_id.in_(list(objects))))
                self._note_deleted(connection, found.request, {"objects": gone.rowcount})
        for records in expired.records():
            with self._context.database.write() as connection:
                gone = connection.execute(delete(RECORDS).where(RECORDS.c.record_id.in_(records)))
                self._note_deleted(connection, found.request, {"records": gone.rowcount})

    def _remaining(self, found: RetentionStatus) -> list[StorePurged]:
        expired, deleted = _expired(self._context, found), found.results.get("deleted", {})
        sorter = Sorter(RuleSet.of(found.rules), found.begun_at)
        for _, paths, kept in self._walk(_scope(found)):
            sorter.due(paths, kept)
        left = sum(sorter.counts.due.values())
        return [
            StorePurged("tree", found.forgotten_paths, left),
            StorePurged("records", deleted.get("records", 0), sum(len(page) for page in expired.records())),
            StorePurged("objects", deleted.get("objects", 0), sum(len(page) for page in expired.objects())),
        ]


def _noted(
    part: _Slice, found: RetentionStatus, connection: Connection, before: RetentionStatus, change: TreeChange
) -> Mapping[str, Any]:
    """Return what the commit of a slice writes, once it is sure that nothing changed since the slice was collected.

    Raises:
        RetentionConflictError: something did.
    """
    gate.hold(connection, fencing=True)
    kept = withheld(connection, part.subjects, _scope(found))
    taken = any(not kept.get(p.subject, frozenset()).isdisjoint({"*", p.category or ""}) for p in part.prefixes)
    if taken or before.slices != found.slices or change.forgotten != len(part.prefixes):
        raise RetentionConflictError(f"retention run {found.request} met a change")
    counts = Counter(before.forgotten) + Counter(prefix.category for prefix in part.prefixes if prefix.category)
    noted = {"generation": change.root.generation, "subjects": len(part.subjects), "paths": change.forgotten}
    results = {**before.results, "slices": [*before.results.get("slices", ()), noted]}
    return {
        "state": before.state if part.walked is not None else "Committed",
        "slices": before.slices + 1,
        "walked": part.walked,
        "forgotten": ledger.dump(counts),
        "results": ledger.dump(results),
    }


def _scope(found: RetentionStatus) -> Scope:
    return Scope(found.begun_at, found.request)


def _expired(context: Context, found: RetentionStatus) -> Expired:
    return Expired(context, RuleSet.of(found.rules).newest_due(found.begun_at))


def _handles(excepted: Collection[str]) -> frozenset[str]:
    """Return the exceptions without repetitions.

    Raises:
        PathInvalidError: one of them is no handle.
    """
    if not all(subjects.is_handle(subject) for subject in excepted):
        raise PathInvalidError("only a subject's handle can be excepted")
    return frozenset(excepted)


def _status(row: Row[Any]) -> RetentionStatus:
    return RetentionStatus(
        request=row.request,
        state=row.state,
        rules=json.loads(row.rules),
        rules_digest=row.rules_digest,
        begun_at=row.begun_at,
        counts=RetentionCounts(**json.loads(row.counts)),
        slices=row.slices,
        forgotten=json.loads(row.forgotten),
        forgotten_paths=row.forgotten_paths,
        generation=row.generation,
        key_version=row.key_version,
        committed_at=row.committed_at,
        completed_at=row.completed_at,
        results=json.loads(row.results),
    )


BOOK: Final = Ledger(
    "retention run",
    RETENTION_RUNS,
    ("Counting", "Begun", *ledger.SHARED),
    RetentionMissingError,
    RetentionConflictError,
    _status,
)
"""`Counting` is a run whose due paths have not been counted yet."""
