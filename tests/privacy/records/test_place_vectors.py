"""The envelope of a canary, the faces of roots in tree copies, and every object's name are frozen: read for ever.

`python tests/privacy/records/test_place_vectors.py` prints the file anew; do that only with a new version. The other
formats are frozen in `test_vectors`, here and in `tests/privacy/keys`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from imagint_privacy import subjects
from imagint_privacy.errors import NodeTamperedError
from imagint_privacy.keys.paths import KeyPath
from imagint_privacy.keys.ports import RootRecord
from imagint_privacy.keys.seals import digest_of
from imagint_privacy.purposes import Purpose, Standing
from imagint_privacy.records import canaries, copying, guarding, writing
from imagint_privacy.records.copying import CopiedTree
from imagint_privacy.records.entries import Entry, Ticket
from imagint_privacy.records.objects import Objects
from imagint_privacy.records.retention import RuleSet, Term

FILE = Path(__file__).parents[2] / "vectors" / "records" / "places-v1.json"


def _bytes(name: str, size: int) -> bytes:
    return hashlib.shake_256(name.encode()).digest(size)


PATH = KeyPath(subjects.from_bytes(_bytes("ann", 16)), "images", "2026-11")
MADE = datetime(2026, 11, 23, 12, 0, 0, 123456, tzinfo=UTC)
NODE = _bytes("a sealed root", 100)
RECORD = RootRecord(1234567, 3, "vault:v3:d3JhcHBlZA==", digest_of(NODE), 1234560)
RULES = RuleSet({"prompts": Term(months=1, days=2), "images": Term(days=30), "accounts": None})
BEFORE_KEY_SINCE = (
    '{"digest": "' + RECORD.digest.hex() + '", "generation": 1234567, "keyVersion": 3, '
    '"wrapped": "vault:v3:d3JhcHBlZA=="}'
)
"""What copies held before the generation since which a root key is used was written down."""


def _context(key: bytes) -> Any:
    tree = SimpleNamespace(lookup=lambda _: key, refresh=lambda: 1)
    return SimpleNamespace(tenant="acme", tree=tree, entropy=lambda size: _bytes("nonce", size))


def _location() -> str:
    ticket = Ticket(PATH.subject, Purpose.GENERATE, Standing(erased={"*": 1, "images": 2}))
    entry = Entry("img-1", PATH.subject, "images", "2026-11", "image/png", MADE, 8, True)
    return writing._location(ticket, entry)


MADE_OF: dict[str, Callable[[], str]] = {
    "canary": lambda: canaries._sealed(_context(_bytes("data key", 32)), "req-1", PATH, b"n" * 32),
    "copied_root": lambda: copying._root_document(RECORD).decode("ascii"),
    "name_of_a_copied_root": lambda: copying.root_name(RECORD.generation),
    "name_of_a_copied_node": lambda: copying.node_name(RECORD.digest),
    "name_of_an_object": _location,
    "digest_of_retention_rules": RULES.digest,
    "witness_of_a_key_version": lambda: guarding._WITNESS.decode("ascii"),
}


@pytest.fixture(scope="module")
def vectors() -> Any:
    return json.loads(FILE.read_text())


@pytest.mark.parametrize("name", MADE_OF)
def test_it_is_written_as_it_always_was(vectors: Any, name: str) -> None:
    assert MADE_OF[name]() == vectors[name]


def test_every_vector_is_made_by_this_test(vectors: Any) -> None:
    assert set(vectors) == set(MADE_OF)


def test_a_canary_opens_as_it_always_did(vectors: Any) -> None:
    assert canaries.open_one(_context(_bytes("data key", 32)), vectors["canary"]) == b"n" * 32


@pytest.mark.parametrize(
    ("document", "record"),
    [
        pytest.param(None, RECORD, id="as it is written now"),
        pytest.param(BEFORE_KEY_SINCE, replace(RECORD, key_since=0), id="as it was written before"),
    ],
)
def test_a_copied_root_reads_as_it_always_did(
    vectors: Any, tmp_path: Path, document: str | None, record: RootRecord
) -> None:
    store = Objects(tmp_path.as_uri())
    store.put(vectors["name_of_a_copied_root"], (document or vectors["copied_root"]).encode())
    with pytest.raises(NodeTamperedError):
        CopiedTree(store).head()
    store.put(vectors["name_of_a_copied_node"], NODE)
    head = CopiedTree(store).head()
    assert head is not None
    assert (head.record, head.sealed) == (record, NODE)


def test_the_newest_root_is_the_last_by_name() -> None:
    """Whoever restores sorts names, not numbers."""
    generations = [1, 9, 10, 99, 1 << 32, 1 << 62]
    assert sorted(map(copying.root_name, generations)) == [copying.root_name(number) for number in generations]


if __name__ == "__main__":
    FILE.write_text(json.dumps({name: make() for name, make in MADE_OF.items()}, indent=1) + "\n")
