"""An export holds everything of one person, opened, and nothing of anybody else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import update

from imagint_privacy.errors import PathInvalidError
from imagint_privacy.purposes import Purpose
from imagint_privacy.records import exports
from imagint_privacy.records.exports import Piece
from imagint_privacy.records.library import Draft, Library
from imagint_privacy.records.retention import RuleSet
from imagint_privacy.records.schema import RECORDS


def of(library: Library, subject: str) -> dict[str, list[Piece]]:
    found: dict[str, list[Piece]] = {}
    for piece in library.exports.of(subject):
        found.setdefault(piece.store, []).append(piece)
    return found


def test_everything_of_one_person_is_shown_and_nothing_of_another(rig: Any) -> None:
    library = rig.open()
    ann, bob = rig.keep(library, "ann", "1"), rig.keep(library, "bob", "2")
    library.restrictions.restrict("r1", ann, ("images",), received_at=rig.now())
    library.restrictions.restrict("r2", bob, received_at=rig.now())
    library.retention.begin("run", RuleSet({}), (ann, bob))
    found = of(library, ann)
    assert {piece.fields["record_id"]: b"".join(piece.chunks or ()) for piece in found["records"]} == {
        "gen_1": b"prompt of ann",
        "img_1": b"image of ann" * 50,
    }
    assert [piece.fields["record_id"] for piece in found["objects"]] == ["img_1"]
    assert [(piece.fields["category"], piece.fields["period"]) for piece in found["keys"]] == [
        ("images", "2026-11"),
        ("prompts", "2026-11"),
    ]
    assert found["standing"][0].fields == {"fenced": [], "erased": {}, "restricted": ["images"], "objected": {}}
    assert [piece.fields["request"] for piece in found["restrictions"]] == ["r1"]
    assert found["retention_exceptions"][0].fields == {"request": "run", "subject": ann}
    subjects = {piece.fields["subject"] for pieces in found.values() for piece in pieces if "subject" in piece.fields}
    assert subjects == {ann}


def test_an_export_is_plain_data_that_json_can_hold(rig: Any) -> None:
    library = rig.open()
    ann = rig.keep(library, "ann", "1")
    library.erasures.fence("e1", ann, ("prompts",), received_at=rig.now())
    text = json.dumps([[piece.store, dict(piece.fields)] for piece in library.exports.of(ann)])
    assert json.loads(text)[0][1]["fenced"] == ["prompts"]
    (erasure,) = of(library, ann)["erasures"]
    assert erasure.fields["held"] == {"objects": 0, "paths": 1, "records": {"prompts": 1}}
    assert erasure.fields["received_at"] == "2026-11-23T12:00:00.000Z"


def test_after_an_erasure_the_export_shows_that_it_was_and_nothing_else(rig: Any) -> None:
    library = rig.open()
    ann = rig.keep(library, "ann", "1")
    rig.erase(library, "e1", ann)
    found = of(library, ann)
    assert set(found) == {"standing", "incarnations", "erasures"}
    assert found["erasures"][0].fields["state"] == "Complete"


def test_what_cannot_be_opened_is_named_with_its_reason(rig: Any) -> None:
    library = rig.open()
    ann = rig.keep(library, "ann", "1")
    with library.context.database.write() as connection:
        connection.execute(update(RECORDS).where(RECORDS.c.record_id == "gen_1").values(sealed=b"\x01" * 60))
    problems = {piece.fields["record_id"]: piece.problem for piece in of(library, ann)["records"]}
    assert problems == {"gen_1": "RecordTampered", "img_1": None}
    library.context.objects.delete(library.context.objects.list())
    problems = {piece.fields["record_id"]: piece.problem for piece in of(library, ann)["records"]}
    assert problems == {"gen_1": "RecordTampered", "img_1": "RecordMissing"}


def test_an_export_goes_on_over_pages(rig: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "PAGE", 3)
    library = rig.open()
    ann = library.handle("ann")
    names = [f"r{number}" for number in range(9)]
    drafts = [Draft(name, "prompts", "generation", name.encode()) for name in names]
    library.store(library.begin(ann, Purpose.GENERATE), drafts)
    assert [piece.fields["record_id"] for piece in of(library, ann)["records"]] == names


def test_an_export_holds_one_content_at_a_time(rig: Any) -> None:
    library = rig.open()
    ann = rig.keep(library, "ann", "1")
    opened: list[str] = []

    def read(subject: str, record_id: str, purpose: Purpose) -> Any:
        opened.append(record_id)
        return library.read_stream(subject, record_id, purpose)

    pieces = exports.Exports(library.context, read).of(ann)
    chunks = next(piece for piece in pieces if piece.store == "records").chunks
    assert chunks is not None
    assert b"".join(chunks) == b"prompt of ann"
    assert opened == ["gen_1"]


def test_only_a_handle_can_be_exported(rig: Any) -> None:
    library = rig.open()
    for subject in ("system", "ann"):
        with pytest.raises(PathInvalidError):
            library.exports.of(subject)
