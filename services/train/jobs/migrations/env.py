"""Runs migrations in the transaction that the job table has opened for them."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
context.run_migrations()
