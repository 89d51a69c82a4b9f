"""The data inventory: for every column, object prefix and cache what it holds, why, how long, how it is erased, and
whether an export shows it.

Plain data. The census compares it with the schema, with what exports show and with the caches found in the code: an
undeclared place fails the tests, and so does a personal one that is neither shown nor has a reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Holds(StrEnum):
    """What kind of data a place holds."""

    CONTENT = "personal content, sealed"
    PSEUDONYM = "a pseudonym or a fact about one"
    KEYS = "keys, sealed"
    OPEN_KEYS = "keys, open in memory"
    OPERATION = "facts about the service, of nobody"


class Erased(StrEnum):
    """How a place is erased."""

    KEY_AND_ROW = "its key is destroyed, then the row or object is deleted"
    ROW = "the row is deleted with what it is about"
    REPLACED = "every commit of the tree replaces it; what it held opens for nobody"
    TOMBSTONE = "kept, so that late writers are refused and what was done can be shown"
    PASSING = "emptied as soon as the step that needs it is done"
    AGE = "dropped and wiped when its age or size is over"
    NEVER = "not about anybody"


class Exported(StrEnum):
    """Whether an export shows a place to the person it is about."""

    SHOWN = "shown"
    KEY = "no: a key, and what it opens is shown"
    COPY = "no: a passing copy of what is shown"
    NOBODY = "no: not about anybody"


@dataclass(frozen=True, slots=True)
class Place:
    """One declared place."""

    holds: Holds
    purpose: str
    retention: str
    erased: Erased
    exported: Exported

    @property
    def personal(self) -> bool:
        """Whether it holds anything that is about a person, or opens it."""
        return self.holds is not Holds.OPERATION


_WITH_RECORD: Final = "as long as the record: its category's term, or until erased"
_TENANT: Final = "as long as the tenant"
_NEXT: Final = "until the next version is destroyed"
_PROOF: Final = "as long as the tenant must show what it did"


def _pseudonym(purpose: str, retention: str, erased: Erased) -> Place:
    return Place(Holds.PSEUDONYM, purpose, retention, erased, Exported.SHOWN)


_INDEX: Final = _pseudonym("find a subject's records", _WITH_RECORD, Erased.ROW)
_TOMBSTONE: Final = _pseudonym("refuse what began before an erasure", _TENANT, Erased.TOMBSTONE)
_FENCE: Final = _pseudonym("stop use while an erasure runs", "until the erasure is complete", Erased.ROW)
_REQUEST: Final = _pseudonym("carry an erasure out and show it", _PROOF, Erased.TOMBSTONE)
_LIMIT: Final = _pseudonym("stop what the person restricted or objected to, and show it", _PROOF, Erased.TOMBSTONE)
_EXCEPTION: Final = _pseudonym("keep what retention must not take", "until the run is complete", Erased.ROW)
_SEALED: Final = Place(Holds.CONTENT, "serve what was made", _WITH_RECORD, Erased.KEY_AND_ROW, Exported.SHOWN)
_TREE: Final = Place(Holds.KEYS, "open records", "until a newer tree", Erased.REPLACED, Exported.KEY)
_OPERATION: Final = Place(Holds.OPERATION, "run the service", _TENANT, Erased.NEVER, Exported.NOBODY)
_WITNESS: Final = Place(
    Holds.OPERATION, "notice that Vault brings a destroyed version back", _NEXT, Erased.NEVER, Exported.NOBODY
)
_RUN: Final = Place(Holds.OPERATION, "carry retention out and show it", _PROOF, Erased.NEVER, Exported.NOBODY)
_WALKED: Final = Place(
    Holds.PSEUDONYM, "go on where a slice ended", "until the run is committed", Erased.PASSING, Exported.COPY
)
_OPEN_KEYS: Final = Place(Holds.OPEN_KEYS, "find keys quickly", "cache_seconds", Erased.AGE, Exported.KEY)
_UPLOAD: Final = Place(
    Holds.CONTENT, "write an object whole or not at all", "while it is written", Erased.KEY_AND_ROW, Exported.COPY
)


def _columns(table: str, names: str, place: Place) -> dict[str, Place]:
    return {f"{table}.{name}": place for name in names.split()}


COLUMNS: Final[Mapping[str, Place]] = {
    **_columns("library", "id tenant created_at", _OPERATION),
    **_columns("tree_nodes", "digest sealed born", _TREE),
    **_columns("tree_root", "id generation key_version wrapped digest key_since", _TREE),
    **_columns("tree_dead", "digest died", _OPERATION),
    **_columns("key_witnesses", "key_version wrapped armed", _WITNESS),
    **_columns("records", "record_id subject category period kind incarnation created_at size large", _INDEX),
    **_columns("records", "sealed", _SEALED),
    **_columns("objects", "record_id subject category incarnation location stored created_at", _INDEX),
    **_columns("incarnations", "subject category incarnation since", _TOMBSTONE),
    **_columns("fences", "request category subject since", _FENCE),
    **_columns("erasures", "request subject categories state received_at fenced_at incarnation held", _REQUEST),
    **_columns("erasures", "generation key_version forgotten_paths committed_at results completed_at", _REQUEST),
    **_columns("restrictions", "request category subject kind purposes received_at since", _LIMIT),
    **_columns("restrictions", "lifted_at lifted_by", _LIMIT),
    **_columns("retention_runs", "request state rules rules_digest begun_at counts slices forgotten", _RUN),
    **_columns("retention_runs", "generation key_version forgotten_paths committed_at results completed_at", _RUN),
    **_columns("retention_runs", "walked", _WALKED),
    **_columns("retention_exceptions", "request subject", _EXCEPTION),
    **_columns("copies", "store attempted generation root_digest verified_at", _OPERATION),
    **_columns("copy_attempts", "id store since", _OPERATION),
    **_columns("replicas", "id generation seen_at", _OPERATION),
    **_columns("alembic_version", "version_num", _OPERATION),
}

OBJECT_PREFIX: Final = "objects: <subject>/<category>/<incarnation>/<record id>"
OBJECTS: Final[Mapping[str, Place]] = {
    OBJECT_PREFIX: _SEALED,
    "objects in a folder: <subject>/<category>/<incarnation>/<record id>#<number>": _UPLOAD,
    "tree copies: nodes/<two hex digits>/<digest>": _TREE,
    "tree copies: roots/<generation>.json": _TREE,
}

CACHES: Final[Mapping[str, Place]] = {
    "keys.caches.NodeCache": _OPEN_KEYS,
    "keys.caches.KeyCache": _OPEN_KEYS,
    "keys.groups.Waiting": Place(
        Holds.OPEN_KEYS, "share one commit", "until the commit is answered", Erased.PASSING, Exported.KEY
    ),
    "keys.places.position": Place(Holds.PSEUDONYM, "find keys quickly", "the newest 65536", Erased.AGE, Exported.COPY),
    "records.migrating.head": Place(
        Holds.OPERATION, "know the newest schema", "as long as the process", Erased.NEVER, Exported.NOBODY
    ),
}
