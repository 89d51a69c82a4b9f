"""The census: what is inventoried, exported and erased is the same, and a new place that nobody declared is found.

A canary stands in every column about a person and in the object store: an export must show it or the inventory say
why not, and an erasure must take it or the inventory say why it stays.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    func,
    insert,
    select,
)

from imagint_privacy.purposes import Purpose
from imagint_privacy.records import census, exports, inventory, inventory_page
from imagint_privacy.records.inventory import COLUMNS, Erased, Exported, Holds
from imagint_privacy.records.library import Draft, Library
from imagint_privacy.records.results import as_json
from imagint_privacy.records.schema import METADATA, RESTRICTIONS, Moment

PLACES = {**COLUMNS, **inventory.OBJECTS}
CONTENT = b"canary-content-5a1f"
ABOUT_PEOPLE = [METADATA.tables[name.partition(".")[0]] for name in COLUMNS if name.endswith(".subject")]
FIXED: dict[tuple[str, str], Any] = {
    # A fence is lifted by its own erasure, and what kind a row is decides how the gate reads it.
    ("fences", "request"): "e1",
    ("restrictions", "kind"): "Restrict",
    ("records", "large"): False,
}
_KINDS: dict[type[Any], Any] = {
    Text: lambda number: json.dumps([f"canary-text-{number}"]),
    String: lambda number: f"canary-{number}",
    BigInteger: lambda number: -number,
    Integer: lambda number: -number,
    Boolean: lambda number: True,
    Moment: lambda number: datetime(2001, 1, 1, tzinfo=UTC) + timedelta(minutes=number),
}


def canary(column: Column[Any], subject: str, number: int) -> Any:
    """Return a value that stands nowhere else, of the column's type."""
    if column.name == "subject":
        return subject
    if (column.table.name, column.name) in FIXED:
        return FIXED[column.table.name, column.name]
    if isinstance(column.type, LargeBinary):
        return None  # Sealed content: planted by the library itself.
    if column.name == "period":
        return f"19{number % 100:02d}-01"
    return next(make for kind, make in _KINDS.items() if isinstance(column.type, kind))(number)


def plant(library: Library, subject: str) -> dict[tuple[str, str], Any]:
    """Put a canary into every column of every table about people, and one into the object store."""
    ticket = library.begin(subject, Purpose.GENERATE)
    library.store(
        ticket,
        [Draft("row", "prompts", "generation", CONTENT), Draft("object", "images", "image/png", CONTENT, large=True)],
    )
    planted: dict[tuple[str, str], Any] = {}
    with library.context.database.write() as connection:
        for table in ABOUT_PEOPLE:
            row = {column.name: canary(column, subject, 1000 + len(planted) + n) for n, column in enumerate(table.c)}
            connection.execute(insert(table).values(row))
            planted |= {(table.name, name): value for name, value in row.items()}
    return planted


def hunt(planted: dict[tuple[str, str], Any]) -> dict[tuple[str, str], bytes]:
    """Return the canaries that can be told from everything else on disk, and that no tombstone keeps.

    The names of the categories that records had stand in the count of what the erasure found (`erasures.held`).
    """
    return {
        (table, column): value.encode()
        for (table, column), value in planted.items()
        if isinstance(value, str) and "canary" in value and (table, column) != ("records", "category")
        if COLUMNS[f"{table}.{column}"].erased is not Erased.TOMBSTONE
    }


def test_the_inventory_the_schema_and_the_exports_agree() -> None:
    assert census.gaps(METADATA, PLACES, exports.shown()) == []
    personal = {name for name, place in PLACES.items() if place.personal}
    erased = {name for name, place in PLACES.items() if place.erased is not Erased.NEVER}
    explained = {name for name, place in PLACES.items() if place.exported in {Exported.KEY, Exported.COPY}}
    assert personal == erased == exports.shown() | explained


def test_every_table_with_a_subject_is_exported() -> None:
    assert {table.name for table in exports.TABLES} == {table.name for table in ABOUT_PEOPLE}
    assert {table.name for table in METADATA.tables.values() if "subject" in table.c} == {
        table.name for table in ABOUT_PEOPLE
    }


def test_an_export_shows_every_canary(rig: Any) -> None:
    library = rig.open()
    ann = library.handle("ann")
    planted = plant(library, ann)
    pieces = list(library.exports.of(ann))
    contents = [b"".join(piece.chunks) for piece in pieces if piece.chunks is not None]
    assert contents == [CONTENT, CONTENT], "one from the row, one from the object"
    missing = []
    for (table, column), value in planted.items():
        decoded = json.loads(value) if isinstance(METADATA.tables[table].c[column].type, Text) else as_json(value)
        found = any(piece.store == table and piece.fields.get(column) == decoded for piece in pieces)
        if not found and value is not None and COLUMNS[f"{table}.{column}"].exported is Exported.SHOWN:
            missing.append(f"{table}.{column}")
    assert missing == []


