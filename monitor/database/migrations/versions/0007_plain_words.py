"""Columns say when something was checked, notified and counted until; the actor `abuse-cases` was `abuse-desk`.

Why a listing ended stood among what its list answered; it is a column of its own.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_RENAMED = (
    ("incident", "told_at", "notified_at"),
    ("incident", "told_members", "notified_members"),
    ("incident", "counted_to", "counted_until"),
    ("listing", "asked_at", "checked_at"),
    ("latest", "asked_at", "checked_at"),
)
_ENDED = {
    "sqlite": "UPDATE listing SET ended_reason = json_extract(detail, '$.ended') WHERE phase = 'cleared'",
    "postgresql": "UPDATE listing SET ended_reason = detail ->> 'ended' WHERE phase = 'cleared'",
}


def upgrade() -> None:
    op.add_column("listing", sa.Column("ended_reason", sa.String()))
    op.execute(_ENDED[op.get_bind().dialect.name])
    for table, old, new in _RENAMED:
        op.execute(f"ALTER TABLE {table} RENAME COLUMN {old} TO {new}")
    op.execute("UPDATE cursor SET collector = 'abuse-cases' WHERE collector = 'abuse-desk'")
    op.execute("UPDATE transition SET actor = 'abuse-cases' WHERE actor = 'abuse-desk'")
