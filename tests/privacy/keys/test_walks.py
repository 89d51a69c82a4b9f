"""Walking a whole tree page by page: everybody is met once, in the order of their hashes, whatever the page."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagint_privacy import subjects
from imagint_privacy.keys.fakes import FakeTransit, MemoryTreeStore
from imagint_privacy.keys.paths import KeyPath, Prefix, subject_bytes
from imagint_privacy.keys.places import position
from imagint_privacy.keys.tree import KeyTree, TreeOptions

KEY = "tenant-acme"
HANDLES = [subjects.from_bytes(hashlib.sha256(b"%d" % number).digest()[:16]) for number in range(200)]


def grown(handles: list[str]) -> KeyTree[None]:
    transit = FakeTransit()
    transit.admin().ensure(KEY)
    options = TreeOptions(leaf_limit=200, cache_bytes=2000, clock=lambda: 0.0)
    tree: KeyTree[None] = KeyTree.open("acme", MemoryTreeStore(), transit.tenant_key(KEY), options)
    tree.ensure([KeyPath(handle, "images", f"2026-0{number % 9 + 1}") for number, handle in enumerate(handles)])
    tree.ensure([KeyPath(handle, "prompts", "always") for handle in handles[::2]])
    return tree


def walked(tree: KeyTree[None], limit: int) -> list[tuple[bytes, tuple[KeyPath, ...]]]:
    found: list[tuple[bytes, tuple[KeyPath, ...]]] = []
    while page := tree.paths_from(limit, after=found[-1][0] if found else b""):
        assert len(page) <= limit
        found += page
        assert len(found) <= len(HANDLES), "a page goes on where the last one ended"
    return found


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from(HANDLES), unique=True), st.integers(1, 50))
def test_everybody_is_met_once_with_all_their_paths(handles: list[str], limit: int) -> None:
    tree = grown(handles)
    found = walked(tree, limit)
    assert [paths[0].subject for _, paths in found] == sorted(handles, key=lambda one: position(subject_bytes(one)))
    for place, paths in found:
        assert place == position(subject_bytes(paths[0].subject))
        assert paths == tree.paths(paths[0].subject)


def test_a_walk_goes_on_behind_somebody_who_was_forgotten_meanwhile() -> None:
    tree = grown(HANDLES)
    (place, paths), *_ = reversed(tree.paths_from(90))
    tree.forget([Prefix(paths[0].subject)], key_version=1)
    rest = tree.paths_from(500, after=place)
    assert len(rest) == 110
    assert all(other > place for other, _ in rest)


@pytest.mark.parametrize("after", [b"\xff" * 32, b"\x00" * 32], ids=["the last hash", "the first hash"])
def test_a_walk_from_either_end(after: Any) -> None:
    assert len(grown(HANDLES).paths_from(500, after=after)) == (0 if after[0] else 200)
