"""What has one cause is one incident with members; which incident followed from which is kept."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from monitor.database.tables.columns import Id, Instant

revision = "0014"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("incident", sa.Column("part_of", sa.String()))
    op.add_column("incident", sa.Column("joined_at", Instant))
    op.add_column("incident", sa.Column("member_count", sa.Integer()))
    op.create_index("ix_incident_part_of", "incident", ["part_of"])
    op.create_table(
        "incident_link",
        sa.Column("id", Id, primary_key=True),
        sa.Column("cause_id", sa.String(), nullable=False),
        sa.Column("effect_id", sa.String(), nullable=False),
        sa.Column("at", Instant, nullable=False),
        sa.Column("why", sa.String(), nullable=False),
        sa.Column("evidence", sa.JSON(), nullable=False),
        sa.UniqueConstraint("cause_id", "effect_id"),
    )
    op.create_index("ix_incident_link_effect_id", "incident_link", ["effect_id"])
