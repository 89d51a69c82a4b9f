"""The only form of a person outside the Gateway: a handle that cannot be turned back without the tenant's index key.

Pure. It must not keep, log or raise the identifier it is given.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import unicodedata

SUBJECT_PATTERN = r"^subj-[a-z2-7]{26}$"
SYSTEM = "system"
"""The pseudo-subject that holds the tenant's own keys; no erasure reaches it."""

_HANDLE = re.compile(r"subj-[a-z2-7]{26}")
_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
_DIGITS = str.maketrans(_ALPHABET, "0123456789abcdefghijklmnopqrstuv")
_BYTES = 16


def handle(index_key: bytes, identifier: str) -> str:
    """Return the handle of a person: the same identifier, however typed, gives the same handle.

    Raises:
        ValueError: the identifier is empty, or the key is too short to hide anything.
    """
    normalised = unicodedata.normalize("NFKC", identifier).strip().casefold()
    if not normalised:
        raise ValueError("an identifier needs at least one visible character")
    if len(index_key) < _BYTES:
        raise ValueError("the index key is too short")
    digest = hmac.new(index_key, normalised.encode("utf-8", "surrogatepass"), hashlib.sha256).digest()
    return from_bytes(digest[:_BYTES])


def is_handle(text: str) -> bool:
    """Say whether a text is a subject handle."""
    return _HANDLE.fullmatch(text) is not None


def from_bytes(raw: bytes, spare: int = 0) -> str:
    """Write 16 bytes as a handle; `spare` fills the two bits of the last character that they leave over."""
    text = base64.b32encode(raw).decode("ascii").rstrip("=").lower()
    return "subj-" + text[:-1] + _ALPHABET[_ALPHABET.index(text[-1]) | spare]


def to_bytes(subject: str) -> tuple[bytes, int]:
    """Read a handle back into its 16 bytes and its two spare bits (0 in every handle made by `handle`).

    The spare bits are kept so that no two handles ever mean the same subject. The caller has checked the handle.
    """
    value = int(subject[5:].translate(_DIGITS), 32)
    return (value >> 2).to_bytes(_BYTES, "big"), value & 3
