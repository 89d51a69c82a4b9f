"""Rotation without forgetting, for a tenant in use: the root under the key's newest version, and every copy with it.

Not while something is about to be forgotten: a root in between, wrapped under the version that will be kept, would
still lead to it. It must not rotate or trim a key.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, exists, literal, or_, select

from imagint_privacy.errors import TreeContendedError
from imagint_privacy.keys.ports import TreeChange
from imagint_privacy.keys.tree import Forgotten
from imagint_privacy.records import copying
from imagint_privacy.records.context import Context
from imagint_privacy.records.ledger import SHARED
from imagint_privacy.records.results import CopyResult
from imagint_privacy.records.schema import ERASURES, RETENTION_RUNS

_AGAIN: Final = 5.0


def rewrap(context: Context, key_version: int) -> tuple[Forgotten, tuple[CopyResult, ...]]:
    """Wrap the root under `key_version` or newer with a fresh root key, and bring every copy to it.

    Raises:
        TreeContendedError: an erasure or a retention run is about to commit: try again when it is complete.
        KeyVersionBehindError: the tenant's key has no such version.
        CopyFailedError: the tree is wrapped anew, but a copy could not be written.
        KeysUnavailableError, StorageUnavailableError: nothing was changed.
    """
    done = context.tree.rewrap(key_version=key_version, alongside=_refuse_under_way)
    return done, copying.copy_tree(context)


def _refuse_under_way(connection: Connection, _change: TreeChange) -> None:
    open_requests = [exists().where(table.c.state.not_in(SHARED)) for table in (ERASURES, RETENTION_RUNS)]
    if connection.execute(select(literal(1)).where(or_(*open_requests))).first() is not None:
        raise TreeContendedError("something is about to be forgotten: wrap the tree anew when that is complete", _AGAIN)
