"""How Alembic reaches the database: over the connection monitor.database.schema hands it, in its transaction."""

from __future__ import annotations

from typing import Any

from alembic import context
from sqlmodel import SQLModel

from monitor.database.partitions import is_month


def _ours(_object: Any, name: str | None, kind: str, _reflected: bool, _other: Any) -> bool:
    return not (kind == "table" and is_month(name))


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=SQLModel.metadata,
    include_object=_ours,
)
with context.begin_transaction():
    context.run_migrations()
