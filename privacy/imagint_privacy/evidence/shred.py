"""What a certificate of a tenant's end states: the predicate `https://imagint.ai/attestations/tenant-shred/v1`.

Types and shapes only: whether the statements fit together is decided in `shred_rules`. As with erasures, a field is
never added to v1: new statements mean a new version. No field may name a person, not even by handle.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Annotated, Final, Literal

from pydantic import Field

from imagint_privacy.evidence.fields import Count, Digest, KeyName, Model, Name, Tenant, Text, Time, Uid, Version
from imagint_privacy.evidence.predicate import Actors, HoldCheck, ProbeResult, Software

TENANT_SHRED_V1: Final = "https://imagint.ai/attestations/tenant-shred/v1"
LISTED: Final = 256
ShredOutcome = Literal["Shredded", "KeyAlreadyGone"]
ShredExclusion = Literal[
    "VaultSnapshots",
    "ProcessMemory",
    "InertCiphertext",
    "HandedOut",
    "OpenRequests",
    "RootNotRetained",
    "NotProbed",
    "KeyAlreadyGone",
    "KeyExportable",
    "UpsertPossible",
]
_DOMAIN: Final = b"imagint.ai/tenant/v1\n"


class ShreddedTenant(Model):
    """Which tenant: a name may be given again, a uid never is."""

    name: Tenant
    uid: Uid


class ShredClocks(Model):
    """When the Tenant was deleted, from when on its key could go, when that was begun, and when all was done."""

    deleted_at: Time
    shred_at: Time
    begun_at: Time
    done_at: Time


class ShreddedKey(Model):
    """The tenant's key as Vault showed it last, and when it was seen gone. Unknown is left out, never guessed."""

    name: KeyName
    version: Version
    oldest_version: Version | None = None
    created_at: Time | None = None
    exportable: bool | None = None
    allow_plaintext_backup: bool | None = None
    upsert_disabled: bool | None = None
    gone_at: Time


class DataPlane(Model):
    """When nothing of the tenant ran any more; nothing when that could not be confirmed."""

    stopped_at: Time | None = None


class ShredProbes(Model):
    """What the prober saw; nothing for a look that could not be made."""

    before: ProbeResult | None = None
    after: ProbeResult | None = None


class OpenRequests(Model):
    """Requests of data subjects that were not complete. They end with the tenant: nothing is left to be asked for."""

    count: Count
    list_digest: Digest
    uids: Annotated[tuple[Uid, ...], Field(max_length=LISTED)] = ()


class CarriedOver(Model):
    """The namespace's earlier certificates, kept in these ConfigMaps of the platform's namespace."""

    count: Count
    list_digest: Digest
    digests: Annotated[tuple[Digest, ...], Field(max_length=LISTED)] = ()
    config_maps: Annotated[tuple[Name, ...], Field(max_length=LISTED)] = ()


class ShredNotCovered(Model):
    """Something that this certificate does not claim, said plainly."""

    code: ShredExclusion
    text: Text
    until: Time | None = None


class ShredPredicate(Model):
    """Everything that a certificate of a tenant's end says."""

    outcome: ShredOutcome
    tenant: ShreddedTenant
    clocks: ShredClocks
    hold_check: HoldCheck
    key: ShreddedKey
    data_plane: DataPlane
    probes: ShredProbes
    open_requests: OpenRequests
    certificates: CarriedOver
    irrecoverable_after: Time
    not_covered: Annotated[tuple[ShredNotCovered, ...], Field(min_length=1, max_length=16)]
    policy_version: Name
    operator: Software
    actors: Actors


def tenant_digest(uid: str) -> str:
    """The digest by which a statement names a tenant, in hex."""
    return hashlib.sha256(_DOMAIN + uid.encode()).hexdigest()


def list_digest(items: Iterable[str]) -> str:
    """One digest over a list of which a certificate may show the beginning only: sorted, a line each."""
    return "sha256:" + hashlib.sha256("".join(f"{item}\n" for item in sorted(items)).encode()).hexdigest()
