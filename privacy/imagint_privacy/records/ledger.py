"""The rows of what forgets step by step: what was asked, how far it is, what each step answered.

Reads and writes, no decisions. One `Ledger` for each kind of forgetting: erasures and runs of retention.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Generic, Protocol, TypeVar

from sqlalchemy import Connection, Row, Table, select, update

from imagint_privacy.errors import PathInvalidError, RequestConflictError, RequestMissingError
from imagint_privacy.records.results import CopyResult, Holdings, StorePurged, as_json

SHARED: Final = ("Committed", "Copied", "CachesDropped", "Purged", "Complete")
"""The states of everything that forgets, in order, once it has begun and counted."""
_REQUEST: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class Progress(Protocol):
    """What every kind of forgetting says about itself."""

    @property
    def request(self) -> str:
        """The id it was asked for under."""

    @property
    def state(self) -> str:
        """How far it is."""

    @property
    def generation(self) -> int | None:
        """The tree's, when it was last looked at or changed."""

    @property
    def key_version(self) -> int | None:
        """The version that the root is wrapped under."""

    @property
    def forgotten_paths(self) -> int:
        """How many keys are gone."""

    @property
    def committed_at(self) -> datetime | None:
        """When the last commit was made."""

    @property
    def results(self) -> Mapping[str, Any]:
        """What the steps answered."""


S = TypeVar("S", bound=Progress)


@dataclass(frozen=True, slots=True)
class Ledger(Generic[S]):
    """One table of requests that go through states in order."""

    what: str
    table: Table
    states: tuple[str, ...]
    missing: type[RequestMissingError]
    conflict: type[RequestConflictError]
    read: Callable[[Row[Any]], S]

    def find(self, connection: Connection, request: str, *, lock: bool = False) -> S | None:
        """Return a request, or None; with its row locked against other writers if the answer decides what to write."""
        query = select(self.table).where(self.table.c.request == check_request(request))
        row = connection.execute(query.with_for_update() if lock else query).one_or_none()
        return None if row is None else self.read(row)

    def load(self, connection: Connection, request: str, *, lock: bool = False) -> S:
        """Return a request, locked as in `find`.

        Raises:
            RequestMissingError: there is none of that id.
        """
        found = self.find(connection, request, lock=lock)
        if found is None:
            raise self.missing(f"no {self.what} {request}")
        return found

    def save(self, connection: Connection, request: str, values: Mapping[str, Any]) -> None:
        """Write some columns of a request."""
        connection.execute(update(self.table).where(self.table.c.request == request).values(dict(values)))

    def advance(self, connection: Connection, request: str, state: str, results: Mapping[str, Any]) -> S:
        """Move a request to a state that follows the one it has, adding results; a later state stays.

        Raises:
            RequestMissingError: there is none of that id.
            RequestConflictError: the step before this one has not been done.
        """
        found = self.load(connection, request, lock=True)
        if not self.reached(found, state):
            self.require(found, self.states[self.states.index(state) - 1])
            self.save(connection, request, {"state": state, "results": dump({**found.results, **results})})
        return self.load(connection, request)

    def reached(self, found: S, state: str) -> bool:
        """Say whether a request is at a state, or past it."""
        return self.states.index(found.state) >= self.states.index(state)

    def require(self, found: S, state: str) -> None:
        """Return if a request is at a state, or past it.

        Raises:
            RequestConflictError: it is not.
        """
        if not self.reached(found, state):
            raise self.conflict(f"{self.what} {found.request} is {found.state}, not yet {state}")


def check_request(request: str) -> str:
    """Return the request id if it follows the grammar.

    Raises:
        PathInvalidError: it does not.
    """
    if _REQUEST.fullmatch(request) is None:
        raise PathInvalidError("a request id is 1 to 64 of A-Z, a-z, 0-9, ., _ and -")
    return request


def dump(value: Any) -> str:
    """Write plain data, or any of the results, as JSON text."""
    return json.dumps(as_json(value), sort_keys=True)


def load_json(text: str) -> Any:
    """Read what `dump` wrote."""
    return json.loads(text)


def holdings(document: Mapping[str, Any]) -> Holdings:
    """Read holdings back."""
    return Holdings(document["paths"], document["records"], document["objects"])


def copies(found: Progress) -> tuple[CopyResult, ...]:
    """Read the copies of a request back."""
    return tuple(CopyResult(**copy) for copy in found.results.get("copies", ()))


def stores(found: Progress) -> tuple[StorePurged, ...]:
    """Read the purged stores of a request back."""
    return tuple(StorePurged(**store) for store in found.results.get("purge", ()))
