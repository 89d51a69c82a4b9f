"""The formats are frozen: these bytes must read, and be written, for ever.

`python tests/privacy/keys/test_vectors.py` prints the file anew; do that only with a new version byte.
"""

from __future__ import annotations

import hashlib
import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from imagint_privacy import subjects
from imagint_privacy.keys import branches, leaves, seals
from imagint_privacy.keys.branches import Branch, Ref
from imagint_privacy.keys.leaves import Leaf
from imagint_privacy.keys.paths import KeyPath, subject_bytes
from imagint_privacy.keys.places import ROOT, Place, associated_data, position
from imagint_privacy.records import sealing
from imagint_privacy.records.sealing import Binding, Keeping

FILE = Path(__file__).parents[2] / "vectors" / "keys" / "formats-v1.json"


def _stream(name: str, size: int) -> bytes:
    return hashlib.shake_256(name.encode()).digest(size)


def _path(name: str, category: str, period: str) -> KeyPath:
    return KeyPath(subjects.from_bytes(_stream(name, 16)), category, period)


def _leaf() -> bytes:
    leaf = Leaf()
    for path in (
        _path("ann", "images", "2026-11"),
        _path("ann", "prompts", "2026-11"),
        _path("bob", "images", "2026-10"),
        KeyPath("system", "index", "always"),
    ):
        list(leaf.ensure(subject_bytes(path.subject), [path], partial(_stream, str(path), 32)))
    return leaves.encode(leaf)


def _branch() -> bytes:
    branch = Branch()
    for number, (start, bits) in enumerate(((0, 7), (128, 5), (255, 0))):
        branch.put(start, bits, Ref(_stream(f"digest {number}", 32), _stream(f"key {number}", 32), number * 1000))
    return branch.encode()


def _sealed_node() -> bytes:
    bound = associated_data("acme", Place(b"\x07", 128, 5))
    return seals.seal(_stream("node key", 32), _stream("nonce", 12), _leaf(), bound)


def _sealed_root() -> bytes:
    return seals.seal(_stream("root key", 32), _stream("nonce", 12), _branch(), associated_data("acme", ROOT, 7))


def _binding() -> Binding:
    return Binding("acme", _path("ann", "images", "2026-11"), "image/png", "img-1", Keeping.OBJECT)


def _sealed_record() -> bytes:
    return bytes(sealing.seal(_stream("data key", 32), _binding(), b"an image", lambda size: _stream("nonce", size)))


MADE = {
    "place_of_a_subject": lambda: position(subject_bytes(_path("ann", "images", "always").subject)),
    "leaf": _leaf,
    "branch": _branch,
    "sealed_node": _sealed_node,
    "sealed_root": _sealed_root,
    "root_envelope": lambda: seals.root_envelope("acme", _stream("root key", 32)),
    "sealed_record": _sealed_record,
}


@pytest.fixture(scope="module")
def vectors() -> Any:
    return json.loads(FILE.read_text())


@pytest.mark.parametrize("name", MADE)
def test_the_bytes_are_written_as_they_always_were(vectors: Any, name: str) -> None:
    assert MADE[name]().hex() == vectors[name]


def test_the_bytes_read_as_they_always_did(vectors: Any) -> None:
    raw = {name: bytes.fromhex(text) for name, text in vectors.items()}
    bound = associated_data("acme", Place(b"\x07", 128, 5))
    node = seals.open_node(_stream("node key", 32), raw["sealed_node"], bound)
    ann = _path("ann", "images", "2026-11")
    pieces = {(c, p): bytes(k) for c, p, k in leaves.pieces_of(node, subject_bytes(ann.subject))}
    assert pieces[("images", "2026-11")] == _stream(str(ann), 32)
    root = seals.open_node(_stream("root key", 32), raw["sealed_root"], associated_data("acme", ROOT, 7))
    assert [run[:2] for run in branches.decode(root)] == [(0, 7), (128, 5), (255, 0)]
    assert seals.open_root_envelope("acme", raw["root_envelope"]) == _stream("root key", 32)
    assert sealing.unseal(_stream("data key", 32), _binding(), raw["sealed_record"]) == b"an image"


if __name__ == "__main__":
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_text(json.dumps({name: make().hex() for name, make in MADE.items()}, indent=1) + "\n")
