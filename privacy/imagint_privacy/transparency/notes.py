"""Signed notes (C2SP signed-note) and cosignatures over checkpoints (C2SP tlog-cosignature), with Ed25519 keys."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from imagint_privacy.transparency.errors import MalformedLogError, NoteForgedError, NoteUnsignedError

ED25519: Final = 0x01
COSIGNATURE: Final = 0x04
MAX_NOTE: Final = 64 * 1024
MAX_SIGNATURES: Final = 64
MAX_TIMESTAMP: Final = 2**63 - 1
KEY_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64
_NAME: Final = re.compile(r"[^\s+\x00-\x20]{1,255}")
_SIGNATURE: Final = re.compile(r"\u2014 ([^\s+]{1,255}) ([A-Za-z0-9+/]+={0,2})\n")


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key with the name that goes with it, and what its signatures mean (ED25519 or COSIGNATURE)."""

    name: str
    kind: int
    public: bytes

    @property
    def key_id(self) -> bytes:
        """The four bytes by which notes name the key."""
        return hashlib.sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.public).digest()[:4]

    def encoded(self) -> str:
        """The key as text (a "vkey")."""
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(bytes([self.kind]) + self.public).decode()}"

    @classmethod
    def parse(cls, text: str) -> VerifierKey:
        """Read a vkey.

        Raises:
            MalformedLogError: it is none, or of a kind that is not known here.
        """
        name, _, rest = text.strip().partition("+")
        key_id, _, encoded = rest.partition("+")
        raw = _decoded(encoded)
        if not _NAME.fullmatch(name) or len(raw) != KEY_BYTES + 1 or raw[0] not in {ED25519, COSIGNATURE}:
            raise MalformedLogError("not a verifier key for Ed25519 (name+id+base64, C2SP signed-note)")
        key = cls(name, raw[0], raw[1:])
        if key.key_id.hex() != key_id:
            raise MalformedLogError("the verifier key's id does not belong to it: a part was changed")
        return key


@dataclass(frozen=True, slots=True)
class NoteSignature:
    """One line below a note: who claims to have signed, and the bytes."""

    name: str
    key_id: bytes
    value: bytes

    def line(self) -> str:
        """The line, with its newline."""
        return f"\u2014 {self.name} {base64.b64encode(self.key_id + self.value).decode()}\n"


@dataclass(frozen=True, slots=True)
class Note:
    """A text that ends in a newline, and the signatures below it."""

    text: str
    signatures: tuple[NoteSignature, ...]

    def encoded(self) -> bytes:
        """The note's bytes."""
        return (self.text + "\n" + "".join(signature.line() for signature in self.signatures)).encode()

    def signed_by(self, keys: Iterable[VerifierKey]) -> tuple[VerifierKey, ...]:
        """The keys whose signatures fit. Signatures by unknown keys are passed over, as the specification demands.

        Raises:
            NoteForgedError: one of the keys is named, and the signature does not fit.
        """
        return tuple(key for key in keys if sum(self._checked(key, found) for found in self.signatures))

    def demand(self, keys: Sequence[VerifierKey]) -> tuple[VerifierKey, ...]:
        """The keys whose signatures fit: at least one.

        Raises:
            NoteUnsignedError: there is none.
            NoteForgedError: one of the keys is named, and the signature does not fit.
        """
        found = self.signed_by(keys)
        if not found:
            raise NoteUnsignedError("none of the keys that you trust has signed it")
        return found

    def cosigned_at(self, key: VerifierKey) -> int | None:
        """When a witness cosigned (POSIX seconds), or None when it did not.

        Raises:
            NoteForgedError: the witness is named, and the signature does not fit.
        """
        times = [int.from_bytes(found.value[:8], "big") for found in self.signatures if self._checked(key, found)]
        return max(times, default=None)

    def _checked(self, key: VerifierKey, found: NoteSignature) -> bool:
        if (found.name, found.key_id) != (key.name, key.key_id):
            return False
        stamp = b""
        if key.kind == COSIGNATURE:
            stamp = found.value[:8]
        message = self.text.encode() if key.kind == ED25519 else cosigned(self.text, int.from_bytes(stamp, "big"))
        try:
            Ed25519PublicKey.from_public_bytes(key.public).verify(found.value[len(stamp) :], message)
        except (InvalidSignature, ValueError) as error:
            raise NoteForgedError("the signature of a key that you trust does not fit: it was changed") from error
        return True


def cosigned(text: str, timestamp: int) -> bytes:
    """The message that a witness signs: the note's text below a header and the time (POSIX seconds)."""
    return f"cosignature/v1\ntime {timestamp}\n{text}".encode()


def cosignature(key: VerifierKey, timestamp: int, signature: bytes) -> NoteSignature:
    """The line of a witness, from its Ed25519 signature of `cosigned(text, timestamp)`."""
    return NoteSignature(key.name, key.key_id, timestamp.to_bytes(8, "big") + signature)


def parse(content: bytes) -> Note:
    """Read a note. Nothing in it may be relied upon before a signature was checked.

    Raises:
        MalformedLogError: it is none.
    """
    if len(content) > MAX_NOTE:
        raise MalformedLogError("the note is longer than a note may be")
    try:
        whole = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedLogError("the note is not in UTF-8") from error
    text, gap, below = whole.rpartition("\n\n")
    if not gap or any(character < " " and character != "\n" for character in whole):
        raise MalformedLogError("the note has no signatures below an empty line, or holds control characters")
    return Note(text + "\n", signature_lines(below))


def signature_lines(below: str) -> tuple[NoteSignature, ...]:
    """Read the lines below a note, or a witness's answer.

    Raises:
        MalformedLogError: something else is among them, or there are none, or too many.
    """
    found: list[NoteSignature] = []
    at = 0
    while at < len(below):
        line = _SIGNATURE.match(below, at)
        if line is None or len(found) == MAX_SIGNATURES:
            raise MalformedLogError("a line below the note is no signature, or there are too many")
        raw = _decoded(line[2])
        if len(raw) <= 4:
            raise MalformedLogError("a signature below the note is too short")
        found.append(NoteSignature(line[1], raw[:4], raw[4:]))
        at = line.end()
    if not found:
        raise MalformedLogError("the note is not signed")
    return tuple(found)


def _decoded(text: str) -> bytes:
    try:
        raw = base64.b64decode(text.encode("ascii"), validate=True)
    except (ValueError, binascii.Error) as error:
        raise MalformedLogError("not base64") from error
    if base64.b64encode(raw).decode() != text:
        raise MalformedLogError("not base64 in its canonical form")
    return raw
