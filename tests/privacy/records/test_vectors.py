"""The sealed formats are frozen: these bytes must read, and be written, for ever.

`python tests/privacy/records/test_vectors.py` prints the file anew; do that only with a new version byte. Version 1 has
its vector in `tests/vectors/keys`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from imagint_privacy import subjects
from imagint_privacy.keys.paths import KeyPath
from imagint_privacy.records.sealing import Binding, Keeping, seal, unseal
from imagint_privacy.records.streams import seal_stream

FILE = Path(__file__).parents[2] / "vectors" / "records" / "sealed-v2-v3.json"


def _bytes(name: str, size: int) -> bytes:
    return hashlib.shake_256(name.encode()).digest(size)


KEY = _bytes("data key", 32)
PATH = KeyPath(subjects.from_bytes(_bytes("ann", 16)), "images", "2026-11")
MADE = datetime(2026, 11, 23, 12, 0, 0, 123456, tzinfo=UTC)
OBJECT = Binding("acme", PATH, "image/png", "img-1", Keeping.OBJECT, MADE)
ROW = Binding("acme", PATH, "generation", "gen-1", Keeping.ROW, MADE)
PLAINS = {"empty": b"", "short": b"an image", "one_chunk": _bytes("plain", 1024), "two_chunks": _bytes("plain", 1500)}


def _stream(plain: bytes) -> bytes:
    return b"".join(seal_stream(lambda: KEY, OBJECT, [plain], lambda size: _bytes("salt", size), 10))


def _row(plain: bytes) -> bytes:
    return seal(KEY, ROW, plain, lambda size: _bytes("nonce", size))


def _made(seal_one: Callable[[bytes], bytes], plain: bytes) -> Callable[[], bytes]:
    return lambda: seal_one(plain)


MADE_OF = {
    "binding_of_an_object": OBJECT.dated,
    "binding_of_a_row": ROW.dated,
    **{f"stream_{name}": _made(_stream, plain) for name, plain in PLAINS.items()},
    **{f"row_{name}": _made(_row, PLAINS[name]) for name in ("empty", "short")},
}


@pytest.fixture(scope="module")
def vectors() -> Any:
    return {name: bytes.fromhex(text) for name, text in json.loads(FILE.read_text()).items()}


@pytest.mark.parametrize("name", MADE_OF)
def test_the_bytes_are_written_as_they_always_were(vectors: Any, name: str) -> None:
    assert MADE_OF[name]() == vectors[name]


def test_every_vector_is_made_by_this_test(vectors: Any) -> None:
    assert set(vectors) == set(MADE_OF)


def test_the_bytes_read_as_they_always_did(vectors: Any) -> None:
    for name, plain in PLAINS.items():
        assert unseal(KEY, OBJECT, vectors[f"stream_{name}"]) == plain
    assert unseal(KEY, ROW, vectors["row_short"]) == b"an image"


def test_a_reader_that_knows_only_what_is_written_down_opens_them(vectors: Any) -> None:
    """By the words in the modules, without any of our code: head, HKDF, counted nonces, bound data."""
    raw = vectors["stream_two_chunks"]
    head, first, second = raw[:42], raw[42 : 42 + 1040], raw[42 + 1040 :]
    assert (head[0], head[9]) == (2, 10)
    key = HKDF(SHA256(), 32, salt=head[10:], info=b"imagint.ai/record/object-key/2\0").derive(KEY)
    bound = vectors["binding_of_an_object"] + head
    plain = AESGCM(key).decrypt(bytes(12), first, bound)
    plain += AESGCM(key).decrypt(bytes(10) + b"\1\1", second, bound)
    assert plain == PLAINS["two_chunks"]
    row = vectors["row_short"]
    assert AESGCM(KEY).decrypt(row[9:21], row[21:], vectors["binding_of_a_row"] + row[:9]) == b"an image"


if __name__ == "__main__":
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_text(json.dumps({name: make().hex() for name, make in MADE_OF.items()}, indent=1) + "\n")
