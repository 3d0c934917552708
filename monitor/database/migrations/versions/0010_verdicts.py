"""Verdicts are stored per rule and group, with the timer of their state; incidents held the timers before."""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

from monitor.database.tables.columns import Instant

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_OPEN = sa.text(
    "SELECT rule, subject_key, subject, state, severity, summary, started_at, judged_at, elapsed_seconds, counted_until,"
    " unknown_reason FROM incident WHERE ended_at IS NULL"
)


def upgrade() -> None:
    verdict = op.create_table(
        "verdict",
        sa.Column("rule", sa.String(), primary_key=True),
        sa.Column("key", sa.String(), primary_key=True),
        sa.Column("subject", sa.JSON(), nullable=False),
        sa.Column("labels", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("answer", sa.String(), nullable=False),
        sa.Column("reason", sa.String()),
        sa.Column("severity", sa.String(), nullable=False),
        sa.Column("summary", sa.String(), nullable=False),
        sa.Column("evidence", sa.JSON(), nullable=False),
        sa.Column("since", Instant, nullable=False),
        sa.Column("elapsed_seconds", sa.Float(), nullable=False),
        sa.Column("counted_until", Instant),
        sa.Column("heard_at", Instant),
        sa.Column("judged_at", Instant, nullable=False),
    )
    op.create_table(
        "judged_rule",
        sa.Column("rule", sa.String(), primary_key=True),
        sa.Column("condition", sa.String(), nullable=False),
        sa.Column("signal", sa.String(), nullable=False),
        sa.Column("mode", sa.String(), nullable=False),
        sa.Column("severity", sa.String(), nullable=False),
        sa.Column("judged_at", Instant, nullable=False),
        sa.Column("gaps", sa.JSON(), nullable=False),
        sa.Column("error", sa.String()),
    )
    rows = op.get_bind().execute(_OPEN.columns(
        started_at=Instant, judged_at=Instant, counted_until=Instant
    )).mappings()
    kept = [
        {
            "rule": row["rule"], "key": row["subject_key"], "subject": _json(row["subject"]), "labels": {},
            "state": row["state"], "answer": "unknown" if row["unknown_reason"] else "between",
            "reason": row["unknown_reason"], "severity": row["severity"], "summary": row["summary"], "evidence": {},
            "since": row["started_at"], "elapsed_seconds": row["elapsed_seconds"], "counted_until": row["counted_until"],
            "heard_at": row["judged_at"], "judged_at": row["judged_at"],
        }
        for row in rows
    ]  # fmt: skip
    if kept:
        op.bulk_insert(verdict, kept)
    op.execute("ALTER TABLE incident DROP COLUMN elapsed_seconds")
    op.execute("ALTER TABLE incident DROP COLUMN counted_until")


def _json(value: object) -> object:
    return json.loads(value) if isinstance(value, str) else value
