"""Sealing an object of any size chunk by chunk, in constant memory: version 2 of sealed bytes.

Pure but for the cipher; randomness is an argument. The STREAM construction (Hoang, Reyhanitabar, Rogaway and Vizar,
CRYPTO 2015), as age has it:

    head    u8 version = 2, 8-byte key id, u8 binary logarithm of the chunk's bytes, 32-byte salt
    chunks  AES-256-GCM of that many bytes each; the last may be shorter, and is empty only if the whole is

The object's own key is HKDF-SHA-256 of the path's data key and the salt, so a data key is used once per object
whatever its size; nonces count (11 bytes, then 1 for the last chunk, else 0), so none repeats under it. Every chunk
is bound to the head, to the record and to the moment it was made: cut, swapped, repeated, foreign or older chunks do
not open.

No key is kept from one chunk to the next: `DataKey` is asked each time. So a stream that is slow holds nothing open
longer than the tree's caches do, and one whose key is forgotten half-way stops. It must not hand out a chunk that is
not authenticated, nor hold more than two chunks.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from imagint_privacy.errors import KeyDestroyedError, RecordSizeError, RecordTamperedError
from imagint_privacy.keys.seals import Entropy
from imagint_privacy.records.bindings import KEY_ID_BYTES, Binding, key_id

Buffer = bytes | bytearray | memoryview
DataKey = Callable[[], bytes]
"""Gives the data key of the record's path, or raises when it is gone."""

VERSION: Final = 2
CHUNK_BITS: Final = 20
"""1 MiB: an image is one chunk."""
SMALLEST_BITS: Final = 10
SALT_BYTES: Final = 32
TAG_BYTES: Final = 16
HEAD_BYTES: Final = 1 + KEY_ID_BYTES + 1 + SALT_BYTES
MOST_CHUNKS: Final = 1 << 24
"""16 TiB in chunks of 1 MiB: 2^40 blocks under one key, far below what AES-GCM bears."""
_BITS_AT: Final = 1 + KEY_ID_BYTES
_DOMAIN: Final = b"imagint.ai/record/object-key/2\0\x01"
_NEAR: Final = 8


class _Chunks:
    """Seals and opens the chunks of one object; holds no key."""

    __slots__ = ("_key", "binding", "bound", "head")

    def __init__(self, key: DataKey, binding: Binding, head: bytes) -> None:
        self._key = key
        self.binding = binding
        self.head = head
        self.bound = binding.dated() + head

    def seal(self, number: int, plain: Buffer, last: bool) -> bytes:
        """Seal one chunk.

        Raises:
            KeyDestroyedError: the path has another key by now.
        """
        key = self._key()
        if key_id(key) != self.head[1:_BITS_AT]:
            raise self._gone()
        return _object_cipher(key, self.head).encrypt(_nonce(number, last), plain, self.bound)

    def open(self, number: int, sealed: Buffer, last: bool) -> bytes:
        """Open one chunk.

        Raises:
            KeyDestroyedError: the path has no key, or another one.
            RecordTamperedError: the chunk is not what was written here.
        """
        key = self._key()
        try:
            plain = _object_cipher(key, self.head).decrypt(_nonce(number, last), sealed, self.bound)
        except InvalidTag:
            raise self._refusal(key, number, sealed, last) from None
        if last and number and not plain:
            raise RecordTamperedError(f"{self.binding.named()} ends in an empty chunk")
        return plain

    def _gone(self) -> KeyDestroyedError:
        return KeyDestroyedError(f"the key that sealed {self.binding.named()} is gone")

    def _refusal(self, key: bytes, number: int, sealed: Buffer, last: bool) -> KeyDestroyedError | RecordTamperedError:
        """Say what is wrong, by trying what the bytes may be instead."""
        name = self.binding.named()
        if key_id(key) != self.head[1:_BITS_AT]:
            altered = not number and self._opens_by(key, sealed)
            return RecordTamperedError(f"the key id of {name} was altered") if altered else self._gone()
        cipher = _object_cipher(key, self.head)
        if _opens(cipher, number, not last, sealed, self.bound):
            return RecordTamperedError(f"{name} is cut off" if last else f"{name} goes on after its end")
        for other in range(max(0, number - _NEAR), number + _NEAR):
            if any(_opens(cipher, other, end, sealed, self.bound) for end in (False, True)):
                return RecordTamperedError(f"{name} has its chunk {other} in place of chunk {number}")
        what = "does not open in its place" if not number else f"was altered or cut off at chunk {number}"
        return RecordTamperedError(f"{name} {what}")

    def _opens_by(self, key: bytes, first: Buffer) -> bool:
        """Say whether the first chunk opens under a key that the head does not name: then the name was altered."""
        right = self.head[:1] + key_id(key) + self.head[_BITS_AT:]
        cipher, bound = _object_cipher(key, right), self.bound[:-HEAD_BYTES] + right
        return any(_opens(cipher, 0, end, first, bound) for end in (False, True))


