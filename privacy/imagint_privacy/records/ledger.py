"""The rows of `erasures`: what was asked, how far it is, what each step answered. Reads and writes, no decisions."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Connection, Row, select, update

from imagint_privacy.errors import ErasureConflictError, ErasureMissingError, PathInvalidError
from imagint_privacy.records.results import CopyResult, ErasureStatus, Holdings, StorePurged, as_json
from imagint_privacy.records.schema import ERASURES

STATES: Final = ("Fencing", "Fenced", "Committed", "Copied", "CachesDropped", "Purged", "Complete")
"""In order; `Fencing` is a fence whose holdings have not been counted yet."""
_REQUEST: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def check_request(request: str) -> str:
    """Return the request id if it follows the grammar.

    Raises:
        PathInvalidError: it does not.
    """
    if _REQUEST.fullmatch(request) is None:
        raise PathInvalidError("a request id is 1 to 64 of A-Z, a-z, 0-9, ., _ and -")
    return request


def find(connection: Connection, request: str, *, lock: bool = False) -> ErasureStatus | None:
    """Return an erasure, or None; with its row locked against other writers if the answer decides what to write."""
    query = select(ERASURES).where(ERASURES.c.request == check_request(request))
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    return None if row is None else _status(row)


def load(connection: Connection, request: str, *, lock: bool = False) -> ErasureStatus:
    """Return an erasure, locked as in `find`.

    Raises:
        ErasureMissingError: there is none of that id.
    """
    found = find(connection, request, lock=lock)
    if found is None:
        raise ErasureMissingError(f"no erasure {request}")
    return found


def save(connection: Connection, request: str, values: Mapping[str, Any]) -> None:
    """Write some columns of an erasure."""
    connection.execute(update(ERASURES).where(ERASURES.c.request == request).values(dict(values)))


def advance(connection: Connection, request: str, state: str, results: Mapping[str, Any]) -> ErasureStatus:
    """Move an erasure to a state that follows the one it has, adding results; a later state stays.

    Raises:
        ErasureMissingError: there is none of that id.
        ErasureConflictError: the step before this one has not been done.
    """
    found = load(connection, request, lock=True)
    if not reached(found, state):
        require(found, STATES[STATES.index(state) - 1])
        save(connection, request, {"state": state, "results": dump({**found.results, **results})})
    return load(connection, request)


def reached(erasure: ErasureStatus, state: str) -> bool:
    """Say whether an erasure is at a state, or past it."""
    return STATES.index(erasure.state) >= STATES.index(state)


def require(erasure: ErasureStatus, state: str) -> None:
    """Return if an erasure is at a state, or past it.

    Raises:
        ErasureConflictError: it is not.
    """
    if not reached(erasure, state):
        raise ErasureConflictError(f"erasure {erasure.request} is {erasure.state}, not yet {state}")


def dump(value: Any) -> str:
    """Write plain data, or any of the results, as JSON text."""
    return json.dumps(as_json(value), sort_keys=True)


def holdings(document: Mapping[str, Any]) -> Holdings:
    """Read holdings back."""
    return Holdings(document["paths"], document["records"], document["objects"])


def copies(erasure: ErasureStatus) -> tuple[CopyResult, ...]:
    """Read the copies of an erasure back."""
    return tuple(CopyResult(**copy) for copy in erasure.results.get("copies", ()))


def stores(erasure: ErasureStatus) -> tuple[StorePurged, ...]:
    """Read the purged stores of an erasure back."""
    return tuple(StorePurged(**store) for store in erasure.results.get("purge", ()))


def _status(row: Row[Any]) -> ErasureStatus:
    return ErasureStatus(
        request=row.request,
        state=row.state,
        subject=row.subject,
        categories=tuple(json.loads(row.categories)),
        received_at=row.received_at,
        fenced_at=row.fenced_at,
        held=holdings(json.loads(row.held)),
        incarnation=row.incarnation,
        generation=row.generation,
        key_version=row.key_version,
        forgotten_paths=row.forgotten_paths,
        committed_at=row.committed_at,
        completed_at=row.completed_at,
        results=json.loads(row.results),
    )
