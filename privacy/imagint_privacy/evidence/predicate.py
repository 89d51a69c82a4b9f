"""What a certificate of erasure states: the predicate `https://imagint.ai/attestations/erasure/v1`.

One definition serves the builder, the reader and the published JSON Schema. Types and shapes only: whether the
statements fit together is decided in `rules`. A field is never added to v1: readers refuse what they do not
know, because a certificate that is half understood is worse than none. New statements mean a new version.

No field may name a person, not even by handle: the statement's subject is a salted commitment.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field

from imagint_privacy.clocks import Regulation
from imagint_privacy.evidence.fields import (
    Count,
    Counts,
    Digest,
    KeyName,
    Model,
    Name,
    ServiceAccount,
    Slug,
    Tenant,
    Text,
    Time,
    Uid,
    Version,
)

ERASURE_V1: Final = "https://imagint.ai/attestations/erasure/v1"
MAX_CACHE_SECONDS: Final = 366 * 86_400
Outcome = Literal["Erased", "NothingHeld"]
Exclusion = Literal["VaultSnapshots", "ProcessMemory", "HandedOut", "InertCiphertext", "RequestRecord"]


def _whole_seconds(value: Any) -> Any:
    # A bound is rounded up: the promise may only become weaker by rounding, never stronger.
    return math.ceil(value) if isinstance(value, float) and math.isfinite(value) else value


def _with_algorithm(value: Any) -> Any:
    return f"sha256:{value}" if isinstance(value, str) and ":" not in value else value


class Verification(Model):
    """How the requester was recognised as the subject, and when."""

    method: Slug
    at: Time


class Request(Model):
    """The request, by its uid (names of requests may name people)."""

    uid: Uid
    tenant: Tenant
    type: Literal["Erase"] = "Erase"
    regulation: Regulation
    scope: Annotated[tuple[Slug, ...], Field(max_length=64, description="Categories; empty means all")] = ()
    verification: Verification | None = None


class Clocks(Model):
    """When it came, until when the law wants it done, and when it was."""

    received_at: Time
    acknowledge_by: Time
    acknowledged_at: Time | None = None
    due_by: Time
    extended: bool = False
    done_at: Time


class HoldCheck(Model):
    """Whether a legal hold stood against the erasure."""

    checked_at: Time
    active_holds: Count


class Held(Model):
    """What was held about the subject when the fence went up: counts only."""

    paths: Count
    records: Counts
    objects: Count

    def total(self) -> int:
        """Everything counted."""
        return self.paths + self.objects + sum(self.records.values())


class KeyChange(Model):
    """The tenant's key in Vault: from which version to which, and the flags that make a trim final."""

    name: KeyName
    from_version: Version
    to_version: Version
    created_at: Time
    trimmed_at: Time
    min_decryption_version: Version
    min_available_version: Version
    exportable: bool
    allow_plaintext_backup: bool
    upsert_disabled: bool


class TreeChange(Model):
    """The key tree without the subject's keys."""

    generation: Count
    forgotten_paths: Count
    incarnation: Count | None = None


class Copy(Model):
    """A copy of the new tree, read back before the old key was destroyed."""

    store: Name
    generation: Count
    root_digest: Annotated[Digest, BeforeValidator(_with_algorithm)]
    read_back: bool


class Caches(Model):
    """For how long at most a process could still hold an old key in memory."""

    bound_seconds: Annotated[int, Field(ge=0, le=MAX_CACHE_SECONDS), BeforeValidator(_whole_seconds)]
    replicas: Annotated[tuple[Name, ...], Field(max_length=256)] = ()


class Store(Model):
    """A place where data lay: what was deleted there and what remained."""

    store: Name
    deleted: Count
    remaining: Count


class Check(Model):
    """One observation of the prober."""

    name: Slug
    passed: bool
    detail: Text


class ProbeResult(Model):
    """What the prober saw at one moment."""

    observed_at: Time
    checks: Annotated[tuple[Check, ...], Field(min_length=1, max_length=64)]

    @classmethod
    def from_answer(cls, answer: Mapping[str, Any]) -> ProbeResult:
        """Take over an answer of the prober's HTTP API.

        Raises:
            pydantic.ValidationError: the answer is malformed.
        """
        return cls(observed_at=answer.get("observed_at"), checks=tuple(answer.get("checks", ())))


class Probes(Model):
    """Before the key was rotated, and after everything was deleted."""

    before: ProbeResult
    after: ProbeResult


class ProcessorReceipt(Model):
    """A processor that was told, and what it answered."""

    name: Slug
    result: Literal["Acknowledged", "Unanswered"]
    at: Time


class NotCovered(Model):
    """Something that this certificate does not claim, said plainly."""

    code: Exclusion
    text: Text
    until: Time | None = None


class Software(Model):
    """The operator that issued the certificate; no digest when it ran from sources."""

    version: Name
    image_digest: Digest | None = None


class Actors(Model):
    """Who decided, who erased, who looked, and who destroyed the key; older certificates leave the last one out."""

    operator: ServiceAccount
    data_plane: ServiceAccount
    prober: ServiceAccount
    shredder: ServiceAccount | None = None


class ErasurePredicate(Model):
    """Everything that a certificate of erasure says."""

    outcome: Outcome
    request: Request
    clocks: Clocks
    hold_check: HoldCheck
    held: Held
    key: KeyChange | None = None
    tree: TreeChange | None = None
    copies: Annotated[tuple[Copy, ...], Field(max_length=64)] = ()
    caches: Caches | None = None
    stores: Annotated[tuple[Store, ...], Field(max_length=64)] = ()
    probes: Probes | None = None
    processors: Annotated[tuple[ProcessorReceipt, ...], Field(max_length=256)] = ()
    irrecoverable_after: Time | None = None
    not_covered: Annotated[tuple[NotCovered, ...], Field(min_length=1, max_length=16)]
    policy_version: Name
    operator: Software
    actors: Actors


def irrecoverable_after(trimmed_at: datetime, snapshot_retention: timedelta) -> datetime:
    """The day on which the last Vault snapshot that still holds the destroyed version has expired."""
    return trimmed_at + snapshot_retention
