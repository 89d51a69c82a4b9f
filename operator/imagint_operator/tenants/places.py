"""Pure: whether two Tenants would keep their data in the same place. CEL sees one object, the operator all."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

from imagint_operator.api.tenants import Storage, Tenant


def storage_taken(tenant: Tenant, others: Iterable[Tenant]) -> str | None:
    """The name of another Tenant that has the same place, and had it first.

    Whoever has a key has the place; else whoever was made earlier. Of two that were made in the same second and have no
    key yet, neither gets it: which one is meant is for a person to say.
    """
    mine = _places(tenant.spec.storage)
    if tenant.status.key is not None or not mine:
        return None
    for other in sorted(others, key=lambda other: other.name):
        if other.metadata.uid == tenant.metadata.uid or not _goes_first(other, tenant):
            continue
        if any(_overlap(here, there) for here in mine for there in _places(other.spec.storage)):
            return other.name
    return None


def _goes_first(other: Tenant, tenant: Tenant) -> bool:
    if other.status.key is not None:
        return True
    theirs, mine = other.metadata.creation_timestamp, tenant.metadata.creation_timestamp
    return theirs is None or mine is None or theirs <= mine


def _places(storage: Storage | None) -> tuple[tuple[str, str], ...]:
    if storage is None:
        return ()
    return tuple(_place(url) for url in (storage.database, storage.objects, *storage.tree_copies) if url)


def _place(url: str) -> tuple[str, str]:
    """Where an address leads, however it is written: the driver of a database and its options do not matter."""
    parts = urlsplit(url)
    scheme = parts.scheme.lower().partition("+")[0]
    return f"{'postgresql' if scheme == 'postgres' else scheme}://{parts.netloc.lower()}", parts.path.rstrip("/")


def _overlap(here: tuple[str, str], there: tuple[str, str]) -> bool:
    """The same place, or one inside the other."""
    (host, path), (their_host, their_path) = here, there
    return host == their_host and (f"{path}/".startswith(f"{their_path}/") or f"{their_path}/".startswith(f"{path}/"))
