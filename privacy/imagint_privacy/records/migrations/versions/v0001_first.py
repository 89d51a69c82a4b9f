"""The first schema: key tree, records, objects, erasures, copies, replicas."""

import sqlalchemy as sa
from alembic import op

from imagint_privacy.errors import SchemaError

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make every table."""
    _copies()
    _erasures()
    _fences()
    _incarnations()
    _library()
    _objects()
    _records()
    _replicas()
    _tree_dead()
    _tree_nodes()
    _tree_root()


def downgrade() -> None:
    """Refuse: dropping the first tables would drop the keys of everything that is kept.

    Raises:
        SchemaError: always.
    """
    raise SchemaError("there is no schema before the first")


def _copies() -> None:
    op.create_table(
        "copies",
        sa.Column("store", sa.String(length=255), nullable=False),
        sa.Column("attempted", sa.BigInteger(), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("root_digest", sa.LargeBinary(length=32), nullable=True),
        sa.Column("verified_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("store", name=op.f("pk_copies")),
    )


def _erasures() -> None:
    op.create_table(
        "erasures",
        sa.Column("request", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.String(length=40), nullable=False),
        sa.Column("categories", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("fenced_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("incarnation", sa.Integer(), nullable=False),
        sa.Column("held", sa.Text(), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=True),
        sa.Column("key_version", sa.Integer(), nullable=True),
        sa.Column("forgotten_paths", sa.Integer(), nullable=False),
        sa.Column("committed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("results", sa.Text(), nullable=False),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("request", name=op.f("pk_erasures")),
    )
    op.create_index(op.f("ix_erasures_subject"), "erasures", ["subject"], unique=False)


def _fences() -> None:
    op.create_table(
        "fences",
        sa.Column("request", sa.String(length=64), nullable=False),
        sa.Column("category", sa.String(length=32), nullable=False),
        sa.Column("subject", sa.String(length=40), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("request", "category", name=op.f("pk_fences")),
    )
    op.create_index(op.f("ix_fences_subject"), "fences", ["subject"], unique=False)


def _incarnations() -> None:
    op.create_table(
        "incarnations",
        sa.Column("subject", sa.String(length=40), nullable=False),
        sa.Column("category", sa.String(length=32), nullable=False),
        sa.Column("incarnation", sa.Integer(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("subject", "category", name=op.f("pk_incarnations")),
    )


def _library() -> None:
    op.create_table(
        "library",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_library")),
    )


def _objects() -> None:
    op.create_table(
        "objects",
        sa.Column("record_id", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.String(length=40), nullable=False),
        sa.Column("category", sa.String(length=32), nullable=False),
        sa.Column("incarnation", sa.Integer(), nullable=False),
        sa.Column("location", sa.String(length=255), nullable=False),
        sa.Column("stored", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("record_id", name=op.f("pk_objects")),
    )
    op.create_index(op.f("ix_objects_subject_category"), "objects", ["subject", "category"], unique=False)


def _records() -> None:
    op.create_table(
        "records",
        sa.Column("record_id", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.String(length=40), nullable=False),
        sa.Column("category", sa.String(length=32), nullable=False),
        sa.Column("period", sa.String(length=8), nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("incarnation", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("large", sa.Boolean(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("record_id", name=op.f("pk_records")),
    )
    op.create_index(op.f("ix_records_subject_category"), "records", ["subject", "category"], unique=False)


def _replicas() -> None:
    op.create_table(
        "replicas",
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_replicas")),
    )


def _tree_dead() -> None:
    op.create_table(
        "tree_dead",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("died", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_tree_dead")),
    )


def _tree_nodes() -> None:
    op.create_table(
        "tree_nodes",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("born", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_tree_nodes")),
    )
    op.create_index(op.f("ix_tree_nodes_born"), "tree_nodes", ["born"], unique=False)


def _tree_root() -> None:
    op.create_table(
        "tree_root",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("key_version", sa.Integer(), nullable=False),
        sa.Column("wrapped", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tree_root")),
    )
