"""GDPRbench's metadata beside each record, in clear on both sides, kept in step by triggers of the database itself.

A trigger runs in the record's own transaction: so neither side pays a transaction more than its store needs, and the
share of the layer is not hidden behind one.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Column, Integer, MetaData, String, Table, text

from imagint_privacy.records.database import Database

METADATA: Final = MetaData()
MIX_METADATA: Final = Table(
    "mix_metadata",
    METADATA,
    Column("record_id", String(64), primary_key=True),
    Column("subject", String(40), nullable=False, index=True),
    Column("purpose", String(16), nullable=False, index=True),
    Column("objections", String(64), nullable=False),
    Column("decision", String(16), nullable=False),
    Column("access", String(64), nullable=False),
    Column("shared", String(64), nullable=False),
    Column("source", String(64), nullable=False),
)
DELETIONS: Final = Table(
    "mix_deletions",
    METADATA,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("record_id", String(64), nullable=False, index=True),
    Column("subject", String(40), nullable=False),
)
_BORN: Final = (
    "INSERT INTO mix_metadata VALUES "
    "(NEW.record_id, NEW.subject, NEW.kind, 'none', 'none', 'all', 'nobody', 'subject');"
)
_GONE: Final = (
    "DELETE FROM mix_metadata WHERE record_id = OLD.record_id; "
    "INSERT INTO mix_deletions (record_id, subject) VALUES (OLD.record_id, OLD.subject);"
)


def prepare(database: Database) -> None:
    """Make the two tables and the triggers."""
    METADATA.create_all(database.engine)
    statements: list[str] = []
    for name, event, row, body in (("born", "INSERT", "NEW", _BORN), ("gone", "DELETE", "OLD", _GONE)):
        if database.file is not None:
            statements.append(f"CREATE TRIGGER mix_{name} AFTER {event} ON records BEGIN {body} END")
            continue
        function = (
            f"CREATE FUNCTION mix_{name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} RETURN {row}; END $$"
        )
        trigger = f"CREATE TRIGGER mix_{name} AFTER {event} ON records FOR EACH ROW EXECUTE FUNCTION mix_{name}()"
        statements += [function, trigger]
    with database.write() as connection:
        for statement in statements:
            connection.execute(text(statement))
