"""Sealing: what is bound to one place opens in no other."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagint_privacy.errors import KeyDestroyedError, RecordTamperedError
from imagint_privacy.keys.paths import KeyPath
from imagint_privacy.records.sealing import Binding, Keeping, key_id, open_pieces, seal, unseal
from imagint_privacy.records.streams import seal_stream

KEY = bytes(range(32))
MADE = datetime(2026, 11, 23, 12, tzinfo=UTC)
PATH = KeyPath("subj-aaaaaaaaaaaaaaaaaaaaaaaaaa", "images", "2026-11")
CANARY = Binding("acme", PATH, "image/png", "img-1", Keeping.CANARY)
ROW = replace(CANARY, keeping=Keeping.ROW, made=MADE)
OBJECT = replace(ROW, keeping=Keeping.OBJECT)


def sealed_by(binding: Binding, plain: bytes = b"image", key: bytes = KEY) -> bytes:
    """As the library seals: objects as a stream, everything else in one piece."""
    if binding.keeping is Keeping.OBJECT:
        return b"".join(seal_stream(lambda: key, binding, [plain], os.urandom))
    return seal(key, binding, plain, os.urandom)


EVERY_VERSION = pytest.mark.parametrize(
    "binding",
    [
        pytest.param(CANARY, id="version 1, a canary"),
        pytest.param(OBJECT, id="version 2, an object"),
        pytest.param(ROW, id="version 3, a row"),
    ],
)


@given(st.binary(max_size=5000), st.sampled_from([CANARY, OBJECT, ROW]))
def test_what_is_sealed_opens_whole_and_in_pieces(plain: bytes, binding: Binding) -> None:
    sealed = sealed_by(binding, plain)
    assert unseal(KEY, binding, sealed) == plain
    halves = [sealed[:20], b"", sealed[20:]]
    assert b"".join(open_pieces(lambda: KEY, binding, halves, len(plain))) == plain


def test_the_version_says_what_bytes_are_bound_to() -> None:
    assert [sealed_by(binding)[0] for binding in (CANARY, OBJECT, ROW)] == [1, 2, 3]


@pytest.mark.parametrize("binding", [ROW, OBJECT], ids=["a row", "an object"])
def test_what_version_1_sealed_is_still_read(binding: Binding) -> None:
    sealed = seal(KEY, replace(binding, made=None), b"image", os.urandom)
    assert sealed[0] == 1
    assert unseal(KEY, binding, sealed) == b"image"
    assert list(open_pieces(lambda: KEY, binding, [sealed], 5)) == [b"image"]


@EVERY_VERSION
@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"tenant": "other"}, id="of another tenant"),
        pytest.param(
            {"path": KeyPath("subj-baaaaaaaaaaaaaaaaaaaaaaaaa", "images", "2026-11")}, id="of another subject"
        ),
        pytest.param({"path": KeyPath(PATH.subject, "prompts", "2026-11")}, id="of another category"),
        pytest.param({"path": KeyPath(PATH.subject, "images", "2026-12")}, id="of another period"),
        pytest.param({"kind": "image/jpeg"}, id="of another kind"),
        pytest.param({"record_id": "img-2"}, id="of another record"),
        pytest.param({"keeping": None}, id="kept elsewhere"),
    ],
)
def test_it_does_not_open_in_a_place(binding: Binding, change: dict[str, Any]) -> None:
    if "keeping" in change:
        change = {"keeping": next(kept for kept in Keeping if kept is not binding.keeping)}
    with pytest.raises(RecordTamperedError, match=change.get("record_id", binding.record_id)):
        unseal(KEY, replace(binding, **change), sealed_by(binding))


@pytest.mark.parametrize("binding", [ROW, OBJECT], ids=["a row", "an object"])
def test_it_does_not_open_as_made_at_another_moment(binding: Binding) -> None:
    with pytest.raises(RecordTamperedError, match="img-1 does not open in its place"):
        unseal(KEY, replace(binding, made=MADE + timedelta(microseconds=1)), sealed_by(binding))


@given(st.data())
def test_parts_that_run_together_are_bound_apart(data: st.DataObject) -> None:
    whole = "abcdef"
    first, second = (data.draw(st.integers(1, 5)) for _ in range(2))
    one, other = (replace(ROW, kind=whole[:at], record_id=whole[at:]) for at in (first, second))
    assert (one.data() == other.data()) == (one.dated() == other.dated()) == (first == second)
    assert ROW.dated() != ROW.data()


@EVERY_VERSION
def test_another_key_means_that_the_key_is_gone(binding: Binding) -> None:
    with pytest.raises(KeyDestroyedError, match="img-1 is gone"):
        unseal(bytes(32), binding, sealed_by(binding))
    assert key_id(KEY) != key_id(bytes(32))


@EVERY_VERSION
def test_a_key_id_that_was_altered_is_no_destroyed_key(binding: Binding) -> None:
    sealed = bytearray(sealed_by(binding))
    sealed[5] ^= 1
    with pytest.raises(RecordTamperedError, match=r"the key id of .* img-1 was altered"):
        unseal(KEY, binding, bytes(sealed))


@EVERY_VERSION
def test_any_flipped_bit_and_any_cut_is_refused_by_name(binding: Binding) -> None:
    sealed = sealed_by(binding)
    flipped = [(int.from_bytes(sealed) ^ 1 << bit).to_bytes(len(sealed)) for bit in range(8 * len(sealed))]
    for raw in (*flipped, *(sealed[:length] for length in range(len(sealed))), sealed + b"\0"):
        with pytest.raises(RecordTamperedError, match="img-1"):
            unseal(KEY, binding, raw)


def test_a_row_of_before_that_is_put_back_after_its_record_was_made_again_is_refused() -> None:
    later = replace(ROW, made=MADE + timedelta(seconds=1))
    older, newer = sealed_by(ROW, b"older"), sealed_by(later, b"newer")
    assert unseal(KEY, later, newer) == b"newer"
    with pytest.raises(RecordTamperedError, match="does not open in its place"):
        unseal(KEY, later, older)


def test_no_more_is_gathered_than_the_record_may_be_long() -> None:
    asked = []

    def endless() -> Iterator[bytes]:
        while True:
            asked.append(1)
            yield bytes((1,)) * 1000

    with pytest.raises(RecordTamperedError, match="longer than its row says"):
        next(open_pieces(lambda: KEY, ROW, endless(), 5000))
    assert len(asked) == 6


def test_a_row_that_lost_its_moment_is_not_opened() -> None:
    with pytest.raises(RecordTamperedError, match="unknown version"):
        unseal(KEY, replace(ROW, made=None), sealed_by(ROW))


@EVERY_VERSION
@pytest.mark.parametrize("pieces", [[], [b"", b""]], ids=["no piece", "empty pieces"])
def test_nothing_at_all_is_truncated(binding: Binding, pieces: list[bytes]) -> None:
    with pytest.raises(RecordTamperedError, match="img-1 is truncated"):
        next(open_pieces(lambda: KEY, binding, pieces, 0))


@EVERY_VERSION
def test_empty_pieces_on_the_way_change_nothing(binding: Binding) -> None:
    sealed = sealed_by(binding)
    pieces = [b"", sealed[:1], b"", sealed[1:], b""]
    assert list(open_pieces(lambda: KEY, binding, pieces, 5)) == [b"image"]


@EVERY_VERSION
def test_the_same_content_is_never_sealed_alike(binding: Binding) -> None:
    assert sealed_by(binding) != sealed_by(binding)
