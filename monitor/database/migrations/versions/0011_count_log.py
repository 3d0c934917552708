"""What each batch added to the counts, for whoever keeps sums of them in memory."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from monitor.database.tables.columns import Id

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "counted",
        sa.Column("batch_id", Id, primary_key=True, autoincrement=False),
        sa.Column("counts", sa.LargeBinary(), nullable=False),
    )
