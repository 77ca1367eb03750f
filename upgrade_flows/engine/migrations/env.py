"""Where Alembic enters: the connection comes from ``run.upgrade``."""

from __future__ import annotations

from alembic import context

from upgrade_flows.engine import schema

context.configure(
    connection=context.config.attributes["connection"], target_metadata=schema.metadata
)
with context.begin_transaction():
    context.run_migrations()
