"""Sealing with AES-256-GCM: nodes under the key their parent holds, and the root key's envelope for Vault.

Pure but for the cipher itself; randomness is an argument. Sealed bytes, version 1:

    u8 version = 1, 12-byte nonce, ciphertext, 16-byte tag

Every node is sealed once under its own fresh key; only the root keeps its key from one insertion to the next, with
a random nonce each time, until a forgetting replaces it (or its use limit, far below AES-GCM's bound).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from imagint_privacy.errors import ForeignTreeError, NodeTamperedError

Entropy = Callable[[int], bytes]
"""Gives that many random bytes."""

VERSION: Final = 1
KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
OVERHEAD: Final = 1 + NONCE_BYTES + 16
_ZEROS: Final = memoryview(bytes(32768))
_ROOT_DOMAIN: Final = b"imagint.ai/tree/root-key/1\0"


def seal(key: bytes | bytearray, nonce: bytes, plain: bytes | bytearray, bound: bytes) -> bytes:
    """Seal bytes, bound to associated data."""
    return bytes((VERSION,)) + nonce + AESGCM(key).encrypt(nonce, plain, bound)


def open_node(key: bytes | bytearray, sealed: bytes, bound: bytes) -> bytearray:
    """Open a sealed node into a buffer that its owner can wipe.

    Raises:
        NodeTamperedError: the node is truncated, altered, older, or of another place, tenant or key.
    """
    if len(sealed) < OVERHEAD or sealed[0] != VERSION:
        raise NodeTamperedError("a sealed node is truncated or of an unknown version")
    view = memoryview(sealed)
    plain = bytearray(len(sealed) - OVERHEAD)
    try:
        AESGCM(key).decrypt_into(view[1 : 1 + NONCE_BYTES], view[1 + NONCE_BYTES :], bound, plain)
    except InvalidTag:
        raise NodeTamperedError("a sealed node does not open at its place") from None
    return plain


def digest_of(sealed: bytes) -> bytes:
    """Return the content address of sealed bytes."""
    return hashlib.sha256(sealed).digest()


def wipe(buffer: bytearray) -> None:
    """Overwrite a buffer with zeros."""
    size = len(buffer)
    buffer[:] = _ZEROS[:size] if size <= len(_ZEROS) else bytes(size)


def root_envelope(tenant: str, key: bytes) -> bytes:
    """Return what Vault wraps: the root key, marked with its tenant."""
    return bytes((VERSION,)) + _mark(tenant) + key


def open_root_envelope(tenant: str, envelope: bytes) -> bytearray:
    """Return the root key of an unwrapped envelope.

    Raises:
        ForeignTreeError: the envelope was made for another tenant, or is no envelope.
    """
    if len(envelope) != 1 + 16 + KEY_BYTES or envelope[0] != VERSION or envelope[1:17] != _mark(tenant):
        raise ForeignTreeError(f"the wrapped root is not of tenant {tenant}")
    return bytearray(envelope[17:])


def _mark(tenant: str) -> bytes:
    return hashlib.sha256(_ROOT_DOMAIN + tenant.encode("ascii")).digest()[:16]
