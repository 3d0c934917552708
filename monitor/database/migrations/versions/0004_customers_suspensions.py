"""A suspension says which customer's key put it on: that customer may lift it, and nothing the provider holds."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("suspension", sa.Column("by_customer", sa.String()))
