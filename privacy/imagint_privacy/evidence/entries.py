"""What the transparency log holds: small canonical JSON documents, digests and versions only, never a person.

    certificate    a certificate was issued: its digest and its type. The certificate itself is kept beside the log
    key            committed *before* a key is destroyed: below which version, or the whole key. No entry, no erasure;
                   and after Vault was restored from an old snapshot, these entries say what must be destroyed again
    access-log     how long a tenant's log of accesses was at a moment, and its root: what came before cannot change

An entry is at most 1 KiB. The reader is strict: what is not understood is refused.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field, TypeAdapter, ValidationError

from imagint_privacy.evidence import documents
from imagint_privacy.evidence.errors import MalformedCertificateError
from imagint_privacy.evidence.fields import Count, Digest, KeyName, Model, Slug, Tenant, Time, Uid, Version
from imagint_privacy.transparency.errors import MalformedLogError

MAX_ENTRY: Final = 1024


class CertificateEntry(Model):
    """A certificate was issued."""

    type: Literal["certificate"] = "certificate"
    digest: Digest
    predicate_type: Annotated[str, Field(pattern=r"^https://imagint\.ai/attestations/[a-z-]{1,40}/v[0-9]{1,3}$")]
    at: Time


class KeyEntry(Model):
    """A key is about to be destroyed, for good: every version below one, or (without a version) all of it."""

    type: Literal["key"] = "key"
    key: KeyName
    tenant_uid: Uid
    destroyed_below: Version | None = None
    cause: Slug
    cause_uid: Uid
    at: Time


class AccessLogEntry(Model):
    """How far a tenant's log of accesses was, and its root (SHA-256, in hex)."""

    type: Literal["access-log"] = "access-log"
    tenant: Tenant
    tenant_uid: Uid
    size: Count
    root: Digest
    at: Time


Entry = CertificateEntry | KeyEntry | AccessLogEntry
_READER: Final[TypeAdapter[Entry]] = TypeAdapter(Annotated[Entry, Field(discriminator="type")])


def encode(entry: Entry) -> bytes:
    """The bytes that go into the log."""
    return documents.canonical(entry.model_dump(mode="json", exclude_none=True))


def decode(content: bytes) -> Entry:
    """Read an entry.

    Raises:
        MalformedLogError: it is none of ours, or not in its canonical form.
    """
    if len(content) > MAX_ENTRY:
        raise MalformedLogError("an entry of the log is longer than ours are")
    try:
        entry = _READER.validate_python(documents.parse(content))
    except (ValidationError, MalformedCertificateError) as error:
        raise MalformedLogError("an entry of the log is of no form that is known here") from error
    if encode(entry) != content:
        raise MalformedLogError("an entry of the log is not in its canonical form")
    return entry