def seal_stream(
    key: DataKey, binding: Binding, pieces: Iterable[Buffer], entropy: Entropy, bits: int = CHUNK_BITS
) -> Iterator[bytes]:
    """Seal pieces of any size as they arrive.

    Raises:
        KeyDestroyedError: the key was forgotten before the end: nobody could open the whole.
        RecordSizeError: there is more than one object may hold.
        ValueError: no reader takes chunks of that size.
    """
    if not SMALLEST_BITS <= bits <= CHUNK_BITS:
        raise ValueError("a chunk has from 1 KiB to 1 MiB")
    head = bytes((VERSION,)) + key_id(key()) + bytes((bits,)) + entropy(SALT_BYTES)
    chunks = _Chunks(key, binding, head)
    yield head
    for number, (plain, last) in enumerate(_cut(pieces, 1 << bits)):
        if number >= MOST_CHUNKS:
            raise RecordSizeError(f"{binding.named()} is too large")
        yield chunks.seal(number, plain, last)


def open_stream(key: DataKey, binding: Binding, pieces: Iterable[Buffer]) -> Iterator[bytes]:
    """Open a sealed stream as it arrives, chunk by chunk; only when it ends without an error was it whole.

    Raises:
        KeyDestroyedError: it was sealed under another key than the path's, or the key was forgotten meanwhile.
        RecordTamperedError: it is truncated, altered, swapped, older or no sealed stream.
    """
    head, rest = _parted(pieces)
    name = binding.named()
    if len(head) < HEAD_BYTES:
        raise RecordTamperedError(f"{name} is truncated")
    if head[0] != VERSION or not SMALLEST_BITS <= head[_BITS_AT] <= CHUNK_BITS or binding.made is None:
        raise RecordTamperedError(f"{name} has a head that is not understood")
    chunks = _Chunks(key, binding, head)
    sealed = _cut(rest, (1 << head[_BITS_AT]) + TAG_BYTES)
    for number, (piece, last) in enumerate(sealed):
        if len(piece) < TAG_BYTES:
            raise RecordTamperedError(f"{name} is cut off")
        yield chunks.open(number, piece, last)


def _object_cipher(key: bytes, head: bytes) -> AESGCM:
    """Derive the object's own key by HKDF-SHA-256; one block is all that is needed."""
    extracted = hmac.digest(head[-SALT_BYTES:], key, "sha256")
    return AESGCM(hmac.digest(extracted, _DOMAIN, "sha256"))


def _nonce(number: int, last: bool) -> bytes:
    return (number << 8 | last).to_bytes(12, "big")


def _opens(cipher: AESGCM, number: int, last: bool, sealed: Buffer, bound: bytes) -> bool:
    try:
        cipher.decrypt(_nonce(number, last), sealed, bound)
    except InvalidTag:
        return False
    return True


def _parted(pieces: Iterable[Buffer]) -> tuple[bytes, Iterator[Buffer]]:
    """Take the head off."""
    arriving, head = iter(pieces), b""
    for piece in arriving:
        missing = HEAD_BYTES - len(head)
        head += bytes(piece[:missing])
        if len(head) == HEAD_BYTES:
            return head, chain((memoryview(piece)[missing:],), arriving)
    return head, iter(())


def _cut(pieces: Iterable[Buffer], size: int) -> Iterator[tuple[memoryview, bool]]:
    """Cut pieces of any size into chunks of one, saying which is the last; a chunk is good until the next is asked for.

    Only the last may be shorter, and it is empty only if everything is.
    """
    held = _Held(size)
    for piece in pieces:
        view = memoryview(piece)
        while len(held.view) + len(view) > size:
            missing = size - len(held.view)
            held.add(view[:missing], lasting=True)
            yield held.take(), False
            view = view[missing:]
        held.add(view, lasting=isinstance(view.obj, bytes))
    yield held.take(), True


class _Held:
    """What has arrived of a chunk: a view where that is enough, else one buffer, used again and again."""

    __slots__ = ("_buffer", "_size", "view")

    def __init__(self, size: int) -> None:
        self._size = size
        self._buffer: bytearray | None = None
        self.view = memoryview(b"")

    def add(self, view: memoryview, *, lasting: bool) -> None:
        """Add bytes; those that their owner may change before they are used are copied."""
        if not len(view):
            return
        if lasting and not len(self.view):
            self.view = view
            return
        if self._buffer is None:
            self._buffer = bytearray(self._size)
        whole, begin = memoryview(self._buffer), len(self.view)
        if self.view.obj is not self._buffer:
            whole[:begin] = self.view
        whole[begin : begin + len(view)] = view
        self.view = whole[: begin + len(view)]

    def take(self) -> memoryview:
        """Hand over what is held and hold nothing."""
        view, self.view = self.view, memoryview(b"")
        return view
