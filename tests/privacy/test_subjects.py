"""Handles: the same person, however typed, and nobody else."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagint_privacy import subjects

KEY = bytes(range(32))


@pytest.mark.parametrize(
    "typed",
    ["ann@example.com", "ANN@example.com", "  ann@example.com\n", "\uff41nn@example.com"],
    ids=["as it is", "in capitals", "with spaces around", "with a full-width letter"],
)
def test_the_same_person_has_the_same_handle_however_typed(typed: str) -> None:
    assert subjects.handle(KEY, typed) == subjects.handle(KEY, "ann@example.com")


def test_the_handle_is_frozen() -> None:
    assert subjects.handle(KEY, "ann@example.com") == "subj-p7lshy3ldsiqrtnxsibxf3wuiu"


def test_another_tenant_gives_another_handle() -> None:
    assert subjects.handle(KEY, "ann@example.com") != subjects.handle(bytes(32), "ann@example.com")


@pytest.mark.parametrize("empty", ["", "   ", "\u3000"], ids=["nothing", "spaces", "a wide space"])
def test_nobody_has_no_handle(empty: str) -> None:
    with pytest.raises(ValueError, match="visible character"):
        subjects.handle(KEY, empty)


def test_a_short_index_key_is_refused() -> None:
    with pytest.raises(ValueError, match="too short"):
        subjects.handle(b"short", "ann@example.com")


@given(st.binary(min_size=16, max_size=16), st.integers(0, 3))
def test_every_handle_reads_back_and_no_two_read_alike(raw: bytes, spare: int) -> None:
    handle = subjects.from_bytes(raw, spare)
    assert re.match(subjects.SUBJECT_PATTERN, handle)
    assert subjects.is_handle(handle)
    assert subjects.to_bytes(handle) == (raw, spare)


@pytest.mark.parametrize(
    "text",
    ["ann@example.com", "subj-", "subj-AAAAAAAAAAAAAAAAAAAAAAAAAA", "subj-aaaaaaaaaaaaaaaaaaaaaaaaaa\n", "system"],
    ids=["an address", "a bare prefix", "capitals", "a line end", "the tenant itself"],
)
def test_what_is_no_handle_is_told(text: str) -> None:
    assert not subjects.is_handle(text)
