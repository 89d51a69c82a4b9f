"""What a library and its erasures work with: one tenant's database, object stores, tree, clock and randomness."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from imagint_privacy.keys.seals import Entropy
from imagint_privacy.keys.tree import KeyTree
from imagint_privacy.records.database import Database
from imagint_privacy.records.objects import Objects

if TYPE_CHECKING:
    from imagint_privacy.records.guarding import GuardedKey


@dataclass(frozen=True, slots=True)
class StorageSettings:
    """Where a tenant's data is kept: addresses of a database, an object store and tree copies."""

    database: str
    objects: str
    tree_copies: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Context:
    """Everything one tenant's library stands on."""

    tenant: str
    key_name: str
    replica: str
    cache_seconds: float
    database: Database
    objects: Objects
    copies: tuple[Objects, ...]
    tree: KeyTree[Connection]
    guard: GuardedKey
    now: Callable[[], datetime]
    entropy: Entropy
