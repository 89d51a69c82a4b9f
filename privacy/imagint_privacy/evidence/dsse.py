"""DSSE envelopes (secure-systems-lab/dsse v1.0.2) around in-toto statements, with Ed25519 keys.

A certificate's file *is* a DSSE envelope in JSON, so that any DSSE tool reads it. It carries one more member,
which DSSE tells readers to ignore: `hints.publicKeys`, the signers' public keys. A hint proves nothing; with it,
"intact, but by a key that you do not know" can be told from "damaged".

The key id is the SHA-256 of the key's SubjectPublicKeyInfo in DER, in hex. Several signatures are allowed.
Nothing here may parse the payload: it is only ever looked at after its signature was checked.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from typing import Any, Final, Protocol

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from imagint_privacy.evidence import documents
from imagint_privacy.evidence.errors import (
    MalformedCertificateError,
    SignatureInvalidError,
    SigningError,
    TrustedKeyError,
)

PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
MAX_SIGNATURES: Final = 8
MAX_PEM: Final = 1024
SIGNATURE_BYTES: Final = 64
_KEY_ID: Final = re.compile(r"[0-9a-f]{64}")


class Signer(Protocol):
    """Whoever can sign with the evidence key (Vault's transit engine, or a key in a test)."""

    def sign(self, message: bytes) -> bytes:
        """Answer the 64 bytes of the Ed25519 signature of the message itself (not of a hash of it)."""

    def public_key(self) -> str:
        """Answer the public key in PEM."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """An Ed25519 public key and its id."""

    pem: str
    key_id: str
    key: Ed25519PublicKey

    def check(self, signature: bytes, message: bytes) -> None:
        """Return when the signature fits.

        Raises:
            SignatureInvalidError: it does not.
        """
        try:
            self.key.verify(signature, message)
        except InvalidSignature as error:
            raise SignatureInvalidError(
                f"the signature of key {self.key_id[:16]}… does not fit the content: it was changed after signing, "
                "or signed by somebody else"
            ) from error


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature and the id of the key that claims to have made it."""

    key_id: str
    value: bytes


@dataclass(frozen=True, slots=True)
class Envelope:
    """A payload, its type and its signatures; `hints` are public keys that nobody vouches for."""

    payload: bytes
    payload_type: str
    signatures: tuple[Signature, ...]
    hints: tuple[PublicKey, ...]

    def message(self) -> bytes:
        """The bytes that every signature is over."""
        return pae(self.payload_type, self.payload)


def pae(payload_type: str, payload: bytes) -> bytes:
    """Encode type and payload so that neither can pass for a part of the other (DSSE's PAE)."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def public_key(pem: str | bytes) -> PublicKey:
    """Read a public key in PEM.

    Raises:
        TrustedKeyError: not an Ed25519 public key in PEM.
    """
    text = pem.encode() if isinstance(pem, str) else pem
    try:
        key = load_pem_public_key(text)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise TrustedKeyError("not a public key in PEM") from error
    if not isinstance(key, Ed25519PublicKey):
        raise TrustedKeyError("not an Ed25519 public key")
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    canonical_pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    return PublicKey(canonical_pem, hashlib.sha256(der).hexdigest(), key)


def sign(payload: bytes, signer: Signer, payload_type: str = PAYLOAD_TYPE) -> Envelope:
    """Sign the payload, and check the answer before anybody relies on it.

    Raises:
        SigningError: the signer's answer does not verify under the signer's own public key.
    """
    message = pae(payload_type, payload)
    try:
        key = public_key(signer.public_key())
        value = signer.sign(message)
        key.check(value, message)
    except (TrustedKeyError, SignatureInvalidError) as error:
        raise SigningError("the evidence key's signature does not verify under its own public key") from error
    return Envelope(payload, payload_type, (Signature(key.key_id, value),), (key,))


def encode(envelope: Envelope) -> bytes:
    """Write the envelope as the bytes of a certificate's file."""
    return documents.canonical(
        {
            "payload": base64.b64encode(envelope.payload).decode(),
            "payloadType": envelope.payload_type,
            "signatures": [
                {"keyid": signature.key_id, "sig": base64.b64encode(signature.value).decode()}
                for signature in envelope.signatures
            ],
            "hints": {"publicKeys": [key.pem for key in envelope.hints]},
        }
    )


def decode(content: bytes) -> Envelope:
    """Read the bytes of a certificate's file. Nothing in the answer has been verified.

    Raises:
        MalformedCertificateError: not a DSSE envelope as this project writes them.
    """
    document = documents.parse(content)
    _members(document, {"payload", "payloadType", "signatures"}, {"hints"}, "the envelope")
    payload_type = document["payloadType"]
    if payload_type != PAYLOAD_TYPE:
        raise MalformedCertificateError(f"the payload is not declared as {PAYLOAD_TYPE}")
    signatures = _signatures(document["signatures"])
    hints = _hints(document["hints"]) if "hints" in document else ()
    if {key.key_id for key in hints} - {signature.key_id for signature in signatures}:
        raise MalformedCertificateError("a hinted public key belongs to none of the signatures")
    return Envelope(_base64(document["payload"], "payload"), payload_type, signatures, hints)


def _signatures(value: Any) -> tuple[Signature, ...]:
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_SIGNATURES:
        raise MalformedCertificateError(f"there must be 1 to {MAX_SIGNATURES} signatures")
    found = []
    for item in value:
        _members(item, {"keyid", "sig"}, set(), "a signature")
        key_id, signature = item["keyid"], _base64(item["sig"], "sig")
        if not isinstance(key_id, str) or not _KEY_ID.fullmatch(key_id) or len(signature) != SIGNATURE_BYTES:
            raise MalformedCertificateError("a signature has a malformed key id or length")
        found.append(Signature(key_id, signature))
    if len({signature.key_id for signature in found}) != len(found):
        raise MalformedCertificateError("the same key signs twice")
    return tuple(found)


def _hints(value: Any) -> tuple[PublicKey, ...]:
    _members(value, {"publicKeys"}, set(), "hints")
    pems = value["publicKeys"]
    if not isinstance(pems, list) or len(pems) > MAX_SIGNATURES:
        raise MalformedCertificateError("the hinted public keys are not a short list")
    keys = []
    for pem in pems:
        if not isinstance(pem, str) or len(pem) > MAX_PEM:
            raise MalformedCertificateError("a hinted public key is not a short text")
        try:
            key = public_key(pem)
        except TrustedKeyError as error:
            raise MalformedCertificateError("a hinted public key cannot be read") from error
        if key.pem != pem:
            raise MalformedCertificateError("a hinted public key is not in its canonical form")
        keys.append(key)
    return tuple(keys)


def _members(value: Any, required: set[str], optional: set[str], where: str) -> None:
    if not isinstance(value, dict):
        raise MalformedCertificateError(f"{where} is not an object")
    if required - value.keys():
        raise MalformedCertificateError(f"{where} lacks {', '.join(sorted(required - value.keys()))}")
    if value.keys() - required - optional:
        raise MalformedCertificateError(f"{where} has a member that this version does not know")


def _base64(value: Any, where: str) -> bytes:
    try:
        decoded = base64.b64decode(value.encode("ascii"), validate=True)
    except (AttributeError, ValueError, binascii.Error) as error:
        raise MalformedCertificateError(f"{where} is not base64") from error
    if base64.b64encode(decoded).decode() != value:
        raise MalformedCertificateError(f"{where} is not base64 in its canonical form")
    return decoded
