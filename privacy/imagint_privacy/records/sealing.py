"""Sealing a record, an object or a canary under the data key of its path.

Pure but for the cipher; randomness is an argument. Sealed bytes, version 1:

    u8 version = 1, 8-byte key id, 12-byte nonce, ciphertext, 16-byte tag

AES-256-GCM, bound to tenant, path, kind, id and where it is kept, so that nothing opens in another's place. The key
id, a digest of the random key, tells "sealed under a key that is gone" from "altered", also when the subject has
come back and the same path has a new key.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from hashlib import sha256
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from imagint_privacy.errors import KeyDestroyedError, RecordTamperedError
from imagint_privacy.keys.paths import KeyPath
from imagint_privacy.keys.seals import Entropy

VERSION: Final = 1
NONCE_BYTES: Final = 12
_HEAD: Final = 1 + 8 + NONCE_BYTES
_TAG: Final = 16
_DOMAIN: Final = b"imagint.ai/record/1\0"
_KEY_DOMAIN: Final = b"imagint.ai/record/key-id/1\0"


class Keeping(IntEnum):
    """Where sealed bytes are kept; part of what they are bound to."""

    ROW = 0
    OBJECT = 1
    CANARY = 2


@dataclass(frozen=True, slots=True)
class Binding:
    """Everything that sealed bytes are bound to."""

    tenant: str
    path: KeyPath
    kind: str
    record_id: str
    keeping: Keeping

    def data(self) -> bytes:
        """Return the associated data: every part with its length, so that no two bindings read alike."""
        texts = (self.tenant, self.path.subject, self.path.category, self.path.period, self.kind, self.record_id)
        parts = [_DOMAIN, bytes((self.keeping,))]
        for text in texts:
            raw = text.encode("ascii")
            parts += [struct.pack(">H", len(raw)), raw]
        return b"".join(parts)


def key_id(key: bytes) -> bytes:
    """Return the 8 bytes that name a data key without telling anything about it."""
    return sha256(_KEY_DOMAIN + key).digest()[:8]


def seal(key: bytes, binding: Binding, plain: bytes, entropy: Entropy) -> bytearray:
    """Seal bytes."""
    nonce = entropy(NONCE_BYTES)
    sealed = bytearray(_HEAD + len(plain) + _TAG)
    sealed[:_HEAD] = bytes((VERSION,)) + key_id(key) + nonce
    AESGCM(key).encrypt_into(nonce, plain, binding.data(), memoryview(sealed)[_HEAD:])
    return sealed


def unseal(key: bytes, binding: Binding, sealed: bytes) -> bytes:
    """Open sealed bytes.

    Raises:
        KeyDestroyedError: they were sealed under another key than the path's: that key is gone.
        RecordTamperedError: they are truncated, altered, swapped or of an unknown version.
    """
    if len(sealed) < _HEAD + _TAG or sealed[0] != VERSION:
        raise RecordTamperedError(f"{_named(binding)} is truncated or of an unknown version")
    view = memoryview(sealed)
    if view[1:9] != key_id(key):
        raise KeyDestroyedError(f"the key that sealed {_named(binding)} is gone")
    try:
        return AESGCM(key).decrypt(view[9:_HEAD], view[_HEAD:], binding.data())
    except InvalidTag:
        raise RecordTamperedError(f"{_named(binding)} does not open in its place") from None


def _named(binding: Binding) -> str:
    return f"{binding.keeping.name.lower()} {binding.record_id}"
