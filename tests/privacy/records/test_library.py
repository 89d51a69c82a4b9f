"""The library: sealed records by subject, behind the purpose gate, whatever else goes on."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from imagint_privacy.errors import (
    ForeignTreeError,
    KeyDestroyedError,
    KeysUnavailableError,
    LateWriteError,
    PathInvalidError,
    PurposeRefusedError,
    RecordExistsError,
    RecordMissingError,
    RecordTamperedError,
    SchemaError,
    StorageUnavailableError,
    SubjectFencedError,
)
from imagint_privacy.purposes import Purpose
from imagint_privacy.records.library import Draft, Library

CANARY = b"prompt of ann"


def test_what_is_kept_is_read_back_by_another_process(rig: Any) -> None:
    ann = rig.keep(rig.open(), "ann", "1")
    library = rig.open("two")
    opened = library.read(ann, "gen_1", Purpose.DELIVER)
    assert opened.content == b"prompt of ann"
    assert (opened.entry.category, opened.entry.period, opened.entry.kind) == ("prompts", "2026-11", "generation")
    assert library.read(ann, "img_1", Purpose.ACCESS).content == b"image of ann" * 50


def test_nothing_readable_reaches_the_disk_and_no_content_is_shown_by_repr(rig: Any) -> None:
    library = rig.open()
    ann = rig.keep(library, "ann", "1")
    on_disk = rig.bytes_on_disk()
    assert ann.encode() in on_disk, "the hunt must be able to find something"
    assert CANARY not in on_disk
    assert b"image of ann" not in on_disk
    opened = library.read(ann, "gen_1", Purpose.DELIVER)
    assert "prompt" not in repr(opened).replace("prompts", "")
    assert "prompt of" not in repr(Draft("x", "prompts", "g", CANARY))


def test_entries_are_listed_newest_first_in_pages(rig: Any) -> None:
    library = rig.open()
    for number in range(5):
        rig.seconds += 1
        ann = rig.keep(library, "ann", str(number))
    images = library.entries(ann, Purpose.ACCESS, category="images")
    assert [entry.record_id for entry in images] == [f"img_{n}" for n in (4, 3, 2, 1, 0)]
    page = library.entries(ann, Purpose.ACCESS, category="images", before="img_3", limit=2)
    assert [entry.record_id for entry in page] == ["img_2", "img_1"]
    assert library.entries(ann, Purpose.ACCESS, before="no-such") == ()
    assert len(library.entries(ann, Purpose.ACCESS)) == 10
    assert library.entries(library.handle("bob"), Purpose.ACCESS) == ()


def test_a_record_is_located_by_its_id_alone(rig: Any) -> None:
    library = rig.open()
    ann = rig.keep(library, "ann", "1")
    assert library.locate("img_1", Purpose.DELIVER).subject == ann
    with pytest.raises(RecordMissingError):
        library.locate("img_2", Purpose.DELIVER)
    with pytest.raises(PathInvalidError):
        library.locate("../img_1", Purpose.DELIVER)


def test_a_record_of_somebody_else_is_missing(rig: Any) -> None:
    library = rig.open()
    rig.keep(library, "ann", "1")
    bob = rig.keep(library, "bob", "2")
    for call in (library.read, library.delete):
        with pytest.raises(RecordMissingError):
            call(bob, "img_1", Purpose.DELIVER)


def test_a_deleted_record_is_gone_with_its_object(rig: Any) -> None:
    library = rig.open()
    ann = rig.keep(library, "ann", "1")
    for name in ("img_1", "gen_1"):
        library.delete(ann, name, Purpose.DELIVER)
        with pytest.raises(RecordMissingError):
            library.read(ann, name, Purpose.DELIVER)
    assert library.context.objects.list() == []
    assert library.erasures.holdings(ann).objects == 0


def test_an_id_is_taken_once_and_nothing_of_the_second_is_kept(rig: Any) -> None:
    library = rig.open()
    ann = rig.keep(library, "ann", "1")
    ticket = library.begin(ann, Purpose.GENERATE)
    for large in (False, True):
        drafts = [Draft("other", "prompts", "g", b"x"), Draft("img_1", "images", "image/png", b"second", large=large)]
        with pytest.raises(RecordExistsError):
            library.store(ticket, drafts)
    with pytest.raises(RecordExistsError):
        library.store(ticket, [Draft("gen_1", "images", "image/png", b"second", large=True)])
    assert library.read(ann, "img_1", Purpose.DELIVER).content == b"image of ann" * 50
    assert len(library.entries(ann, Purpose.ACCESS)) == 2
    assert len(library.context.objects.list()) == 1


def test_nothing_to_keep_is_no_error(rig: Any) -> None:
    library = rig.open()
    assert library.store(library.begin(library.handle("ann"), Purpose.GENERATE), []) == ()


def test_a_purpose_that_does_not_write_gets_no_ticket(rig: Any) -> None:
    library = rig.open()
    with pytest.raises(PurposeRefusedError):
        library.begin(library.handle("ann"), Purpose.PROBE)
    with pytest.raises(PathInvalidError):
        library.begin("ann@example.com", Purpose.GENERATE)


@pytest.mark.parametrize(
    ("record_id", "category", "kind"),
    [("../x", "images", "image/png"), ("x", "Images", "image/png"), ("x", "images", "IMAGE"), ("", "images", "g")],
)
def test_a_draft_with_a_bad_name_is_refused(record_id: str, category: str, kind: str) -> None:
    with pytest.raises(PathInvalidError):
        Draft(record_id, category, kind, b"")


def test_a_write_that_began_before_an_erasure_is_refused_for_ever(rig: Any) -> None:
    library, other = rig.open(), rig.open("two")
    ann = rig.keep(library, "ann", "1")
    late = other.begin(ann, Purpose.GENERATE)
    drafts = [Draft("late", "images", "image/png", b"late", large=True)]
    library.erasures.fence("req", ann, received_at=rig.now())
    with pytest.raises(SubjectFencedError):
        other.store(late, drafts)
    with pytest.raises(SubjectFencedError):
        other.begin(ann, Purpose.GENERATE)
    rig.erase(library, "req", ann)
    with pytest.raises(LateWriteError):
        other.store(late, drafts)
    assert library.erasures.holdings(ann).paths == 0
    assert library.context.objects.list() == []


def test_an_erasure_that_begins_while_an_object_is_written_takes_it_back(
    rig: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    library, other = rig.open(), rig.open("two")
    ann = rig.keep(library, "ann", "1")
    put = other.context.objects.put_stream

    def put_slowly(location: str, pieces: Iterable[bytes]) -> None:
        put(location, pieces)
        rig.erase(library, "req", ann)

    monkeypatch.setattr(other.context.objects, "put_stream", put_slowly)
    with pytest.raises(LateWriteError):
        other.store(other.begin(ann, Purpose.GENERATE), [Draft("late", "images", "image/png", b"late", large=True)])
    assert library.context.objects.list() == []


def test_somebody_who_comes_back_starts_anew(rig: Any) -> None:
    library = rig.open()
    ann = rig.keep(library, "ann", "1")
    rig.erase(library, "req", ann)
    assert rig.keep(library, "ann", "2") == ann
    assert library.read(ann, "img_2", Purpose.DELIVER).content == b"image of ann" * 50
    with pytest.raises(RecordMissingError):
        library.read(ann, "img_1", Purpose.DELIVER)


def test_swapped_rows_do_not_open(rig: Any) -> None:
    library = rig.open()
    ann = rig.keep(library, "ann", "1")
    bob = rig.keep(library, "bob", "2")
    rig.seconds += 1
    rig.keep(library, "ann", "3")
    with sqlite3.connect(library.context.database.file) as raw:
        sealed = dict(raw.execute("SELECT record_id, sealed FROM records WHERE sealed IS NOT NULL"))
        for name, other in (("gen_1", "gen_3"), ("gen_2", "gen_1")):
            raw.execute("UPDATE records SET sealed = ? WHERE record_id = ?", (sealed[other], name))
    with pytest.raises(RecordTamperedError):
        library.read(ann, "gen_1", Purpose.DELIVER)
    with pytest.raises(KeyDestroyedError):
        library.read(bob, "gen_2", Purpose.DELIVER)


@pytest.mark.parametrize(
    ("column", "value"),
    [("kind", "other"), ("category", "prompts"), ("period", "2026-10"), ("subject", "subj-" + "a" * 26)],
)
def test_a_row_whose_names_were_changed_does_not_open(rig: Any, column: str, value: str) -> None:
    library = rig.open()
    ann = rig.keep(library, "ann", "1")
    with sqlite3.connect(library.context.database.file) as raw:
        raw.execute(f"UPDATE records SET {column} = ? WHERE record_id = 'img_1'", (value,))  # noqa: S608
    subject = value if column == "subject" else ann
    with pytest.raises((RecordTamperedError, KeyDestroyedError)):
        library.read(subject, "img_1", Purpose.DELIVER)


@pytest.mark.parametrize("change", [lambda raw: raw[:-1], lambda raw: b"", lambda raw: raw[:-1] + b"\0"])
def test_a_changed_object_does_not_open(rig: Any, change: Any) -> None:
    library = rig.open()
    ann = rig.keep(library, "ann", "1")
    (location,) = library.context.objects.list()
    file = Path(library.context.objects.folder, location)
    file.write_bytes(change(file.read_bytes()))
    with pytest.raises(RecordTamperedError):
        library.read(ann, "img_1", Purpose.DELIVER)


def test_a_lost_object_is_missing(rig: Any) -> None:
    library = rig.open()
    ann = rig.keep(library, "ann", "1")
    library.context.objects.delete(library.context.objects.list())
    with pytest.raises(RecordMissingError):
        library.read(ann, "img_1", Purpose.DELIVER)


def test_a_sealed_vault_stops_reading_writing_and_opening(rig: Any) -> None:
    library = rig.open()
    ann = rig.keep(library, "ann", "1")
    rig.transit.sealed = True
    rig.seconds += 5
    for call in (
        lambda: library.read(ann, "gen_1", Purpose.DELIVER),
        lambda: rig.keep(library, "ann", "2"),
        lambda: library.handle("ann"),
        library.beat,
        library.status,
        lambda: rig.open("two"),
    ):
        with pytest.raises(KeysUnavailableError):
            call()
    rig.transit.sealed = False
    assert library.read(ann, "gen_1", Purpose.DELIVER).content == CANARY


def test_handles_are_the_tenants_own(rig: Any, tmp_path: Path) -> None:
    library = rig.open()
    assert library.handle(" ANN ") == rig.open("two").handle("ann")
    other = type(rig)(tmp_path / "other")
    other.transit.admin().ensure("tenant-acme")
    assert other.open().handle("ann") != library.handle("ann")
    other.close()
    with pytest.raises(PathInvalidError):
        library.handle(" ")


def test_several_processes_open_an_empty_database_at_once(bare_rig: Any) -> None:
    opened: list[Library] = []
    failed: list[BaseException] = []

    def start(replica: str) -> None:
        try:
            opened.append(bare_rig.open(replica))
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=start, args=(f"replica-{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert len({library.handle("ann") for library in opened}) == 1


def test_many_threads_of_several_processes_keep_everything(rig: Any) -> None:
    libraries = [rig.open("one"), rig.open("two")]
    failed: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for turn in range(5):
                rig.keep(libraries[number % 2], f"person {number}", f"{number}-{turn}")
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    for number in range(6):
        subject = libraries[0].handle(f"person {number}")
        for library in libraries:
            library.beat()
            for entry in library.entries(subject, Purpose.DELIVER):
                assert f"person {number}".encode() in library.read(subject, entry.record_id, Purpose.DELIVER).content


def test_another_tenants_database_is_refused(rig: Any) -> None:
    rig.open()
    rig.transit.admin().ensure("tenant-other")
    with pytest.raises(ForeignTreeError):
        Library.open("other", rig.storage, rig.transit.tenant_key("tenant-other"), key_name="tenant-other")


def test_a_database_of_a_newer_program_is_refused(rig: Any) -> None:
    with sqlite3.connect(rig.folder / "records.db") as raw:
        raw.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(SchemaError):
        rig.open()


@pytest.mark.parametrize("address", ["nonsense", "sqlite://", "oracle://x/y"])
def test_an_address_that_is_not_understood_is_named_and_not_repeated(address: str, rig: Any) -> None:
    storage = type(rig.storage)(address, rig.storage.objects)
    with pytest.raises(StorageUnavailableError) as refused:
        Library.open("acme", storage, rig.transit.tenant_key("tenant-acme"), key_name="tenant-acme")
    assert address not in str(refused.value)


def test_a_file_that_is_no_database_is_unavailable(rig: Any) -> None:
    (rig.folder / "records.db").write_bytes(os.urandom(8192))
    with pytest.raises(StorageUnavailableError):
        rig.open()


def test_the_state_of_a_library_is_told(rig: Any) -> None:
    library = rig.open()
    rig.open("two")
    rig.keep(library, "ann", "1")
    library.copy_tree()
    library.beat()
    status = library.status()
    assert [replica.id for replica in status.replicas] == ["one", "two"]
    assert {copy.generation for copy in status.copies} == {status.generation}
    assert status.key_version == 1
