"""Sealing a small record or a canary in one piece under the data key of its path, and opening whatever was sealed.

Pure but for the cipher; randomness is an argument. Sealed bytes:

    version 1   u8 version, 8-byte key id, 12-byte nonce, ciphertext, 16-byte tag; bound to tenant, path, kind, id
                and keeping. Still written for canaries; rows and objects of before are read.
    version 2   a stream of chunks: every object (`streams`).
    version 3   as version 1, bound also to its head and to the moment the record was made: every row.

AES-256-GCM, so nothing opens in another's place. The key id, a digest of the random key, tells "sealed under a key
that is gone" from "altered", also when the subject has come back and the same path has a new key. Nonces are random:
NIST SP 800-38D (8.3) allows 2^32 of them per key, and a key serves one subject, category and month. No cipher object
is kept: it would hold a key longer than the tree's caches may.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from imagint_privacy.errors import KeyDestroyedError, RecordTamperedError
from imagint_privacy.keys.seals import Entropy
from imagint_privacy.records import streams
from imagint_privacy.records.bindings import KEY_ID_BYTES, Binding, Keeping, key_id
from imagint_privacy.records.streams import Buffer, DataKey

__all__ = ["Binding", "Keeping", "key_id", "open_pieces", "seal", "unseal"]

UNDATED: Final = 1
DATED: Final = 3
NONCE_BYTES: Final = 12
_MARK: Final = 1 + KEY_ID_BYTES
_HEAD: Final = _MARK + NONCE_BYTES
_TAG: Final = 16
_UNDATED_BYTE: Final = bytes((UNDATED,))
_DATED_BYTE: Final = bytes((DATED,))


def seal(key: bytes, binding: Binding, plain: bytes, entropy: Entropy) -> bytes:
    """Seal bytes in one piece: dated if the binding has a moment, else as version 1."""
    nonce = entropy(NONCE_BYTES)
    if binding.made is None:
        mark = _UNDATED_BYTE + key_id(key)
        bound = binding.data()
    else:
        mark = _DATED_BYTE + key_id(key)
        bound = binding.dated() + mark
    return b"".join((mark, nonce, AESGCM(key).encrypt(nonce, plain, bound)))


def unseal(key: bytes, binding: Binding, sealed: Buffer) -> bytes:
    """Open sealed bytes of any version.

    Raises:
        KeyDestroyedError: they were sealed under another key than the path's: that key is gone.
        RecordTamperedError: they are truncated, altered, swapped, older or of an unknown version.
    """
    view = memoryview(sealed)
    if len(view) < _HEAD + _TAG:
        raise RecordTamperedError(f"{binding.named()} is truncated")
    version = view[0]
    if version == streams.VERSION:
        return b"".join(streams.open_stream(lambda: key, binding, (sealed,)))
    mark = bytes(view[:_MARK])
    if version == DATED and binding.made is not None:
        bound = binding.dated() + mark
    elif version == UNDATED:
        bound = binding.data()
        # Not part of what is authenticated, so it is compared before anything is opened.
        if mark[1:] != key_id(key):
            raise _refusal(key, binding, mark, view)
    else:
        raise RecordTamperedError(f"{binding.named()} is of an unknown version")
    try:
        return AESGCM(key).decrypt(view[_MARK:_HEAD], view[_HEAD:], bound)
    except InvalidTag:
        raise _refusal(key, binding, mark, view) from None


def open_pieces(key: DataKey, binding: Binding, pieces: Iterable[Buffer], size: int) -> Iterator[bytes]:
    """Open sealed bytes of any version as they arrive: no chunk is handed out before it is authenticated.

    What was sealed in one piece is gathered first; `size`, the length that the record must have, bounds how much.

    Raises:
        KeyDestroyedError, RecordTamperedError: as in `unseal`, or the length is another.
    """
    arriving = iter(pieces)
    first = next((piece for piece in arriving if len(piece)), b"")
    pieces = chain((first,), arriving)
    opened: Iterable[bytes]
    if len(first) and first[0] == streams.VERSION:
        opened = streams.open_stream(key, binding, pieces)
    else:
        opened = (unseal(key(), binding, _gathered(binding, pieces, size + _HEAD + _TAG)),)
    left = size
    for chunk in opened:
        left -= len(chunk)
        if left < 0:
            raise RecordTamperedError(f"{binding.named()} is longer than its row says")
        yield chunk
    if left:
        raise RecordTamperedError(f"{binding.named()} is shorter than its row says")


def _gathered(binding: Binding, pieces: Iterable[Buffer], most: int) -> bytes:
    gathered, left = [], most
    for piece in pieces:
        left -= len(piece)
        if left < 0:
            raise RecordTamperedError(f"{binding.named()} is longer than its row says")
        gathered.append(piece)
    return b"".join(gathered)


def _refusal(key: bytes, binding: Binding, mark: bytes, view: memoryview) -> KeyDestroyedError | RecordTamperedError:
    """Say why sealed bytes did not open: another key, or other bytes."""
    name, right = binding.named(), mark[:1] + key_id(key)
    if mark == right:
        return RecordTamperedError(f"{name} does not open in its place")
    bound = binding.data() if mark[0] == UNDATED else binding.dated() + right
    try:
        AESGCM(key).decrypt(view[_MARK:_HEAD], view[_HEAD:], bound)
    except InvalidTag:
        return KeyDestroyedError(f"the key that sealed {name} is gone")
    return RecordTamperedError(f"the key id of {name} was altered")
