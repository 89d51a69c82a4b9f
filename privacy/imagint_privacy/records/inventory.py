"""The data inventory: for every column, object prefix and cache what it holds, why, how long and how it is erased.

Plain data. A census test compares it with the schema: an undeclared column fails the tests.
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
    OPERATION = "facts about the service, of nobody"


class Erased(StrEnum):
    """How a place is erased."""

    KEY_AND_ROW = "its key is destroyed, then the row or object is deleted"
    ROW = "the row is deleted with the record"
    REPLACED = "every commit of the tree replaces it; what it held opens for nobody"
    TOMBSTONE = "kept, so that late writers are refused and the erasure can be shown"
    AGE = "dropped and wiped when its age or size is over"
    NEVER = "not about anybody"


@dataclass(frozen=True, slots=True)
class Place:
    """One declared place."""

    holds: Holds
    purpose: str
    retention: str
    erased: Erased


_WITH_RECORD: Final = "as long as the record"
_TENANT: Final = "as long as the tenant"
_PROOF: Final = "as long as the tenant must show its erasures"
_INDEX: Final = Place(Holds.PSEUDONYM, "find a subject's records", _WITH_RECORD, Erased.ROW)
_TREE: Final = Place(Holds.KEYS, "open records", "until a newer tree", Erased.REPLACED)
_OPERATION: Final = Place(Holds.OPERATION, "run the service", _TENANT, Erased.NEVER)
_TOMBSTONE: Final = Place(Holds.PSEUDONYM, "refuse what began before an erasure", _TENANT, Erased.TOMBSTONE)
_FENCE: Final = Place(Holds.PSEUDONYM, "stop use while an erasure runs", "until the erasure is complete", Erased.ROW)
_REQUEST: Final = Place(Holds.PSEUDONYM, "carry an erasure out and show it", _PROOF, Erased.TOMBSTONE)
_SEALED: Final = Place(Holds.CONTENT, "serve what was made", _WITH_RECORD, Erased.KEY_AND_ROW)
_UPLOAD: Final = Place(Holds.CONTENT, "write an object whole or not at all", "while it is written", Erased.KEY_AND_ROW)


def _columns(table: str, names: str, place: Place) -> dict[str, Place]:
    return {f"{table}.{name}": place for name in names.split()}


COLUMNS: Final[Mapping[str, Place]] = {
    **_columns("library", "id tenant created_at", _OPERATION),
    **_columns("tree_nodes", "digest sealed born", _TREE),
    **_columns("tree_root", "id generation key_version wrapped digest key_since", _TREE),
    **_columns("tree_dead", "digest died", _OPERATION),
    **_columns("records", "record_id subject category period kind incarnation created_at size large", _INDEX),
    **_columns("records", "sealed", _SEALED),
    **_columns("objects", "record_id subject category incarnation location stored created_at", _INDEX),
    **_columns("incarnations", "subject category incarnation since", _TOMBSTONE),
    **_columns("fences", "request category subject since", _FENCE),
    **_columns("erasures", "request subject categories state received_at fenced_at incarnation held", _REQUEST),
    **_columns("erasures", "generation key_version forgotten_paths committed_at results completed_at", _REQUEST),
    **_columns("copies", "store attempted generation root_digest verified_at", _OPERATION),
    **_columns("replicas", "id generation seen_at", _OPERATION),
    **_columns("alembic_version", "version_num", _OPERATION),
}

OBJECTS: Final[Mapping[str, Place]] = {
    "objects: <subject>/<category>/<incarnation>/<record id>": _SEALED,
    "objects in a folder: <subject>/<category>/<incarnation>/<record id>#<number>": _UPLOAD,
    "tree copies: nodes/<two hex digits>/<digest>": _TREE,
    "tree copies: roots/<generation>.json": _TREE,
}

CACHES: Final[Mapping[str, Place]] = {
    "keys.caches.NodeCache": Place(Holds.KEYS, "find keys quickly", "cache_seconds", Erased.AGE),
    "keys.caches.KeyCache": Place(Holds.KEYS, "find keys quickly", "cache_seconds", Erased.AGE),
    "keys.places.position": Place(Holds.PSEUDONYM, "find keys quickly", "the newest 65536", Erased.AGE),
}
