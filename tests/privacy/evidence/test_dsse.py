"""DSSE: the encoding that is signed, and envelopes taken apart strictly."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from imagint_privacy.evidence import dsse
from imagint_privacy.evidence.errors import MalformedCertificateError, SigningError, TrustedKeyError
from imagint_privacy.evidence.fakes import LocalSigner

SIGNER = LocalSigner(b"\x01" * 32)


def document(**changes: Any) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(dsse.encode(dsse.sign(b"{}", SIGNER)))
    return {key: value for key, value in {**made, **changes}.items() if value is not ...}


def signature(**changes: Any) -> dict[str, Any]:
    first: dict[str, Any] = document()["signatures"][0]
    return {key: value for key, value in {**first, **changes}.items() if value is not ...}


def test_pae_is_the_one_of_the_dsse_specification() -> None:
    encoded = dsse.pae("http://example.com/HelloWorld", b"hello world")
    assert encoded == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"


def test_pae_counts_bytes_not_characters() -> None:
    assert dsse.pae("é", "ü".encode()) == b"DSSEv1 2 \xc3\xa9 2 \xc3\xbc"


def test_what_is_encoded_is_decoded() -> None:
    envelope = dsse.sign(b'{"a":1}', SIGNER)
    assert dsse.decode(dsse.encode(envelope)) == envelope


def test_an_envelope_may_carry_several_signatures() -> None:
    other = dsse.sign(b"{}", LocalSigner(b"\x02" * 32))
    first = dsse.sign(b"{}", SIGNER)
    both = dsse.Envelope(b"{}", dsse.PAYLOAD_TYPE, first.signatures + other.signatures, first.hints + other.hints)
    assert dsse.decode(dsse.encode(both)) == both


def test_the_hints_may_be_absent() -> None:
    assert dsse.decode(json.dumps(document(hints=...)).encode()).hints == ()


def b64(content: bytes) -> str:
    return base64.b64encode(content).decode()


OTHER_PEM = LocalSigner(b"\x02" * 32).public_key()
MALFORMED = {
    "no payload": document(payload=...),
    "no type": document(payloadType=...),
    "no signatures": document(signatures=...),
    "an empty list of signatures": document(signatures=[]),
    "signatures that are no list": document(signatures={}),
    "more signatures than the limit": document(signatures=[signature()] * 9),
    "the same key twice": document(signatures=[signature()] * 2),
    "an unknown member": document(critical=True),
    "another type": document(payloadType="text/plain"),
    "a type that is no text": document(payloadType=7),
    "a payload that is no base64": document(payload="{}"),
    "a payload that is no text": document(payload=7),
    "a payload in base64 with spare bits": document(payload="e31="),
    "a payload in base64 without padding": document(payload="e30"),
    "a payload in base64 with a line break": document(payload="e3\n0="),
    "a payload in the alphabet of addresses": document(payload="_-8="),
    "a signature that is too short": document(signatures=[signature(sig=b64(b"x" * 63))]),
    "a signature without a key id": document(signatures=[signature(keyid=...)]),
    "a key id in capitals": document(signatures=[signature(keyid="A" * 64)]),
    "a key id that is too short": document(signatures=[signature(keyid="a")]),
    "a signature with an unknown member": document(signatures=[signature(cert="x")]),
    "a signature that is no object": document(signatures=["x"]),
    "hints that are no object": document(hints=[]),
    "hints with an unknown member": document(hints={"publicKeys": [], "x": 1}),
    "hinted keys that are no list": document(hints={"publicKeys": "x"}),
    "more hinted keys than the limit": document(hints={"publicKeys": [SIGNER.public_key()] * 9}),
    "a hinted key that is no text": document(hints={"publicKeys": [1]}),
    "a hinted key that is no key": document(hints={"publicKeys": ["x"]}),
    "a hinted key that is too long": document(hints={"publicKeys": ["x" * 2000]}),
    "a hinted key of nobody who signed": document(hints={"publicKeys": [OTHER_PEM]}),
    "a hinted key with text around it": document(hints={"publicKeys": [SIGNER.public_key() + "x"]}),
}


@pytest.mark.parametrize("made", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_envelope_is_refused(made: dict[str, Any]) -> None:
    with pytest.raises(MalformedCertificateError):
        dsse.decode(json.dumps(made).encode())


def pem(key: Any) -> bytes:
    return bytes(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))


@pytest.mark.parametrize(
    "given",
    [
        b"",
        b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
        pem(ec.generate_private_key(ec.SECP256R1()).public_key()),
        pem(rsa.generate_private_key(65537, 2048).public_key()),
    ],
    ids=["an empty file", "a damaged key", "a key on another curve", "an RSA key"],
)
def test_only_ed25519_keys_can_be_trusted(given: bytes) -> None:
    with pytest.raises(TrustedKeyError):
        dsse.public_key(given)


class ForgetfulSigner(LocalSigner):
    def sign(self, message: bytes) -> bytes:
        return super().sign(message + b"!")


class KeylessSigner(LocalSigner):
    def public_key(self) -> str:
        return "none"


@pytest.mark.parametrize("signer", [ForgetfulSigner, KeylessSigner])
def test_a_signature_that_does_not_verify_is_not_handed_out(signer: type[LocalSigner]) -> None:
    with pytest.raises(SigningError):
        dsse.sign(b"{}", signer(b"\x01" * 32))
