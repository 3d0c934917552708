"""Notifications that more is wrong are `worsened`, as their title has it; they were `grown`."""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("UPDATE outbox SET event = 'worsened' WHERE event = 'grown'")
