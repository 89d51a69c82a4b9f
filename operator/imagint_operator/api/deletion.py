"""How far the deletion of a Tenant has come: recorded before each step that cannot be taken back.

A crash resumes from here, and the certificate says what is recorded here and nothing else.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from imagint_operator.api.base import ApiModel, list_map

LISTED = 256
Digest = Annotated[str, Field(max_length=80, pattern=r"^sha256:[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0)]


class DeletionStep(StrEnum):
    """The step that is under way."""

    DRAIN = "Drain"
    DESTROY_KEY = "DestroyKey"
    PROBE = "Probe"
    ARCHIVE = "Archive"
    CERTIFY = "Certify"
    RELEASE = "Release"


class DeletionOutcome(StrEnum):
    """What became of the key."""

    SHREDDED = "Shredded"
    KEY_ALREADY_GONE = "KeyAlreadyGone"


class KeyAssurance(StrEnum):
    """What was seen of the key before it was destroyed."""

    NOT_EXPORTABLE = "NotExportable"
    NO_PLAINTEXT_BACKUP = "NoPlaintextBackup"
    UPSERT_DISABLED = "UpsertDisabled"


class ProbeOutcome(StrEnum):
    """Whether a check passed."""

    PASSED = "Passed"
    FAILED = "Failed"


class ShredCheck(ApiModel):
    """One thing that the prober looked at, and what it saw."""

    name: Annotated[str, Field(max_length=64)]
    """What was looked at."""
    state: ProbeOutcome
    """What was seen."""
    detail: Annotated[str, Field(max_length=400)] = ""
    """More about it; ids and figures only."""


class ShredProbe(ApiModel):
    """One look of the prober."""

    observed_at: datetime
    """When, by its own clock."""
    checks: Annotated[tuple[ShredCheck, ...], Field(max_length=16, json_schema_extra=list_map("name"))] = ()
    """What it looked at."""


class ShredKey(ApiModel):
    """The key as it was seen last."""

    version: Annotated[int, Field(ge=1)]
    """Its newest version."""
    oldest_version: Annotated[int, Field(ge=1)] | None = None
    """Its oldest version that was not destroyed earlier."""
    created_at: datetime | None = None
    """When the newest version was made."""
    assurances: Annotated[
        tuple[KeyAssurance, ...], Field(max_length=8, json_schema_extra={"x-kubernetes-list-type": "set"})
    ] = ()
    """What was seen of it."""


class OpenRequestList(ApiModel):
    """The requests of data subjects that end with the tenant."""

    count: Count
    """How many."""
    digest: Digest
    """The SHA-256 of their uids, sorted, a line each."""
    uids: Annotated[tuple[Annotated[str, Field(max_length=64)], ...], Field(max_length=LISTED)] = ()
    """The first of them."""


class CertificateList(ApiModel):
    """The certificates of the namespace, and where they were carried over to."""

    count: Count
    """How many."""
    digest: Digest
    """The SHA-256 of their digests, sorted, a line each."""
    digests: Annotated[tuple[Digest, ...], Field(max_length=LISTED)] = ()
    """The first of them."""
    config_maps: Annotated[tuple[Annotated[str, Field(max_length=253)], ...], Field(max_length=LISTED)] = ()
    """The ConfigMaps in the platform's namespace."""


class ShredEvidence(ApiModel):
    """Where the certificate lies."""

    config_map: Annotated[str, Field(max_length=253)]
    """The ConfigMap in the platform's namespace; its key is certificate.json."""
    digest: Digest
    """The SHA-256 of that file."""


class DeletionStatus(ApiModel):
    """How far the deletion has come."""

    step: DeletionStep
    """The step that is under way."""
    started_at: datetime
    """When the tenant was first told to stop."""
    root_probe: ShredProbe | None = None
    """The prober's look before: it retained the last root of the key tree. Absent when it could not."""
    stopped_at: datetime | None = None
    """When nothing of the tenant ran any more. Absent when that could not be confirmed in time."""
    key: ShredKey | None = None
    """The key as it was seen last."""
    shred_at: datetime | None = None
    """From when on the key could be destroyed: the grace time was over."""
    begun_at: datetime | None = None
    """When the destruction of the key was begun: from then on there is no way back."""
    gone_at: datetime | None = None
    """When the key was seen gone."""
    outcome: DeletionOutcome | None = None
    """What became of the key."""
    probe: ShredProbe | None = None
    """The prober's look after. Absent when it could not look in time."""
    open_requests: OpenRequestList | None = None
    """The requests of data subjects that end with the tenant."""
    certificates: CertificateList | None = None
    """The namespace's certificates, which outlive it."""
    done_at: datetime | None = None
    """When all of it was done."""
    irrecoverable_after: datetime | None = None
    """From when on no snapshot of Vault can hold the key any more."""
    evidence: ShredEvidence | None = None
    """Where the certificate lies."""
