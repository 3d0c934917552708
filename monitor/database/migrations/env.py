"""How Alembic reaches the database: over the connection monitor.database.schema hands it, in its transaction."""

from __future__ import annotations

from alembic import context
from sqlmodel import SQLModel

from monitor.database.schema import compared

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=SQLModel.metadata,
    include_object=compared(connection.dialect.name),
)
with context.begin_transaction():
    context.run_migrations()
