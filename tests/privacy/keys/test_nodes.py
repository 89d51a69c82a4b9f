"""Leaves and branches: what is written reads back, and what is not a node is refused."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagint_privacy import subjects
from imagint_privacy.errors import NodeTamperedError, TreeLimitError
from imagint_privacy.keys import branches, leaves
from imagint_privacy.keys.branches import Branch, Ref
from imagint_privacy.keys.leaves import Leaf
from imagint_privacy.keys.paths import KeyPath, Prefix, subject_bytes

KEYS = st.binary(min_size=32, max_size=32)
SUBJECTS = st.binary(min_size=16, max_size=16).map(subjects.from_bytes)
CATEGORIES = st.sampled_from(["images", "prompts", "a", "z" * 32])
PERIODS = st.sampled_from(["2026-10", "2026-11", "always"])
PATHS = st.builds(KeyPath, SUBJECTS, CATEGORIES, PERIODS)
CONTENTS = st.dictionaries(PATHS, KEYS, max_size=30)


def filled(contents: dict[KeyPath, bytes]) -> Leaf:
    leaf = Leaf()
    for path, key in contents.items():
        list(leaf.ensure(subject_bytes(path.subject), [path], partial(bytes, key)))
    return leaf


def read(raw: bytes) -> dict[KeyPath, bytes]:
    return {
        KeyPath(subject, category, period): bytes(key)
        for subject in leaves.subject_texts(raw)
        for category, period, key in leaves.pieces_of(raw, subject_bytes(subject))
    }


@given(CONTENTS)
def test_a_leaf_reads_back(contents: dict[KeyPath, bytes]) -> None:
    leaf = filled(contents)
    raw = leaves.encode(leaf)
    assert len(raw) == leaf.size()
    assert read(raw) == contents
    assert leaves.encode(leaves.decode(raw)) == raw


@given(CONTENTS, PATHS)
def test_a_leaf_forgets_exactly_what_a_prefix_covers(contents: dict[KeyPath, bytes], other: KeyPath) -> None:
    target = min(contents, default=other)
    for prefix in (
        Prefix(target.subject),
        Prefix(target.subject, target.category),
        Prefix(target.subject, target.category, target.period),
    ):
        leaf = filled(contents)
        kept = {path: key for path, key in contents.items() if not prefix.covers(path)}
        assert sorted(leaf.drop(subject_bytes(prefix.subject), prefix)) == sorted(set(contents) - set(kept))
        assert read(leaves.encode(leaf)) == kept


@given(CONTENTS, st.data())
def test_a_leaf_that_was_cut_or_grew_is_refused(contents: dict[KeyPath, bytes], data: Any) -> None:
    raw = leaves.encode(filled(contents))
    cut = data.draw(st.integers(0, len(raw) - 1))
    for wrong in (raw[:cut], raw + b"\0"):
        with pytest.raises(NodeTamperedError):
            leaves.decode(wrong)


@settings(max_examples=200)
@given(st.binary(max_size=300))
def test_no_bytes_at_all_make_reading_a_node_fail_otherwise(raw: bytes) -> None:
    for call in (leaves.decode, branches.decode, leaves.subject_texts):
        try:
            call(raw)
        except NodeTamperedError:
            continue


def test_a_leaf_knows_its_limits() -> None:
    leaf = Leaf([f"c{number}" for number in range(255)])
    with pytest.raises(TreeLimitError):
        leaf.category_index("one-more")
    full = Leaf(["images"], {bytes(17): bytes(35 * 65536)})
    with pytest.raises(TreeLimitError):
        leaves.encode(full)


def ref(number: int) -> Ref:
    return Ref(bytes([number]) * 32, bytes([255 - number]) * 32, number)


def test_a_branch_reads_back_with_the_runs_it_was_given() -> None:
    branch = Branch()
    branch.put(128, 7, ref(2))
    branch.put(0, 5, ref(1))
    again = branches.decode(branch.encode())
    assert list(again) == [(0, 5, ref(1)), (128, 7, ref(2))]
    assert again.subjects() == 3
    for slot, expected in ((0, ref(1)), (31, ref(1)), (32, None), (127, None), (128, ref(2)), (255, ref(2))):
        index = again.find(slot)
        assert (None if index is None else again.ref(index)) == expected
        found = branches.child_of(branch.encode(), slot)
        assert (None if found is None else found[2]) == expected


def test_the_gap_around_a_slot_is_the_longest_aligned_free_run() -> None:
    branch = Branch()
    assert branch.gap(77) == (0, 8)
    branch.put(0, 5, ref(1))
    assert branch.gap(40) == (32, 5)
    assert branch.gap(200) == (128, 7)
    branch.put(33, 0, ref(2))
    assert branch.gap(32) == (32, 0)
    assert branch.gap(40) == (40, 3)


@pytest.mark.parametrize(
    "change",
    [
        lambda raw: raw[:-1],
        lambda raw: raw + b"\0",
        lambda raw: b"\2" + raw[1:],
        lambda raw: raw[:1] + b"\0" + raw[2:],
        lambda raw: raw[:2] + b"\xff\xff" + raw[4:],
        lambda raw: b"",
    ],
    ids=["cut", "grown", "of another version", "of another kind", "with another count", "empty"],
)
def test_a_branch_that_was_changed_is_refused(change: Any) -> None:
    branch = Branch()
    branch.put(0, 8, ref(1))
    wrong = change(branch.encode())
    with pytest.raises(NodeTamperedError):
        branches.decode(wrong)
    with pytest.raises(NodeTamperedError):
        branches.child_of(wrong, 0)
