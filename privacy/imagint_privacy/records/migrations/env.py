"""Alembic's entry: run the steps on the connection that `migrating` hands over, inside its transaction."""

from alembic import context

from imagint_privacy.records.schema import METADATA

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=METADATA, transaction_per_migration=False)
context.run_migrations()
