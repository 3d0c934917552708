"""Warm-ups, their days, and what senders reserve of a day's allowance."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from monitor.database.tables.columns import Instant

revision = "0017"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "warm_up",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("ip", sa.String()),
        sa.Column("domain", sa.String()),
        sa.Column("provider", sa.String(), nullable=False),
        sa.Column("open_key", sa.String(), nullable=False, unique=True),
        sa.Column("plan", sa.String(), nullable=False),
        sa.Column("per_day", sa.JSON(), nullable=False),
        sa.Column("zone", sa.String(), nullable=False),
        sa.Column("overflow", sa.String()),
        sa.Column("standing", sa.String(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("day", sa.String(), nullable=False),
        sa.Column("returned", sa.Integer(), nullable=False),
        sa.Column("recorded", sa.Integer(), nullable=False),
        sa.Column("judged_day", sa.String(), nullable=False),
        sa.Column("sent_day", sa.String(), nullable=False),
        sa.Column("used_up_day", sa.String()),
        sa.Column("evidence_since", Instant, nullable=False),
        sa.Column("stuck_days", sa.Integer(), nullable=False),
        sa.Column("waiting_days", sa.Integer(), nullable=False),
        sa.Column("needs", sa.String()),
        sa.Column("needs_at", Instant),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("started_at", Instant, nullable=False),
        sa.Column("stopped_at", Instant),
        sa.Column("changed_at", Instant, nullable=False),
        sa.Column("changes", sa.Integer(), nullable=False),
    )
    op.create_index("ix_warm_up_changed_at", "warm_up", ["changed_at"])
    op.create_table(
        "warm_up_day",
        sa.Column("warm_up", sa.String(), primary_key=True),
        sa.Column("day", sa.String(), primary_key=True),
        sa.Column("standing", sa.String(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("cap", sa.Integer()),
        sa.Column("returned", sa.Integer(), nullable=False),
        sa.Column("recorded", sa.Integer(), nullable=False),
        sa.Column("delivered", sa.Integer()),
        sa.Column("was", sa.String(), nullable=False),
        sa.Column("move", sa.String(), nullable=False),
        sa.Column("why", sa.String(), nullable=False),
        sa.Column("figures", sa.JSON(), nullable=False),
        sa.Column("judged_at", Instant, nullable=False),
    )
    op.create_table(
        "allowance_grant",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("customer", sa.String(), nullable=False),
        sa.Column("sender", sa.String(), nullable=False),
        sa.Column("granted", sa.Integer(), nullable=False),
        sa.Column("granted_at", Instant, nullable=False),
        sa.Column("expires_at", Instant, nullable=False),
        sa.Column("used", sa.Integer()),
        sa.Column("answer", sa.JSON(), nullable=False),
    )
    op.create_index("ix_allowance_grant_expires_at", "allowance_grant", ["expires_at"])
    op.create_table(
        "allowance_part",
        sa.Column("grant_id", sa.String(), primary_key=True),
        sa.Column("warm_up", sa.String(), primary_key=True),
        sa.Column("day", sa.String(), nullable=False),
        sa.Column("granted", sa.Integer(), nullable=False),
        sa.Column("expires_at", Instant, nullable=False),
        sa.Column("used", sa.Integer()),
    )
    unused = sa.text("used IS NULL")
    op.create_index(
        "allowance_part_open", "allowance_part", ["warm_up", "expires_at"], sqlite_where=unused, postgresql_where=unused
    )
    op.create_index("allowance_part_day", "allowance_part", ["warm_up", "day"])
    op.create_table(
        "allowance_answer",
        sa.Column("key", sa.String(), primary_key=True),
        sa.Column("body", sa.String(), nullable=False),
        sa.Column("answer", sa.JSON(), nullable=False),
        sa.Column("at", Instant, nullable=False),
    )
    op.create_index("ix_allowance_answer_at", "allowance_answer", ["at"])
