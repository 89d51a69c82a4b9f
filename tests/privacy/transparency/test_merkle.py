"""The Merkle tree against RFC 9162's own definition, which is recursive, slow and hard to get wrong."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagint_privacy.transparency.errors import ProofRefusedError
from imagint_privacy.transparency.merkle import (
    EMPTY_ROOT,
    Frontier,
    check_consistency,
    check_inclusion,
    consistency_path,
    frontier,
    inclusion_path,
    leaf_hash,
    node_hash,
    root,
)

# The eight entries and the roots that Certificate Transparency's implementations publish as test data.
TEXTS = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
ENTRIES = [bytes.fromhex(text) for text in TEXTS]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
LEAVES = [leaf_hash(bytes([at // 256, at % 256])) for at in range(600)]


def defined(leaves: list[bytes]) -> bytes:
    """MTH(D[n]) of RFC 9162 section 2.1.1, over leaf hashes."""
    if len(leaves) < 2:
        return leaves[0] if leaves else hashlib.sha256(b"").digest()
    split = 1 << ((len(leaves) - 1).bit_length() - 1)
    return node_hash(defined(leaves[:split]), defined(leaves[split:]))


def read(level: int, index: int) -> bytes:
    return defined(LEAVES[index << level : (index + 1) << level])


@pytest.mark.parametrize("size", range(1, 9))
def test_the_root_is_the_published_one(size: int) -> None:
    assert Frontier().extended(map(leaf_hash, ENTRIES[:size])).root().hex() == ROOTS[size - 1]


def test_the_empty_tree_has_the_root_of_nothing() -> None:
    assert Frontier().root() == EMPTY_ROOT == defined([])


@given(st.integers(0, 600), st.integers(0, 600))
def test_appending_in_parts_reading_and_the_definition_agree(first: int, second: int) -> None:
    begin, end = sorted((first, second))
    made: dict[tuple[int, int], bytes] = {}
    grown = frontier(begin, read).extended(LEAVES[begin:end], lambda *told: made.update({told[:2]: told[2]}))
    assert grown.root() == root(end, read) == defined(LEAVES[:end])
    assert all(found == read(*at) for at, found in made.items())


@given(st.data())
def test_a_proof_of_inclusion_holds_for_its_leaf_only(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 600))
    index, other = data.draw(st.integers(0, size - 1)), data.draw(st.integers(0, size - 1))
    path, top = inclusion_path(index, size, read), defined(LEAVES[:size])
    check_inclusion(index, size, LEAVES[index], path, top)
    if other != index:
        with pytest.raises(ProofRefusedError):
            check_inclusion(index, size, LEAVES[other], path, top)
        with pytest.raises(ProofRefusedError):
            check_inclusion(other, size, LEAVES[index], path, top)


@given(st.data())
def test_a_proof_of_consistency_holds_for_its_trees_only(data: st.DataObject) -> None:
    new = data.draw(st.integers(1, 600))
    old = data.draw(st.integers(1, new))
    path = consistency_path(old, new, read)
    before, after = defined(LEAVES[:old]), defined(LEAVES[:new])
    check_consistency(old, before, new, after, path)
    rewritten = defined([leaf_hash(b"another"), *LEAVES[1:old]])
    with pytest.raises(ProofRefusedError):
        check_consistency(old, rewritten, new, after, path)
    if old != new:
        with pytest.raises(ProofRefusedError):
            check_consistency(old, before, new, rewritten, path)


@given(st.data())
def test_a_proof_that_was_cut_lengthened_or_changed_is_refused(data: st.DataObject) -> None:
    size = data.draw(st.integers(2, 600))
    index = data.draw(st.integers(0, size - 1))
    path, top = list(inclusion_path(index, size, read)), defined(LEAVES[:size])
    at = data.draw(st.integers(0, len(path) - 1))
    flipped = bytes([path[at][0] ^ 1]) + path[at][1:]
    for wrong in (path[:-1], [*path, path[0]], [*path[:at], flipped, *path[at + 1 :]]):
        with pytest.raises(ProofRefusedError):
            check_inclusion(index, size, LEAVES[index], wrong, top)


@pytest.mark.parametrize(
    ("old", "new", "path"),
    [
        pytest.param(5, 4, [], id="a log that shrank"),
        pytest.param(0, 4, [LEAVES[0]], id="a path where none belongs"),
        pytest.param(4, 4, [LEAVES[0]], id="a path between equal sizes"),
        pytest.param(3, 4, [], id="no path where one is needed"),
        pytest.param(4, 8, [], id="no path from a full tree"),
    ],
)
def test_an_impossible_proof_of_consistency_is_refused(old: int, new: int, path: list[bytes]) -> None:
    before, after = defined(LEAVES[:old]), defined(LEAVES[:new])
    with pytest.raises(ProofRefusedError):
        check_consistency(old, before, new, after, path)


def test_there_is_no_proof_of_what_is_not_there() -> None:
    with pytest.raises(ValueError, match="not in the tree"):
        inclusion_path(5, 5, read)
    with pytest.raises(ValueError, match="only a tree"):
        consistency_path(0, 5, read)
