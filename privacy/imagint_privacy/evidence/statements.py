"""in-toto Statements v1 about erasures and about tenants' ends: building them from facts, and reading them strictly.

The statement's subject is a commitment, SHA-256 over a random salt and the subject's handle. The salt is not in
the certificate: it stays with the request, beside the handle that it covers, and can be handed to the requester.
Whoever has both can show whose request the certificate is about; once both are deleted, nobody can.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from pydantic import ConfigDict, Field, ValidationError

from imagint_privacy.evidence import documents, rules
from imagint_privacy.evidence.errors import (
    CertificateRefusedError,
    ContradictionError,
    IncompleteEvidenceError,
    MalformedCertificateError,
    UnsupportedCertificateError,
)
from imagint_privacy.evidence.fields import HEX_256_PATTERN, Hex256, Model
from imagint_privacy.evidence.predicate import ERASURE_V1, ErasurePredicate
from imagint_privacy.evidence.shred import TENANT_SHRED_V1, ShredPredicate, tenant_digest
from imagint_privacy.evidence.shred_rules import shred_problems
from imagint_privacy.subjects import is_handle

STATEMENT_V1: Final = "https://in-toto.io/Statement/v1"
# In base64 and with its signatures it must still fit into a document, and that into a ConfigMap.
MAX_STATEMENT: Final = documents.MAX_BYTES * 5 // 8
_DOMAIN: Final = b"imagint.ai/subject-commitment/v1\n"
_SHOWN_PROBLEMS: Final = 5
_FIELD: Final = re.compile(r"[A-Za-z0-9_]{1,40}")


class DigestSet(Model):
    """The commitment, as the digest of the one thing that the statement is about."""

    sha256: Hex256


class Subject(Model):
    """The data subject, known here by a commitment only."""

    name: Literal["data-subject"] = "data-subject"
    digest: DigestSet


class ErasureStatement(Model):
    """An in-toto Statement v1 whose predicate is an erasure."""

    model_config = ConfigDict(title="Imagint certificate of erasure, statement v1")

    type_: Annotated[Literal["https://in-toto.io/Statement/v1"], Field(alias="_type")] = STATEMENT_V1
    subject: Annotated[tuple[Subject], Field(min_length=1, max_length=1)]
    predicate_type: Literal["https://imagint.ai/attestations/erasure/v1"] = ERASURE_V1
    predicate: ErasurePredicate


class TenantSubject(Model):
    """The tenant, by a digest of its uid."""

    name: Literal["tenant"] = "tenant"
    digest: DigestSet


class ShredStatement(Model):
    """An in-toto Statement v1 whose predicate is the end of a tenant."""

    model_config = ConfigDict(title="Imagint certificate of a tenant's end, statement v1")

    type_: Annotated[Literal["https://in-toto.io/Statement/v1"], Field(alias="_type")] = STATEMENT_V1
    subject: Annotated[tuple[TenantSubject], Field(min_length=1, max_length=1)]
    predicate_type: Literal["https://imagint.ai/attestations/tenant-shred/v1"] = TENANT_SHRED_V1
    predicate: ShredPredicate


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement that was read and whose rules hold. Its commitment is to a data subject, or to a tenant's uid."""

    commitment: str
    predicate_type: str
    predicate: ErasurePredicate | ShredPredicate


def commitment(handle: str, salt: str) -> str:
    """Commit to a subject's handle under a random salt of 32 bytes in hex.

    Raises:
        ValueError: not a handle, or not such a salt.
    """
    if not is_handle(handle) or not re.fullmatch(HEX_256_PATTERN, salt):
        raise ValueError("a commitment needs a subject's handle and a salt of 64 hex digits")
    return hashlib.sha256(_DOMAIN + bytes.fromhex(salt) + handle.encode()).hexdigest()


def commits_to(stated: str, handle: str, salt: str) -> bool:
    """Whether the commitment is to this handle under this salt."""
    return hmac.compare_digest(stated, commitment(handle, salt))


