"""Large records through the library: in pieces, in constant memory, whole or not at all, forgotten at any moment."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from imagint_privacy.errors import (
    KeyDestroyedError,
    KeysUnavailableError,
    LateWriteError,
    RecordExistsError,
    RecordMissingError,
    RecordSizeError,
    RecordTamperedError,
    StorageUnavailableError,
    SubjectFencedError,
)
from imagint_privacy.purposes import Purpose
from imagint_privacy.records import sealing
from imagint_privacy.records.library import Draft, Library
from imagint_privacy.records.schema import OBJECTS

MIB = 1 << 20
CONTENT = os.urandom(10 * MIB + 12345)
RUNNER = Path(__file__).with_name("uploading.py")
ROOT = Path(__file__).parents[3]


def pieces(size: int = 300_000) -> Iterator[bytes]:
    for at in range(0, len(CONTENT), size):
        yield CONTENT[at : at + size]


def interrupted(count: int, then: Callable[[], object]) -> Iterator[bytes]:
    for number, piece in enumerate(pieces()):
        if number == count:
            then()
        yield piece


def fail_with(error: BaseException) -> Callable[[], object]:
    def fail() -> object:
        raise error

    return fail


def drafted(content: Any, name: str = "img", size: int | None = None) -> list[Draft]:
    return [Draft(name, "images", "image/png", content, large=True, size=size)]


def keep(library: Library, content: Any, name: str = "img", person: str = "ann") -> str:
    ticket = library.begin(library.handle(person), Purpose.GENERATE)
    library.store(ticket, drafted(content, name))
    return ticket.subject


def announced(library: Library) -> int:
    with library.context.database.read() as connection:
        return len(connection.execute(OBJECTS.select()).all())


def files(rig: Any) -> list[Path]:
    return [path for path in (rig.folder / "objects").rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(pieces, id="a generator"),
        pytest.param(lambda: io.BytesIO(CONTENT), id="a file"),
        pytest.param(lambda: list(pieces(7 * MIB)), id="a list"),
        pytest.param(lambda: CONTENT, id="bytes"),
        pytest.param(lambda: bytearray(CONTENT), id="a bytearray"),
    ],
)
def test_what_is_kept_in_pieces_is_read_whole_and_in_chunks(rig: Any, content: Callable[[], Any]) -> None:
    library = rig.open()
    ticket = library.begin(library.handle("ann"), Purpose.GENERATE)
    (entry,) = library.store(ticket, drafted(content(), size=len(CONTENT)))
    assert entry.size == len(CONTENT)
    assert library.entries(ticket.subject, Purpose.ACCESS) == (entry,)
    other = rig.open("two")
    assert other.read(ticket.subject, "img", Purpose.ACCESS).content == CONTENT
    opened = other.read_stream(ticket.subject, "img", Purpose.ACCESS)
    chunks = list(opened.chunks)
    assert (opened.entry, b"".join(chunks)) == (entry, CONTENT)
    assert max(map(len, chunks)) == MIB


def test_a_row_and_an_empty_object_are_streams_too(rig: Any) -> None:
    library = rig.open()
    ann = rig.keep(library, "ann", "1")
    keep(library, iter(()))
    assert list(library.read_stream(ann, "gen_1", Purpose.DELIVER).chunks) == [b"prompt of ann"]
    assert library.read(ann, "img", Purpose.DELIVER).content == b""


def test_what_goes_into_a_row_is_given_whole() -> None:
    with pytest.raises(ValueError, match="whole"):
        Draft("x", "prompts", "g", iter((b"x",)))


def test_nothing_readable_is_on_disk_while_an_object_is_written(rig: Any) -> None:
    library = rig.open()
    seen = []

    def marked() -> Iterator[bytes]:
        for _ in range(44):
            yield b"image of ann".ljust(MIB, b".")
        seen.append(rig.bytes_on_disk())

    keep(library, marked())
    assert len(seen[0]) > 7 * MIB, "the hunt must have something to look at"
    assert b"image of ann" not in seen[0]


@pytest.mark.parametrize("count", [1, 33], ids=["in the first part", "in the second part"])
@pytest.mark.parametrize(
    "failure", [OSError("theirs"), RecordMissingError("theirs"), KeyboardInterrupt()], ids=lambda e: type(e).__name__
)
def test_an_upload_that_fails_half_way_leaves_nothing(rig: Any, failure: BaseException, count: int) -> None:
    library = rig.open()
    with pytest.raises(type(failure)) as raised:
        keep(library, interrupted(count, fail_with(failure)))
    assert raised.value is failure
    assert (announced(library), files(rig)) == (0, [])
    ann = keep(library, pieces())
    assert library.read(ann, "img", Purpose.DELIVER).content == CONTENT, "and the same id may be tried again"


def test_what_is_given_whole_has_the_length_that_was_said() -> None:
    assert Draft("x", "prompts", "g", b"four", size=4).size == 4
    for large in (False, True):
        with pytest.raises(RecordSizeError, match="x"):
            Draft("x", "prompts", "g", b"four", large=large, size=5)


@pytest.mark.parametrize("difference", [-1, 1, -len(CONTENT)], ids=["too long", "too short", "said to be empty"])
def test_content_of_another_length_than_was_said_is_not_kept(rig: Any, difference: int) -> None:
    library = rig.open()
    ticket = library.begin(library.handle("ann"), Purpose.GENERATE)
    with pytest.raises(RecordSizeError, match="img"):
        library.store(ticket, drafted(pieces(), size=len(CONTENT) + difference))
    assert (announced(library), files(rig)) == (0, [])


def test_a_taken_id_is_refused_before_any_content_is_read(rig: Any) -> None:
    library = rig.open()
    ann = keep(library, b"first")
    with pytest.raises(RecordExistsError):
        keep(library, interrupted(0, fail_with(AssertionError("it was read"))))
    assert library.read(ann, "img", Purpose.DELIVER).content == b"first"


def test_an_erasure_that_ends_while_an_object_is_uploaded_stops_it(rig: Any) -> None:
    library, other = rig.open(), rig.open("two")
    ann = rig.keep(library, "ann", "1")
    with pytest.raises(LateWriteError):
        keep(other, interrupted(20, lambda: rig.erase(library, "req", ann)))
    assert (announced(library), files(rig)) == (0, [])


def test_a_fence_that_is_raised_while_an_object_is_uploaded_refuses_it(rig: Any) -> None:
    library, other = rig.open(), rig.open("two")
    ann = rig.keep(library, "ann", "1")
    with pytest.raises(SubjectFencedError):
        keep(other, interrupted(20, lambda: library.erasures.fence("req", ann, received_at=rig.now())))
    assert announced(library) == len(files(rig)) == 1


def test_reading_ends_when_the_key_is_forgotten_meanwhile(rig: Any) -> None:
    library, other = rig.open(), rig.open("two")
    ann = keep(library, pieces())
    chunks = other.read_stream(ann, "img", Purpose.ACCESS).chunks
    assert next(chunks) == CONTENT[:MIB]
    rig.erase(library, "req", ann)
    rig.seconds += 5
    with pytest.raises((KeyDestroyedError, StorageUnavailableError)):
        list(chunks)


def test_a_stream_that_lasts_longer_than_the_caches_asks_vault_again(rig: Any) -> None:
    library = rig.open()
    ann = keep(library, pieces())
    chunks = library.read_stream(ann, "img", Purpose.ACCESS).chunks
    next(chunks)
    rig.transit.sealed = True
    next(chunks)
    rig.seconds += 5
    with pytest.raises(KeysUnavailableError):
        next(chunks)
    with pytest.raises(KeysUnavailableError):
        keep(library, pieces(), "other")


def test_reading_that_is_given_up_leaves_nothing_open(rig: Any) -> None:
    library = rig.open()
    ann = keep(library, pieces())
    opened = library.read_stream(ann, "img", Purpose.ACCESS)
    next(opened.chunks)
    before = len(list(Path("/proc/self/fd").iterdir()))
    opened.chunks.close()
    assert next(opened.chunks, None) is None
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert library.read(ann, "img", Purpose.ACCESS).content == CONTENT


def test_more_than_the_caller_can_hold_is_not_read(rig: Any) -> None:
    library = rig.open()
    ann = keep(library, pieces())
    with pytest.raises(RecordSizeError):
        library.read(ann, "img", Purpose.ACCESS, limit=len(CONTENT) - 1)
    assert library.read(ann, "img", Purpose.ACCESS, limit=len(CONTENT)).content == CONTENT


def _chunk(raw: bytes, number: int) -> bytes:
    at = 42 + number * (MIB + 16)
    return raw[at : at + MIB + 16]


@pytest.mark.parametrize(
    ("change", "good"),
    [
        pytest.param(lambda raw, other: b"", 0, id="cut to nothing"),
        pytest.param(lambda raw, other: raw[: 42 + 3 * (MIB + 16)], 2, id="cut at the border of a chunk"),
        pytest.param(lambda raw, other: raw + raw, 10, id="followed by itself"),
        pytest.param(lambda raw, other: other, 0, id="another object of the same person"),
        pytest.param(lambda raw, other: raw.replace(_chunk(raw, 4), _chunk(other, 4)), 4, id="one chunk of another"),
        pytest.param(lambda raw, other: raw.replace(_chunk(raw, 4), _chunk(raw, 5)), 4, id="a chunk twice"),
        pytest.param(lambda raw, other: b"\1" + raw[1:], 0, id="called version 1"),
        pytest.param(lambda raw, other: b"\3" + raw[1:], 0, id="called version 3"),
    ],
)
def test_a_changed_object_is_refused_and_no_wrong_byte_comes_out(
    rig: Any, change: Callable[[bytes, bytes], bytes], good: int
) -> None:
    library = rig.open()
    ann = keep(library, pieces())
    keep(library, bytes(len(CONTENT)), "other")
    named = {path.name: path for path in files(rig)}
    named["img"].write_bytes(change(named["img"].read_bytes(), named["other"].read_bytes()))
    out = bytearray()
    with pytest.raises(RecordTamperedError, match="object img "):
        _read_into(out, library, ann)
    assert bytes(out) == CONTENT[: good * MIB]
    with pytest.raises(RecordTamperedError):
        library.read(ann, "img", Purpose.ACCESS)


def _read_into(out: bytearray, library: Library, subject: str) -> None:
    for chunk in library.read_stream(subject, "img", Purpose.ACCESS).chunks:
        out += chunk


@pytest.mark.parametrize("large", [True, False], ids=["an object", "a row"])
def test_an_older_record_that_had_the_same_id_does_not_come_back(rig: Any, large: bool) -> None:
    library = rig.open()
    ticket = library.begin(library.handle("ann"), Purpose.GENERATE)
    old = sealed = b""
    for content in (b"older", b"newer"):
        library.store(ticket, [Draft("img", "images", "image/png", content, large=large)])
        old, sealed = sealed, _sealed(library, rig, large)
        if content == b"older":
            library.delete(ticket.subject, "img", Purpose.DELIVER)
        rig.seconds += 1
    _put_back(library, rig, large, old)
    with pytest.raises(RecordTamperedError, match="img does not open in its place"):
        library.read(ticket.subject, "img", Purpose.ACCESS)
    _put_back(library, rig, large, sealed)
    assert library.read(ticket.subject, "img", Purpose.ACCESS).content == b"newer"


def _sealed(library: Library, rig: Any, large: bool) -> bytes:
    if large:
        return files(rig)[0].read_bytes()
    with library.context.database.read() as connection:
        sealed: bytes = connection.exec_driver_sql("SELECT sealed FROM records").scalar_one()
    return sealed


def _put_back(library: Library, rig: Any, large: bool, sealed: bytes) -> None:
    if large:
        files(rig)[0].write_bytes(sealed)
        return
    with library.context.database.write() as connection:
        connection.exec_driver_sql("UPDATE records SET sealed = ?", (sealed,))


def test_an_object_that_version_1_sealed_is_still_read(rig: Any) -> None:
    library = rig.open()
    ann = keep(library, b"image")
    entry = library.locate("img", Purpose.DELIVER)
    binding = sealing.Binding("acme", entry.path, entry.kind, "img", sealing.Keeping.OBJECT)
    (path,) = files(rig)
    path.write_bytes(sealing.seal(library.tree.lookup(entry.path), binding, b"image", os.urandom))
    assert library.read(ann, "img", Purpose.DELIVER).content == b"image"
    path.write_bytes(path.read_bytes() + bytes(9 * MIB))
    with pytest.raises(RecordTamperedError, match="longer than its row says"):
        library.read(ann, "img", Purpose.DELIVER)


@pytest.mark.parametrize("count", [5, 33], ids=["in the first part", "in the second part"])
def test_a_slow_upload_that_was_swept_meanwhile_is_not_kept_without_its_object(rig: Any, count: int) -> None:
    library, other = rig.open(), rig.open("two")

    def swept() -> None:
        rig.seconds += timedelta(days=2).total_seconds()
        assert library.sweep_uploads() == 1

    with pytest.raises(StorageUnavailableError):
        keep(other, interrupted(count, swept))
    assert (announced(library), files(rig)) == (0, [])
    assert library.sweep_uploads() == 0


def test_an_upload_that_is_killed_leaves_remains_that_the_next_purge_or_sweep_deletes(tmp_path: Path) -> None:
    """With real processes and kill -9: see uploading.py."""
    done = subprocess.run(
        [sys.executable, "-W", "error", RUNNER, tmp_path], capture_output=True, text=True, timeout=250, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert {one["signal"] for one in found} == {9}
    assert {one["killed_at"]: one["before"] for one in found} == {
        0: ["bob"],
        5: ["bob"],
        14: ["ann#1", "bob"],
        20: ["ann#1", "bob"],
    }
    assert {tuple(one["after"]) for one in found} == {("bob",)}


def test_an_object_of_100_mib_takes_less_than_64_mib_of_memory_both_ways(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", "-m", "bench.keys.sealing", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=250, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["extra_mib"] <= 64
