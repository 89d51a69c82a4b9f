"""Witnesses of destroyed key versions, to notice that Vault brings one back; and the copies that are being written."""

import sqlalchemy as sa
from alembic import op

revision = "0005_revoked"
down_revision = "0003_rights"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make both tables."""
    op.create_table(
        "key_witnesses",
        sa.Column("key_version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("wrapped", sa.Text(), nullable=False),
        sa.Column("armed", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("key_version", name=op.f("pk_key_witnesses")),
    )
    op.create_table(
        "copy_attempts",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("store", sa.String(length=255), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_copy_attempts")),
    )


def downgrade() -> None:
    """Drop both tables."""
    op.drop_table("copy_attempts")
    op.drop_table("key_witnesses")