def erasure_statement(predicate: ErasurePredicate, *, subject: str) -> bytes:
    """Build the canonical bytes of the statement that is to be signed.

    Raises:
        IncompleteEvidenceError: the facts do not support it, for one because a probe did not pass.
    """
    return _built(
        rules.problems(predicate),
        lambda: ErasureStatement(subject=(Subject(digest=DigestSet(sha256=subject)),), predicate=predicate),
    )


def shred_statement(predicate: ShredPredicate) -> bytes:
    """Build the canonical bytes of the statement about a tenant's end.

    Raises:
        IncompleteEvidenceError: the facts do not support it, for one because a probe did not pass.
    """
    digest = DigestSet(sha256=tenant_digest(predicate.tenant.uid))
    return _built(
        shred_problems(predicate),
        lambda: ShredStatement(subject=(TenantSubject(digest=digest),), predicate=predicate),
    )


def _built(objections: tuple[str, ...], make: Callable[[], ErasureStatement | ShredStatement]) -> bytes:
    if objections:
        raise IncompleteEvidenceError(objections)
    try:
        content = _written(make())
        # What was built is read back as a verifier would: nothing is signed that nobody could verify.
        read(content)
    except ValidationError as error:
        raise IncompleteEvidenceError([f"the statement would be malformed at: {_places(error)}"]) from error
    except CertificateRefusedError as error:
        raise IncompleteEvidenceError([f"the statement would be refused: {error}"]) from error
    return content


def read(payload: bytes) -> Statement:
    """Read a statement whose signature was verified.

    Raises:
        MalformedCertificateError: not canonical, or a field is missing, unknown or out of its form.
        UnsupportedCertificateError: of a type or version that this program does not know.
        ContradictionError: its own statements do not fit together.
    """
    if len(payload) > MAX_STATEMENT:
        raise MalformedCertificateError(f"the statement is larger than {MAX_STATEMENT} bytes")
    document = documents.parse(payload)
    kind = _supported(document)
    try:
        statement = kind.model_validate_json(payload, strict=True, by_alias=True, by_name=False)
    except ValidationError as error:
        raise MalformedCertificateError(f"the statement is malformed at: {_places(error)}") from error
    if _written(statement) != payload:
        raise MalformedCertificateError("the statement leaves something out, or is not in its canonical form")
    objections = tuple(_objections(statement))
    if objections:
        raise ContradictionError(objections)
    return Statement(statement.subject[0].digest.sha256, statement.predicate_type, statement.predicate)


def _objections(statement: ErasureStatement | ShredStatement) -> Iterator[str]:
    if isinstance(statement, ErasureStatement):
        yield from rules.problems(statement.predicate)
        return
    yield from shred_problems(statement.predicate)
    if statement.subject[0].digest.sha256 != tenant_digest(statement.predicate.tenant.uid):
        yield "the statement's subject is another tenant than its predicate's"


def _written(statement: ErasureStatement | ShredStatement) -> bytes:
    return documents.canonical(statement.model_dump(mode="json", exclude_none=True))


def _supported(document: dict[str, Any]) -> type[ErasureStatement] | type[ShredStatement]:
    if document.get("_type") != STATEMENT_V1:
        raise UnsupportedCertificateError(f"the statement is not an in-toto Statement v1 ({STATEMENT_V1})")
    kind = document.get("predicateType")
    if kind == TENANT_SHRED_V1:
        return ShredStatement
    if kind != ERASURE_V1:
        raise UnsupportedCertificateError(
            f"the statement is of a kind or version that this program does not know (it knows {ERASURE_V1} and "
            f"{TENANT_SHRED_V1})"
        )
    return ErasureStatement


def _places(error: ValidationError) -> str:
    # Names of unknown members come from the file: only what reads like a field of ours is shown.
    details = error.errors(include_input=False, include_url=False, include_context=False)
    return ", ".join(f"{_place(detail['loc'])} ({detail['type']})" for detail in details[:_SHOWN_PROBLEMS])


def _place(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) if _FIELD.fullmatch(str(part)) else "?" for part in location)
