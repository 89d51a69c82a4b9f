"""Streams of sealed chunks: whatever the pieces, the same comes back; whatever is changed, nothing wrong does."""

from __future__ import annotations

import os
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagint_privacy.errors import KeyDestroyedError, RecordSizeError, RecordTamperedError
from imagint_privacy.keys.paths import KeyPath
from imagint_privacy.records import streams
from imagint_privacy.records.bindings import Binding, Keeping
from imagint_privacy.records.sealing import open_pieces, unseal
from imagint_privacy.records.streams import open_stream, seal_stream

KEY = bytes(range(32))
OTHER_KEY = bytes(range(1, 33))
MADE = datetime(2026, 11, 23, 12, tzinfo=UTC)
PATH = KeyPath("subj-aaaaaaaaaaaaaaaaaaaaaaaaaa", "images", "2026-11")
BINDING = Binding("acme", PATH, "image/png", "img-1", Keeping.OBJECT, MADE)
BITS = 10
CHUNK, SEALED = 1 << BITS, (1 << BITS) + streams.TAG_BYTES
HEAD = streams.HEAD_BYTES
PLAIN = os.urandom(4 * CHUNK + 100)


def sealed(plain: bytes, binding: Binding = BINDING, key: bytes = KEY) -> bytes:
    return b"".join(seal_stream(lambda: key, binding, [plain], os.urandom, BITS))


def cut(raw: bytes, lengths: list[int]) -> Iterator[bytes]:
    for length in lengths:
        yield raw[:length]
        raw = raw[length:]
    yield raw


def opened_until_refused(raw: bytes, binding: Binding = BINDING, key: bytes = KEY) -> tuple[bytes, str]:
    """What is handed out of altered bytes, and the error that ends it."""
    out = bytearray()
    with pytest.raises(RecordTamperedError) as refused:
        gather(open_stream(lambda: key, binding, [raw]), out)
    return bytes(out), str(refused.value)


def gather(chunks: Iterator[bytes], out: bytearray) -> None:
    for chunk in chunks:
        out += chunk


LENGTHS = st.lists(st.sampled_from([0, 1, 15, 16, HEAD, 100, CHUNK - 1, CHUNK, CHUNK + 1, SEALED, 3 * CHUNK]))


