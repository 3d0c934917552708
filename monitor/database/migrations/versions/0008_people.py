"""How people hear of incidents: silences by patterns and hours, messages for groups and in threads, acknowledgements that end."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from monitor.database.tables.columns import Instant

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("silence") as silence:
        silence.add_column(sa.Column("patterns", sa.JSON(), server_default="[]", nullable=False))
        silence.add_column(sa.Column("schedule", sa.JSON(), nullable=True))
    with op.batch_alter_table("outbox") as outbox:
        outbox.add_column(sa.Column("group_key", sa.String(), server_default="", nullable=False))
        outbox.add_column(sa.Column("message_key", sa.String(), nullable=True))
        outbox.add_column(sa.Column("details", sa.JSON(), server_default="{}", nullable=False))
        outbox.add_column(sa.Column("thread", sa.JSON(), nullable=True))
    op.add_column("incident", sa.Column("ack_until", Instant(), nullable=True))
    with op.batch_alter_table("silence") as silence:  # the defaults were for the rows that were there
        silence.alter_column("patterns", existing_type=sa.JSON(), server_default=None)
    with op.batch_alter_table("outbox") as outbox:
        outbox.alter_column("group_key", existing_type=sa.String(), server_default=None)
        outbox.alter_column("details", existing_type=sa.JSON(), server_default=None)
    op.create_index("outbox_group", "outbox", ["receiver", "group_key"])
    op.create_index("ix_outbox_message_key", "outbox", ["message_key"])
