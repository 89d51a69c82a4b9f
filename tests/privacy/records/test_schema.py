"""The tables: as the migrations make them, as the inventory declares them, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect, text

from imagint_privacy.errors import SchemaError
from imagint_privacy.purposes import Purpose
from imagint_privacy.records import inventory, migrating
from imagint_privacy.records.database import Database
from imagint_privacy.records.schema import METADATA


@pytest.fixture(params=["sqlite", "postgresql"])
def migrated(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    postgresql = request.param == "postgresql"
    database = Database(request.getfixturevalue("new_database")() if postgresql else f"sqlite:///{tmp_path}/records.db")
    with database.write() as connection:
        migrating.migrate(connection)
    yield database
    database.close()


def test_the_migrations_make_the_schema(migrated: Any) -> None:
    with migrated.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []


def test_migrating_again_changes_nothing(migrated: Any) -> None:
    with migrated.write() as connection:
        migrating.migrate(connection)
        assert MigrationContext.configure(connection).get_current_revision() == migrating.head()


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_migration_that_fails_leaves_nothing_behind(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    postgresql = kind == "postgresql"
    database = Database(request.getfixturevalue("new_database")() if postgresql else f"sqlite:///{tmp_path}/records.db")
    upgrade = command.upgrade

    def fail(*given: Any) -> None:
        upgrade(*given)
        raise SchemaError("half way")

    monkeypatch.setattr(command, "upgrade", fail)
    with pytest.raises(SchemaError), database.write() as connection:
        migrating.migrate(connection)
    with database.read() as connection:
        assert inspect(connection).get_table_names() == []
    database.close()


def test_there_is_no_way_back_before_the_first_schema(migrated: Any) -> None:
    config = migrating._config()
    with migrated.write() as connection:
        config.attributes["connection"] = connection
        with pytest.raises(SchemaError):
            command.downgrade(config, "base")


def test_every_column_is_declared_and_every_declaration_is_a_column(migrated: Any) -> None:
    with migrated.read() as connection:
        inspector = inspect(connection)
        columns = {
            f"{table}.{column['name']}"
            for table in inspector.get_table_names()
            for column in inspector.get_columns(table)
        }
    assert columns == set(inventory.COLUMNS)


def test_every_declaration_says_why_and_how_long() -> None:
    places = [*inventory.COLUMNS.values(), *inventory.OBJECTS.values(), *inventory.CACHES.values()]
    assert all(place.purpose and place.retention for place in places)


def test_only_sealed_columns_hold_content_or_keys() -> None:
    content = {name for name, place in inventory.COLUMNS.items() if place.holds is inventory.Holds.CONTENT}
    assert content == {"records.sealed"}


def test_every_object_is_named_as_the_inventory_says(rig: Any) -> None:
    library = rig.open()
    rig.keep(library, "ann", "1")
    library.copy_tree()
    (name,) = library.context.objects.list()
    assert len(name.split("/")) == 4
    kinds = {(name.split("/")[0], name.count("/")) for name in library.context.copies[0].list()}
    assert kinds == {("nodes", 2), ("roots", 1)}


@pytest.mark.parametrize("migrated", ["sqlite"], indirect=True)
def test_what_deletes_leaves_no_trace_and_what_commits_is_on_disk(migrated: Any) -> None:
    with migrated.read() as connection:
        settings = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "secure_delete", "synchronous")
        }
    assert settings == {"journal_mode": "wal", "secure_delete": 1, "synchronous": 2}


def test_a_database_of_the_first_schema_is_taken_on_with_everything_in_it(rig: Any) -> None:
    library = rig.open()
    ann = rig.keep(library, "ann", "1")
    with library.context.database.write() as connection:
        for table in ("copy_attempts", "key_witnesses", "restrictions", "retention_runs", "retention_exceptions"):
            connection.execute(text(f"DROP TABLE {table}"))
        connection.execute(text("ALTER TABLE tree_root DROP COLUMN key_since"))
        connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    library.context.database.close()
    again = rig.open("two")
    assert again.read(ann, "img_1", Purpose.DELIVER).content == b"image of ann" * 50
    bob = rig.keep(again, "bob", "2")
    rig.erase(again, "req", ann)
    assert again.entries(ann, Purpose.ACCESS) == ()
    assert again.read(bob, "gen_2", Purpose.DELIVER).content
