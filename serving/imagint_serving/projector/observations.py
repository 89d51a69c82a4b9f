"""What the projector sees and what it holds, as plain values.

Pure: no I/O, and no repr that could show a token.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from imagint_serving.config import TENANT_PATTERN


@dataclass(frozen=True, slots=True)
class KeyReference:
    """Where one API key of a tenant is kept: a key of a Secret in the tenant's namespace."""

    name: str
    secret: str
    key: str


@dataclass(frozen=True, slots=True)
class TenantView:
    """A Tenant as far as the projector cares."""

    name: str
    api_keys: tuple[KeyReference, ...]
    shared: bool = True
    """Whether its Gateway runs, or is to run, on the cluster that tenants share, and reads files."""
    dedicated: bool = False
    """Whether its Gateway runs, or is to run, in its own namespace, and reads what kubelet mounts from an object."""

    @property
    def namespace(self) -> str:
        """The namespace that belongs to the tenant."""
        return f"tenant-{self.name}"


@dataclass(frozen=True, slots=True)
class MintedToken:
    """A token for one tenant's data plane."""

    token: str = field(repr=False)
    account_uid: str
    minted_at: float
    expires_at: float


@dataclass(frozen=True, slots=True)
class Attempts:
    """How often something failed in a row, and when it is next worth trying."""

    failures: int = 0
    retry_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Holding:
    """What has been handed over to one tenant's Gateway.

    Token and keys fail apart: no trouble with minting may keep a revoked key in force.
    """

    account_uid: str | None = None
    renew_at: float = 0.0
    minting: Attempts = Attempts()
    keys: tuple[KeyReference, ...] | None = None
    usable: int = -1
    checked_at: float = 0.0
    checking: Attempts = Attempts()
    filed: bool = False
    """Whether something of it may lie in the folder."""
    objected: bool | None = None
    """Whether something of it lies in the object in its namespace; None when nobody has looked yet."""


def bounded_name(name: str) -> str | None:
    """Return the tenant's name if it may become the name of a folder."""
    return name if re.fullmatch(TENANT_PATTERN, name) else None