@given(st.integers(0, 4 * CHUNK + 3), LENGTHS, LENGTHS)
def test_however_it_is_cut_the_same_comes_back(size: int, writing: list[int], reading: list[int]) -> None:
    plain = PLAIN[:size]
    raw = b"".join(seal_stream(lambda: KEY, BINDING, cut(plain, writing), os.urandom, BITS))
    assert len(raw) == HEAD + size + streams.TAG_BYTES * max(1, -(-size // CHUNK))
    assert b"".join(open_stream(lambda: KEY, BINDING, cut(raw, reading))) == plain
    assert b"".join(open_pieces(lambda: KEY, BINDING, cut(raw, reading), size)) == plain
    assert unseal(KEY, BINDING, raw) == plain


@given(st.integers(0, 3 * CHUNK), st.data())
def test_any_flipped_bit_is_refused_and_nothing_wrong_comes_out(size: int, data: st.DataObject) -> None:
    plain = PLAIN[:size]
    raw = bytearray(sealed(plain))
    bit = data.draw(st.one_of(st.integers(0, 8 * HEAD - 1), st.integers(0, 8 * len(raw) - 1)))
    raw[bit // 8] ^= 1 << bit % 8
    out, _ = opened_until_refused(bytes(raw))
    assert plain.startswith(out)
    assert len(out) <= max(0, (bit // 8 - HEAD) // SEALED * CHUNK)
    with pytest.raises(RecordTamperedError):
        unseal(KEY, BINDING, bytes(raw))


@given(st.integers(0, 3 * CHUNK), st.data())
def test_any_truncation_is_refused(size: int, data: st.DataObject) -> None:
    plain = PLAIN[:size]
    raw = sealed(plain)
    borders = st.sampled_from(range(HEAD, len(raw), SEALED))
    out, _ = opened_until_refused(raw[: data.draw(st.one_of(borders, st.integers(0, len(raw) - 1)))])
    assert plain.startswith(out)
    assert len(out) < max(1, size)


@given(st.permutations(range(5)))
def test_any_other_order_of_the_chunks_is_refused(order: list[int]) -> None:
    head, chunks = parts(sealed(PLAIN))
    raw = head + b"".join(chunks[number] for number in order)
    if order == sorted(order):
        assert unseal(KEY, BINDING, raw) == PLAIN
    else:
        out, _ = opened_until_refused(raw)
        assert PLAIN.startswith(out)


def parts(raw: bytes) -> tuple[bytes, list[bytes]]:
    return raw[:HEAD], [raw[at : at + SEALED] for at in range(HEAD, len(raw), SEALED)]


def made_of(change: Callable[[bytes, list[bytes]], bytes]) -> Callable[[bytes], bytes]:
    return lambda raw: change(*parts(raw))


FOREIGN = parts(sealed(PLAIN))[1]
OLDER = sealed(PLAIN, replace(BINDING, made=MADE - timedelta(seconds=1)))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param(lambda raw: b"", "is truncated", id="an object cut to nothing"),
        pytest.param(lambda raw: raw[: HEAD - 1], "is truncated", id="a head cut short"),
        pytest.param(lambda raw: raw[:HEAD], "is cut off", id="a head alone"),
        pytest.param(lambda raw: raw[: HEAD + 3 * SEALED], "is cut off", id="an object cut at the border of a chunk"),
        pytest.param(lambda raw: raw[: HEAD + 3 * SEALED + 9], "is cut off", id="an object cut inside of a tag"),
        pytest.param(lambda raw: raw[: HEAD + 3 * SEALED - 1], "cut off at chunk 2", id="an object cut in a chunk"),
        pytest.param(lambda raw: raw + b"\0", "altered or cut off at chunk 4", id="a byte behind the end"),
        pytest.param(
            made_of(lambda head, c: head + b"".join((c[0], c[2], c[1], c[3], c[4]))),
            "has its chunk 2 in place of chunk 1",
            id="two chunks in the other order",
        ),
        pytest.param(
            made_of(lambda head, c: head + b"".join((c[0], c[1], c[1], *c[2:]))),
            "has its chunk 1 in place of chunk 2",
            id="a chunk twice",
        ),
        pytest.param(
            made_of(lambda head, c: head + b"".join(c[1:])), "has its chunk 1 in place of chunk 0", id="a chunk less"
        ),
        pytest.param(
            made_of(lambda head, c: head + b"".join((c[0], FOREIGN[1], *c[2:]))),
            "was altered or cut off at chunk 1",
            id="a chunk of another object",
        ),
        pytest.param(
            made_of(lambda head, c: head + b"".join(FOREIGN)), "does not open", id="another object behind this head"
        ),
        pytest.param(lambda raw: OLDER, "does not open in its place", id="an older version of the same record"),
        pytest.param(lambda raw: raw[:9] + b"\x3f" + raw[10:], "not understood", id="chunks of 2^63 bytes"),
        pytest.param(lambda raw: raw[:9] + b"\x15" + raw[10:], "not understood", id="chunks of 2 MiB"),
        pytest.param(lambda raw: raw[:9] + b"\x14" + raw[10:], "does not open", id="chunks of 1 MiB"),
        pytest.param(lambda raw: raw[:9] + b"\0" + raw[10:], "not understood", id="chunks of one byte"),
        pytest.param(lambda raw: raw[:1] + os.urandom(8) + raw[9:], "key id of", id="another key id"),
        pytest.param(lambda raw: raw[:10] + os.urandom(32) + raw[42:], "does not open", id="another salt"),
        pytest.param(lambda raw: b"\x07" + raw[1:], "not understood", id="an unknown version"),
    ],
)
def test_what_was_done_to_an_object_is_said(change: Callable[[bytes], bytes], said: str) -> None:
    out, message = opened_until_refused(change(sealed(PLAIN)))
    assert PLAIN.startswith(out)
    assert said in message
    assert "object img-1" in message


def test_a_second_end_behind_the_first_is_refused() -> None:
    full = PLAIN[: 2 * CHUNK]
    head, chunks = parts(sealed(full))
    out, message = opened_until_refused(head + b"".join((*chunks, chunks[1])))
    assert (out, "goes on after its end" in message) == (PLAIN[:CHUNK], True)


def test_an_empty_chunk_behind_a_full_one_is_refused_even_if_the_key_made_it() -> None:
    raw = sealed(PLAIN[:CHUNK])
    writer = streams._Chunks(lambda: KEY, BINDING, raw[:HEAD])
    forged = raw[:HEAD] + writer.seal(0, PLAIN[:CHUNK], False) + writer.seal(1, b"", True)
    assert "ends in an empty chunk" in opened_until_refused(forged)[1]


@pytest.mark.parametrize("bits", [0, 9, 21, 63])
def test_nobody_seals_what_nobody_would_open(bits: int) -> None:
    with pytest.raises(ValueError, match="chunk"):
        next(seal_stream(lambda: KEY, BINDING, [b"x"], os.urandom, bits))


def test_another_key_means_that_the_key_is_gone_and_not_that_it_was_altered() -> None:
    with pytest.raises(KeyDestroyedError):
        unseal(OTHER_KEY, BINDING, sealed(PLAIN))


def forgotten_after(times: int) -> Callable[[], bytes]:
    """A key that is asked for some times, and then is another's: the subject was erased and came back."""
    asked = iter([KEY] * times)
    return lambda: next(asked, OTHER_KEY)


def test_a_key_that_is_forgotten_half_way_ends_reading_and_writing() -> None:
    raw = sealed(PLAIN)
    reading = open_stream(forgotten_after(2), BINDING, [raw])
    assert next(reading) + next(reading) == PLAIN[: 2 * CHUNK]
    with pytest.raises(KeyDestroyedError):
        next(reading)
    with pytest.raises(KeyDestroyedError):
        list(seal_stream(forgotten_after(3), BINDING, [PLAIN], os.urandom, BITS))


def test_no_key_is_held_between_two_chunks() -> None:
    key = bytes(bytearray(KEY))
    before = sys.getrefcount(key)
    writing = seal_stream(lambda: key, BINDING, [PLAIN], os.urandom, BITS)
    held = sys.getrefcount(key)
    begun = [next(writing), next(writing), next(writing)]
    assert sys.getrefcount(key) == held
    reading = open_stream(lambda: key, BINDING, [*begun, *writing])
    next(reading)
    next(reading)
    assert sys.getrefcount(key) == held == before


def test_a_buffer_that_its_owner_fills_anew_does_no_harm() -> None:
    def filled() -> Iterator[bytearray]:
        buffer = bytearray(CHUNK // 2)
        for at in range(0, 4 * CHUNK, len(buffer)):
            buffer[:] = PLAIN[at : at + len(buffer)]
            yield buffer

    raw = b"".join(seal_stream(lambda: KEY, BINDING, filled(), os.urandom, BITS))
    assert unseal(KEY, BINDING, raw) == PLAIN[: 4 * CHUNK]


@pytest.mark.parametrize("piece", [1 << 12, 1 << 20, (1 << 20) + 7, 3 << 20])
def test_memory_is_bounded_by_the_chunk_and_not_by_the_object(piece: int) -> None:
    def coming() -> Iterator[bytes]:
        for _ in range((24 << 20) // piece):
            yield bytes(piece)

    tracemalloc.start()
    try:
        raw = seal_stream(lambda: KEY, BINDING, coming(), os.urandom)
        size = sum(len(chunk) for chunk in open_stream(lambda: KEY, BINDING, raw))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size == (24 << 20) // piece * piece
    assert peak < 2 * piece + (6 << 20)


@pytest.mark.parametrize("difference", [-1, 1])
def test_a_length_other_than_the_recorded_one_is_refused(difference: int) -> None:
    with pytest.raises(RecordTamperedError, match="than its row says"):
        list(open_pieces(lambda: KEY, BINDING, [sealed(PLAIN)], len(PLAIN) + difference))


def test_more_than_an_object_may_hold_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "MOST_CHUNKS", 4)
    with pytest.raises(RecordSizeError):
        sealed(PLAIN)
    assert unseal(KEY, BINDING, sealed(PLAIN[: 4 * CHUNK])) == PLAIN[: 4 * CHUNK]


def test_a_stream_bound_to_no_moment_is_neither_made_nor_opened() -> None:
    undated = replace(BINDING, made=None)
    with pytest.raises(ValueError, match="moment"):
        sealed(PLAIN, undated)
    with pytest.raises(RecordTamperedError):
        unseal(KEY, undated, sealed(PLAIN))
