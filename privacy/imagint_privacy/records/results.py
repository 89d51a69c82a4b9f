"""What the steps of an erasure answer, in the shape of the Gateway's privacy API. Plain data: ids and counts only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, is_dataclass
from datetime import UTC, datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Holdings:
    """What is held of a subject."""

    paths: int = 0
    records: Mapping[str, int] = field(default_factory=dict)
    objects: int = 0


@dataclass(frozen=True, slots=True)
class CopyResult:
    """One tree copy, written and read back."""

    store: str
    generation: int
    root_digest: str
    read_back: bool = True


@dataclass(frozen=True, slots=True)
class ReplicaSeen:
    """One replica and the generation it last said it had."""

    id: str
    generation: int
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class CopySeen:
    """One tree copy as it was last verified."""

    store: str
    generation: int
    verified_at: datetime | None


@dataclass(frozen=True, slots=True)
class StorePurged:
    """One store: how much was deleted, and how much is left."""

    store: str
    deleted: int
    remaining: int


@dataclass(frozen=True, slots=True)
class ErasureStatus:
    """An erasure, with the results of the steps done so far."""

    request: str
    state: str
    subject: str
    categories: tuple[str, ...]
    received_at: datetime
    fenced_at: datetime
    held: Holdings
    incarnation: int
    generation: int | None = None
    key_version: int | None = None
    forgotten_paths: int = 0
    committed_at: datetime | None = None
    completed_at: datetime | None = None
    results: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Committed:
    """The tree without the forgotten paths is the current one."""

    generation: int
    key_version: int
    forgotten_paths: int
    state: str = "Committed"


@dataclass(frozen=True, slots=True)
class Copied:
    """Every tree copy holds the current tree."""

    copies: tuple[CopyResult, ...]
    state: str = "Copied"


@dataclass(frozen=True, slots=True)
class CachesDropped:
    """No replica keeps a key of the old tree."""

    replicas: tuple[ReplicaSeen, ...]
    bound_seconds: float
    state: str = "CachesDropped"


@dataclass(frozen=True, slots=True)
class Waiting:
    """Not yet; ask again."""

    retry_after: float
    state: str = "Waiting"


@dataclass(frozen=True, slots=True)
class Purged:
    """Ciphertext, rows and objects are gone as well."""

    stores: tuple[StorePurged, ...]
    state: str = "Purged"


@dataclass(frozen=True, slots=True)
class Completed:
    """The fence is lifted; the tombstone stays."""

    state: str = "Complete"


@dataclass(frozen=True, slots=True)
class Root:
    """The wrapped root of the current tree, which the prober keeps."""

    generation: int
    key_name: str
    key_version: int
    ciphertext: str


@dataclass(frozen=True, slots=True)
class ErasedCanary:
    """A nonce sealed under a key that is to be destroyed."""

    category: str
    sealed: str


@dataclass(frozen=True, slots=True)
class SurvivorCanary:
    """A nonce sealed under a key that must survive."""

    sealed: str


@dataclass(frozen=True, slots=True)
class Canaries:
    """The canaries of one erasure."""

    erased: tuple[ErasedCanary, ...]
    survivors: tuple[SurvivorCanary, ...]


@dataclass(frozen=True, slots=True)
class RetentionCounts:
    """What retention found in the tree, by category: paths due, withheld and without a rule; subjects looked at."""

    due: Mapping[str, int] = field(default_factory=dict)
    withheld: Mapping[str, int] = field(default_factory=dict)
    unknown: Mapping[str, int] = field(default_factory=dict)
    subjects: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RetentionStatus:
    """A run of retention, with the results of the steps done so far: what a certificate of it is made from."""

    request: str
    state: str
    rules: Mapping[str, Any]
    rules_digest: str
    begun_at: datetime
    counts: RetentionCounts
    slices: int
    forgotten: Mapping[str, int]
    forgotten_paths: int
    generation: int | None = None
    key_version: int | None = None
    committed_at: datetime | None = None
    completed_at: datetime | None = None
    results: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Restriction:
    """A restriction or an objection: what it stops, since when, and whether it still stands."""

    request: str
    kind: str
    state: str
    subject: str
    categories: tuple[str, ...]
    purposes: tuple[str, ...]
    received_at: datetime
    since: datetime
    lifted_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class RestrictionList:
    """Every restriction and objection of a subject, the oldest first."""

    restrictions: tuple[Restriction, ...]


@dataclass(frozen=True, slots=True)
class LibraryStatus:
    """How a library is doing."""

    generation: int
    key_version: int
    replicas: tuple[ReplicaSeen, ...]
    copies: tuple[CopySeen, ...]
    cache_seconds: float


def as_json(value: Any) -> Any:
    """Return any of these as plain JSON data, moments as RFC 3339 in UTC."""
    if is_dataclass(value) and not isinstance(value, type):
        return as_json(asdict(value))
    if isinstance(value, Mapping):
        return {key: as_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(item) for item in value]
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return value
