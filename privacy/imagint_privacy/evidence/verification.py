"""Checks a certificate offline. Pure: bytes, keys and the time come in; a report or a named refusal comes out.

The order matters: nothing of the payload is interpreted before a signature over it was checked. Trust comes only from
the caller's keys, never from the file. There is no "probably": what is not verified raises.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from imagint_privacy.evidence import dsse, statements
from imagint_privacy.evidence.errors import (
    MismatchError,
    SignatureInvalidError,
    SignerUnknownError,
    SignerUntrustedError,
)
from imagint_privacy.evidence.findings import VerificationReport, describe
from imagint_privacy.evidence.predicate import ErasurePredicate
from imagint_privacy.evidence.rules import CLOCK_SKEW
from imagint_privacy.evidence.shred import ShredPredicate
from imagint_privacy.evidence.statements import Statement


@dataclass(frozen=True, slots=True)
class Expected:
    """What the caller knows of the certificate from elsewhere; a genuine one about something else is refused."""

    request: str | None = None
    tenant: str | None = None
    digest: str | None = None
    subject: str | None = None
    salt: str | None = None


def certify(statement: bytes, signer: dsse.Signer) -> bytes:
    """Sign a statement; the answer is the certificate's file.

    Raises:
        SigningError: the signer's answer does not verify.
    """
    return dsse.encode(dsse.sign(statement, signer))


def digest(certificate: bytes) -> str:
    """The certificate's digest: SHA-256 over its exact bytes, less a newline that a tool put behind them."""
    return "sha256:" + hashlib.sha256(certificate.removesuffix(b"\n")).hexdigest()


def verify(
    certificate: bytes, trusted: Sequence[str | bytes], now: datetime, expected: Expected | None = None
) -> VerificationReport:
    """Verify a certificate under the keys (PEM) that the caller trusts.

    Raises:
        CertificateRefusedError: do not rely on it; the subclass and the message say why.
        SignerUntrustedError: it is intact, but no key was given to trust (its `report` says what it would show).
        TrustedKeyError: one of the given keys is not an Ed25519 public key in PEM.
    """
    keys = {key.key_id: key for key in map(dsse.public_key, trusted)}
    envelope = dsse.decode(certificate)
    signer = _signer(envelope, keys)
    statement = statements.read(envelope.payload)
    wanted = expected or Expected()
    _compare(statement, digest(certificate), wanted)
    if statement.predicate.clocks.done_at > now + CLOCK_SKEW:
        raise MismatchError("it says that it was issued in the future: this machine's clock or the issuer's is wrong")
    trusted_signer = signer.key_id in keys
    report = VerificationReport(
        trusted=trusted_signer,
        key_id=signer.key_id,
        digest=digest(certificate),
        statement=statement,
        findings=describe(
            statement,
            key_id=signer.key_id,
            trusted=trusted_signer,
            subject_known=wanted.subject is not None,
            now=now,
        ),
    )
    if not trusted_signer:
        raise SignerUntrustedError(report)
    return report


def _signer(envelope: dsse.Envelope, trusted: Mapping[str, dsse.PublicKey]) -> dsse.PublicKey:
    """Check every signature that can be checked; answer a trusted signer, or else a hinted one."""
    hinted = {key.key_id: key for key in envelope.hints}
    checked = []
    for signature in envelope.signatures:
        key = trusted.get(signature.key_id) or hinted.get(signature.key_id)
        if key is not None:
            key.check(signature.value, envelope.message())
            checked.append(key)
    vouched = [key for key in checked if key.key_id in trusted]
    if vouched:
        return vouched[0]
    if trusted:
        _refuse_mislabelled(envelope, trusted)
        raise SignerUnknownError("none of the keys that you trust has signed it")
    if not checked:
        raise SignerUnknownError("it does not carry its signer's public key, and you named no key to trust")
    return checked[0]


def _refuse_mislabelled(envelope: dsse.Envelope, trusted: Mapping[str, dsse.PublicKey]) -> None:
    """Tell a damaged key id from a foreign signer: the key id is a hint that the signature does not cover."""
    for signature in envelope.signatures:
        for key in trusted.values():
            try:
                key.check(signature.value, envelope.message())
            except SignatureInvalidError:
                continue
            raise SignatureInvalidError("a key that you trust has signed it, but the file names another key")


def _compare(statement: Statement, actual_digest: str, wanted: Expected) -> None:
    predicate = statement.predicate
    if isinstance(predicate, ErasurePredicate):
        request, tenant = predicate.request.uid, predicate.request.tenant
    else:
        request, tenant = None, predicate.tenant.name
    for name, found, asked in (
        ("digest", actual_digest, wanted.digest),
        ("request", request, wanted.request),
        ("tenant", tenant, wanted.tenant),
    ):
        if asked is not None and found != asked:
            raise MismatchError(f"it is genuine, but its {name} is not the one that you asked for")
    if wanted.subject is None and wanted.salt is None:
        return
    if wanted.subject is None or wanted.salt is None:
        raise MismatchError("to check whose request it was, both the subject's handle and the salt are needed")
    if isinstance(predicate, ShredPredicate):
        raise MismatchError("it is genuine, but about a whole tenant and not about one subject's request")
    if not _commits(statement.commitment, wanted.subject, wanted.salt):
        raise MismatchError("it is genuine, but about another subject (or the salt is not the one of this request)")


def _commits(stated: str, subject: str, salt: str) -> bool:
    try:
        return statements.commits_to(stated, subject, salt)
    except ValueError as error:
        raise MismatchError("the subject must be a handle (subj-…) and the salt 64 hex digits") from error
