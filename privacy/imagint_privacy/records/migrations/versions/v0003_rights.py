"""Restrictions and objections, and runs of retention with their exceptions."""

import sqlalchemy as sa
from alembic import op

from imagint_privacy.errors import SchemaError

revision = "0003_rights"
down_revision = "0002_root_uses"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    _restrictions()
    _retention_runs()
    _retention_exceptions()


def downgrade() -> None:
    """Refuse: a program that knows no restriction would use what may only be stored.

    Raises:
        SchemaError: always.
    """
    raise SchemaError("restrictions cannot be forgotten")


def _restrictions() -> None:
    op.create_table(
        "restrictions",
        sa.Column("request", sa.String(length=64), nullable=False),
        sa.Column("category", sa.String(length=32), nullable=False),
        sa.Column("subject", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("purposes", sa.Text(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lifted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lifted_by", sa.String(length=64), nullable=True),
        sa.PrimaryKeyConstraint("request", "category", name=op.f("pk_restrictions")),
    )
    op.create_index(op.f("ix_restrictions_subject"), "restrictions", ["subject"], unique=False)


def _retention_runs() -> None:
    op.create_table(
        "retention_runs",
        sa.Column("request", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("rules", sa.Text(), nullable=False),
        sa.Column("rules_digest", sa.String(length=64), nullable=False),
        sa.Column("begun_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("counts", sa.Text(), nullable=False),
        sa.Column("walked", sa.LargeBinary(length=32), nullable=True),
        sa.Column("slices", sa.Integer(), nullable=False),
        sa.Column("forgotten", sa.Text(), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=True),
        sa.Column("key_version", sa.Integer(), nullable=True),
        sa.Column("forgotten_paths", sa.BigInteger(), nullable=False),
        sa.Column("committed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("results", sa.Text(), nullable=False),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("request", name=op.f("pk_retention_runs")),
    )


def _retention_exceptions() -> None:
    op.create_table(
        "retention_exceptions",
        sa.Column("request", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.String(length=40), nullable=False),
        sa.PrimaryKeyConstraint("request", "subject", name=op.f("pk_retention_exceptions")),
    )
    op.create_index(op.f("ix_retention_exceptions_subject"), "retention_exceptions", ["subject"], unique=False)
