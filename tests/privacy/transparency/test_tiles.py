"""Tiles: the paths and widths of the specification, and a tree that is read through them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagint_privacy.transparency import merkle, tiles
from imagint_privacy.transparency.errors import MalformedLogError

MAX = 70_000
LEAVES = [merkle.leaf_hash(at.to_bytes(4, "big")) for at in range(MAX)]
NODES: dict[tuple[int, int], bytes] = {}
merkle.Frontier().extended(LEAVES, lambda level, index, found: NODES.__setitem__((level, index), found))


def fetch(level: int, number: int, width: int) -> bytes:
    first = number * tiles.WIDTH
    return b"".join(NODES[level * tiles.HEIGHT, at] for at in range(first, first + width))


@pytest.mark.parametrize(
    ("level", "number", "width", "path"),
    [
        pytest.param(0, 0, 256, "tile/0/000", id="the first"),
        pytest.param(1, 1_234_067, 256, "tile/1/x001/x234/067", id="the specification's example"),
        pytest.param(2, 0, 1, "tile/2/000.p/1", id="a narrow one"),
        pytest.param("entries", 999, 255, "tile/entries/999.p/255", id="entries"),
        pytest.param("entries", 1_000, 256, "tile/entries/x001/000", id="more entries"),
    ],
)
def test_a_path_is_written_and_read(level: int | str, number: int, width: int, path: str) -> None:
    assert tiles.path(level, number, width) == path
    assert tiles.parsed(path) == (level, number, width)


@pytest.mark.parametrize(
    "path",
    ["tile/0/000.p/256", "tile/0/000.p/0", "tile/0/00", "tile/64/000", "tile/00/000", "tile/0/x000/000", "tile/0/1000",
     "tile/0/../000", "/tile/0/000", "tile/0/000/", "checkpoint", "tile/entries/000.p/007", "tile/0/000\n"],
)  # fmt: skip
def test_no_other_path_is_a_tile(path: str) -> None:
    assert tiles.parsed(path) is None


def test_the_tree_of_70000_has_the_tiles_that_the_specification_lists() -> None:
    found = list(tiles.new_tiles(0, 70_000))
    assert [tile for tile in found if tile[2] != 256] == [(0, 273, 112), (1, 1, 17), (2, 0, 1)]
    assert len([tile for tile in found if tile[0] == 0]) == 274
    assert list(tiles.new_tiles(255, 256)) == [(0, 0, 256), (1, 0, 1)]


@settings(max_examples=60)
@given(st.integers(1, MAX), st.data())
def test_roots_and_proofs_are_read_from_tiles(size: int, data: st.DataObject) -> None:
    read = tiles.reader(size, fetch)
    top = merkle.root(size, read)
    assert top == merkle.frontier(size, lambda level, index: NODES[level, index]).root()
    index, old = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size))
    merkle.check_inclusion(index, size, LEAVES[index], merkle.inclusion_path(index, size, read), top)
    before = merkle.root(old, tiles.reader(old, fetch))
    merkle.check_consistency(old, before, size, top, merkle.consistency_path(old, size, read))


def test_a_short_tile_is_refused() -> None:
    with pytest.raises(MalformedLogError):
        merkle.root(300, tiles.reader(300, lambda *tile: fetch(*tile)[:-1]))


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=256))
def test_a_bundle_is_read_as_it_was_written(entries: list[bytes]) -> None:
    content = tiles.bundle(entries)
    assert tiles.unbundle(content, len(entries)) == tuple(entries)
    with pytest.raises(MalformedLogError):
        tiles.unbundle(content[:-1], len(entries))
    with pytest.raises(MalformedLogError):
        tiles.unbundle(content, len(entries) + 1)


def test_an_entry_that_is_too_long_is_not_written() -> None:
    with pytest.raises(ValueError, match="at most"):
        tiles.bundle([bytes(65_536)])
