"""How held mail comes back, what would have been held in shadow, and who lifted a suspension of its own customer."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from monitor.database.tables.columns import Instant

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("suspension", sa.Column("connections", sa.Integer()))
    op.add_column("suspension", sa.Column("lifted_by_customer", sa.String()))
    op.create_table(
        "recovery",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("rule", sa.String(), nullable=False),
        sa.Column("ladder", sa.String(), nullable=False),
        sa.Column("scope", sa.JSON(), nullable=False),
        sa.Column("scope_key", sa.String(), nullable=False),
        sa.Column("group_key", sa.String(), nullable=False),
        sa.Column("incident_id", sa.String(), nullable=False),
        sa.Column("suspension_id", sa.String(), nullable=False),
        sa.Column("stage", sa.String(), nullable=False),
        sa.Column("since", Instant, nullable=False),
        sa.Column("began_at", Instant, nullable=False),
        sa.Column("ended_at", Instant),
        sa.Column("first_hold_seconds", sa.Integer(), nullable=False),
        sa.Column("usual_per_hour", sa.Integer()),
        sa.Column("good_per_hour", sa.Integer()),
        sa.Column("rate_per_hour", sa.Integer()),
        sa.Column("connections", sa.Integer()),
        sa.Column("relapses", sa.Integer(), nullable=False),
        sa.Column("called_at", Instant),
        sa.Column("overridden_until", Instant),
        sa.Column("overridden_by", sa.String()),
        sa.Column("override_reason", sa.String()),
    )
    op.create_index("ix_recovery_ended_at", "recovery", ["ended_at"])
    op.create_index("ix_recovery_scope_key", "recovery", ["scope_key"])
    op.create_table(
        "shadow_suspension",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("rule", sa.String(), nullable=False),
        sa.Column("group_key", sa.String(), nullable=False),
        sa.Column("member", sa.String(), nullable=False),
        sa.Column("scope", sa.JSON(), nullable=False),
        sa.Column("effect", sa.String(), nullable=False),
        sa.Column("rate_per_hour", sa.Integer()),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("why_not", sa.String(), nullable=False),
        sa.Column("since", Instant, nullable=False),
        sa.Column("until", Instant),
        sa.Column("ended_at", Instant),
    )
    op.create_index("ix_shadow_suspension_ended_at", "shadow_suspension", ["ended_at"])