def test_a_full_erasure_takes_every_canary_but_the_tombstones(rig: Any) -> None:
    library = rig.open()
    ann = library.handle("ann")
    planted = plant(library, ann)
    hunted = hunt(planted)
    before = rig.bytes_on_disk()
    assert [place for place, value in hunted.items() if value not in before] == []
    rig.erase(library, "e1", ann)
    with library.context.database.read() as connection:
        rows = {
            table.name: connection.execute(
                select(func.count()).select_from(table).where(table.c.subject == ann)
            ).scalar_one()
            for table in ABOUT_PEOPLE
        }
        standing = select(func.count()).where(RESTRICTIONS.c.subject == ann, RESTRICTIONS.c.lifted_at.is_(None))
        assert connection.execute(standing).scalar_one() == 0
    assert library.tree.paths(ann) == ()
    disk = rig.bytes_on_disk()
    for table, column in planted:
        assert bool(rows[table]) is (COLUMNS[f"{table}.{column}"].erased is Erased.TOMBSTONE), (table, column)
    assert [place for place, value in hunted.items() if value in disk] == []
    assert CONTENT not in disk
    assert library.context.objects.list() == []


def test_sealed_content_is_never_on_disk_in_the_clear(rig: Any) -> None:
    library = rig.open()
    plant(library, library.handle("ann"))
    assert CONTENT not in rig.bytes_on_disk()


def copied() -> MetaData:
    metadata = MetaData()
    for table in METADATA.tables.values():
        table.to_metadata(metadata)
    return metadata


def test_a_column_that_nobody_declared_is_found() -> None:
    metadata = copied()
    metadata.tables["records"].append_column(Column("address", Text))
    assert census.gaps(metadata, PLACES, exports.shown()) == ["records.address is not declared"]


def test_a_table_that_nobody_declared_is_found() -> None:
    metadata = copied()
    Table("diary", metadata, Column("subject", String(40)))
    assert census.gaps(metadata, PLACES, exports.shown()) == ["diary.subject is not declared"]


def test_a_declaration_of_what_is_not_there_is_found() -> None:
    places = {**PLACES, "records.mood": COLUMNS["records.kind"]}
    assert "records.mood is declared and is not there" in census.gaps(METADATA, places, exports.shown())


def test_a_personal_place_that_no_export_shows_is_found() -> None:
    for name, place in PLACES.items():
        if place.exported is Exported.SHOWN:
            (gap,) = census.gaps(METADATA, PLACES, exports.shown() - {name})
            assert gap.startswith(f"{name} is missing in an export")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"holds": Holds.OPERATION}, "is of a table about people and says that it is about nobody"),
        ({"exported": Exported.NOBODY}, "is personal and gives no reason why an export does not show it"),
        ({"exported": Exported.KEY}, "is shown in an export and says"),
        ({"erased": Erased.NEVER}, "is personal and says of erasing: not about anybody"),
    ],
    ids=["said to be of nobody", "not exported without a reason", "exported against its word", "never erased"],
)
def test_a_declaration_that_contradicts_itself_is_found(changes: dict[str, Any], expected: str) -> None:
    places = {**PLACES, "records.kind": dataclasses.replace(COLUMNS["records.kind"], **changes)}
    assert any(expected in gap for gap in census.gaps(METADATA, places, exports.shown()))


def test_every_cache_is_declared_and_every_declaration_is_a_cache() -> None:
    assert census.caches() == set(inventory.CACHES)


def test_caches_of_every_make_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = """
        from collections import OrderedDict, deque
        from functools import cache, cached_property, lru_cache

        CONSTANT = {"a": 1}
        SEEN = {}
        LAST: "OrderedDict[str, int]" = OrderedDict()

        @cache
        def plain(n): return n

        class Keeper:
            def __init__(self): self.kept: dict[str, int] = {}

        class Queue:
            def start(self): self.waiting = deque(maxlen=3)

        class Lazy:
            @cached_property
            def value(self): return 1
            @lru_cache(maxsize=3)
            def other(self): return 2

        class Plain:
            def __init__(self): self.names = ["a"]
            def work(self):
                found = {}
                return found
    """
    lines = source.splitlines()
    (tmp_path / "keeping_things.py").write_text("\n".join(line[8:] for line in lines))
    monkeypatch.syspath_prepend(tmp_path)
    module = _imported("keeping_things")
    assert set(census.caches_of(module)) == {
        "keeping_things.SEEN",
        "keeping_things.LAST",
        "keeping_things.plain",
        "keeping_things.Keeper",
        "keeping_things.Queue",
        "keeping_things.Lazy.value",
        "keeping_things.Lazy.other",
    }
    del sys.modules["keeping_things"]


def _imported(name: str) -> ModuleType:
    import importlib

    return importlib.import_module(name)


def test_the_page_of_the_documentation_is_the_inventory(tmp_path: Path) -> None:
    page = Path(__file__).parents[3] / "docs" / "data-inventory.md"
    assert inventory_page.main(["--check", str(page)]) == 0, "make inventory"
    assert inventory_page.main(["--check", str(tmp_path / "none.md")]) == 1
    assert inventory_page.main([str(tmp_path / "page.md")]) == 0
    assert (tmp_path / "page.md").read_text() == page.read_text()
    assert all(name.partition(".")[2] in page.read_text() for name in COLUMNS)
