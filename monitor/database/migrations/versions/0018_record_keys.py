"""The keys of delivery records that were counted."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from monitor.database.tables.columns import Id, Instant

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "record_key",
        sa.Column("key", Id, primary_key=True, autoincrement=False),
        sa.Column("known_at", Instant(), nullable=False),
    )
    op.create_index("ix_record_key_known_at", "record_key", ["known_at"])
