"""A mailbox may be read with an access token (SASL XOAUTH2) instead of a password."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("report_mailbox") as mailbox:
        mailbox.alter_column("secret", existing_type=sa.String(), nullable=True)
        mailbox.add_column(sa.Column("auth", sa.String(), server_default="password", nullable=False))
        mailbox.add_column(sa.Column("token_command", sa.JSON(), server_default="[]", nullable=False))
        for name in ("token_url", "client_id", "client_secret", "refresh_token", "scope"):
            mailbox.add_column(sa.Column(name, sa.String()))
    with op.batch_alter_table("report_mailbox") as mailbox:  # the defaults were for the rows that were there
        mailbox.alter_column("auth", existing_type=sa.String(), server_default=None)
        mailbox.alter_column("token_command", existing_type=sa.JSON(), server_default=None)
