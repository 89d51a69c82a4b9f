"""Since which generation the root key is in use, so that its uses can be counted."""

import sqlalchemy as sa
from alembic import op

from imagint_privacy.errors import SchemaError

revision = "0002_root_uses"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the generation; a tree from before counts from its beginning, so its key is replaced rather too early."""
    op.add_column("tree_root", sa.Column("key_since", sa.BigInteger(), nullable=False, server_default="0"))


def downgrade() -> None:
    """Refuse: a program from before would seal under a root key without counting.

    Raises:
        SchemaError: always.
    """
    raise SchemaError("there is no way back before the uses of a root key were counted")
