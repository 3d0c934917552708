"""Everything Vigie keeps, as it was at first."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from monitor.database.tables import Instant

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _inventory()
    _facts()
    _what_came_with_them()
    _work()
    _judgement()
    _telling()


def _inventory() -> None:
    op.create_table(
        "customer",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("id_headers", sa.JSON(), nullable=False),
    )
    op.create_table(
        "stream",
        sa.Column("customer", sa.String(), sa.ForeignKey("customer.id"), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("customer", "name"),
    )
    op.create_table(
        "pool",
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("customer", sa.String(), sa.ForeignKey("customer.id")),
    )
    op.create_table(
        "sending_ip",
        sa.Column("address", sa.String(), primary_key=True),
        sa.Column("pool", sa.String(), sa.ForeignKey("pool.name")),
        sa.Column("customer", sa.String(), sa.ForeignKey("customer.id")),
        sa.Column("role", sa.String(), nullable=False),
    )
    op.create_table(
        "sending_domain",
        sa.Column("domain", sa.String(), primary_key=True),
        sa.Column("customer", sa.String(), sa.ForeignKey("customer.id")),
        sa.Column("stream", sa.String()),
    )
    op.create_table(
        "mailbox_provider",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("domains", sa.JSON(), nullable=False),
        sa.Column("mx", sa.JSON(), nullable=False),
    )
    op.create_table(
        "seed",
        sa.Column("address", sa.String(), primary_key=True),
        sa.Column("provider", sa.String(), nullable=False),
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("port", sa.Integer(), nullable=False),
        sa.Column("tls", sa.String(), nullable=False),
        sa.Column("username", sa.String()),
        sa.Column("secret", sa.String(), nullable=False),
    )
    op.create_table(
        "report_mailbox",
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("purpose", sa.String(), nullable=False),
        sa.Column("provider", sa.String()),
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("port", sa.Integer(), nullable=False),
        sa.Column("tls", sa.String(), nullable=False),
        sa.Column("username", sa.String(), nullable=False),
        sa.Column("secret", sa.String(), nullable=False),
        sa.Column("folder", sa.String(), nullable=False),
        sa.Column("done_folder", sa.String()),
        sa.Column("parked_folder", sa.String()),
    )


def _facts() -> None:
    op.create_table(
        "batch",
        sa.Column("id", ID, autoincrement=True, primary_key=True),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("known_at", Instant(), nullable=False, index=True),
        sa.Column("observations", sa.Integer(), nullable=False),
        sa.Column("traces", sa.Integer(), nullable=False),
        sa.Column("parked", sa.Integer(), nullable=False),
        sa.UniqueConstraint("source", "key"),
    )
    op.create_table(
        "series",
        sa.Column("id", ID, autoincrement=True, primary_key=True),
        sa.Column("measure", sa.String(), nullable=False, index=True),
        sa.Column("key", sa.String(), nullable=False, unique=True),
        sa.Column("customer", sa.String(), index=True),
        sa.Column("stream", sa.String()),
        sa.Column("campaign", sa.String()),
        sa.Column("ip", sa.String()),
        sa.Column("domain", sa.String()),
        sa.Column("provider", sa.String()),
        sa.Column("dnsbl", sa.String()),
        sa.Column("collector", sa.String()),
    )
    op.create_table(
        "reading",
        sa.Column("series_id", ID, autoincrement=False, nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("batch_id", ID, autoincrement=False, nullable=False),
        sa.Column("known_at", Instant(), nullable=False),
        sa.Column("value", sa.Double()),
        sa.Column("reason", sa.String()),
        sa.PrimaryKeyConstraint("series_id", "at", "batch_id"),
        postgresql_partition_by="RANGE (at)",
        sqlite_with_rowid=False,
    )
    op.create_table(
        "latest",
        sa.Column("series_id", ID, sa.ForeignKey("series.id"), autoincrement=False, primary_key=True),
        sa.Column("asked_at", Instant(), nullable=False),
        sa.Column("at", Instant()),
        sa.Column("since", Instant()),
        sa.Column("value", sa.Double()),
        sa.Column("reason", sa.String()),
        sa.Column("unknown_since", Instant()),
        sa.Column("detail", sa.JSON(), nullable=False),
        postgresql_with={"fillfactor": "50"},
    )
    op.create_table(
        "reading_hourly",
        sa.Column("series_id", ID, nullable=False),
        sa.Column("start", Instant(), nullable=False),
        sa.Column("readings", sa.Integer(), nullable=False),
        sa.Column("unknowns", sa.Integer(), nullable=False),
        sa.Column("total", sa.Double()),
        sa.Column("lowest", sa.Double()),
        sa.Column("highest", sa.Double()),
        sa.Column("last", sa.Double()),
        sa.PrimaryKeyConstraint("series_id", "start"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "reading_daily",
        sa.Column("series_id", ID, nullable=False),
        sa.Column("start", Instant(), nullable=False),
        sa.Column("readings", sa.Integer(), nullable=False),
        sa.Column("unknowns", sa.Integer(), nullable=False),
        sa.Column("total", sa.Double()),
        sa.Column("lowest", sa.Double()),
        sa.Column("highest", sa.Double()),
        sa.Column("last", sa.Double()),
        sa.PrimaryKeyConstraint("series_id", "start"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "rollup_due",
        sa.Column("start", Instant(), nullable=False),
        sa.Column("series_id", ID, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("start", "series_id"),
        sqlite_with_rowid=False,
    )


def _what_came_with_them() -> None:
    op.create_table(
        "trace",
        sa.Column("id", ID, autoincrement=True, primary_key=True),
        sa.Column("batch_id", ID, nullable=False),
        sa.Column("at", Instant(), nullable=False, index=True),
        sa.Column("known_at", Instant(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("customer", sa.String()),
        sa.Column("stream", sa.String()),
        sa.Column("campaign", sa.String()),
        sa.Column("ip", sa.String()),
        sa.Column("domain", sa.String()),
        sa.Column("provider", sa.String()),
        sa.Column("recipient_hash", sa.String()),
        sa.Column("recipient_ref", sa.String()),
        sa.Column("message_id", sa.String()),
        sa.Column("category", sa.String()),
        sa.Column("status", sa.String()),
        sa.Column("reply_code", sa.String()),
        sa.Column("text", sa.String()),
        sa.Column("how", sa.String()),
        sa.Column("count", sa.Integer(), nullable=False),
    )
    op.create_index("trace_message", "trace", ["message_id"])
    op.create_index("trace_recipient", "trace", ["recipient_hash", "at"])
    op.create_table(
        "suppression",
        sa.Column("id", ID, autoincrement=True, primary_key=True),
        sa.Column("customer", sa.String(), nullable=False),
        sa.Column("recipient_ref", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("stream", sa.String(), nullable=False),
        sa.Column("since", Instant(), nullable=False),
        sa.Column("known_at", Instant(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("how", sa.String()),
        sa.Column("text", sa.String()),
        sa.Column("batch_id", ID),
        sa.Column("lifted_at", Instant()),
        sa.Column("lifted_by", sa.String()),
        sa.Column("lift_reason", sa.String()),
    )
    op.create_index("suppression_recipient", "suppression", ["customer", "recipient_ref"])
    op.create_index(
        "suppression_in_force",
        "suppression",
        ["customer", "recipient_ref", "reason", "stream"],
        unique=True,
        sqlite_where=sa.text("lifted_at IS NULL"),
        postgresql_where=sa.text("lifted_at IS NULL"),
    )
    op.create_table(
        "evidence",
        sa.Column("id", ID, autoincrement=True, primary_key=True),
        sa.Column("batch_id", ID, nullable=False, index=True),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", Instant(), nullable=False, index=True),
    )
    op.create_table(
        "parked",
        sa.Column("id", ID, autoincrement=True, primary_key=True),
        sa.Column("batch_id", ID, nullable=False),
        sa.Column("collector", sa.String(), nullable=False),
        sa.Column("place", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("at", Instant(), nullable=False, index=True),
        sa.Column("settled_at", Instant()),
        sa.Column("settled_by", sa.String()),
        sa.Column("settled_why", sa.String()),
    )
    op.create_table(
        "cursor",
        sa.Column("collector", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("value", sa.JSON(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("collector", "name"),
    )


def _work() -> None:
    op.create_table(
        "run",
        sa.Column("id", ID, autoincrement=True, primary_key=True),
        sa.Column("collector", sa.String(), nullable=False),
        sa.Column("started_at", Instant(), nullable=False, index=True),
        sa.Column("ended_at", Instant()),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("reason", sa.String()),
        sa.Column("text", sa.String()),
        sa.Column("batches", sa.Integer(), nullable=False),
        sa.Column("repeats", sa.Integer(), nullable=False),
        sa.Column("observations", sa.Integer(), nullable=False),
        sa.Column("unknowns", sa.Integer(), nullable=False),
        sa.Column("traces", sa.Integer(), nullable=False),
        sa.Column("parked", sa.Integer(), nullable=False),
    )
    op.create_index("run_newest", "run", ["collector", "outcome", "id"])
    op.create_table(
        "job",
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("next_run", Instant(), nullable=False),
        sa.Column("last_run", Instant()),
        sa.Column("lease_owner", sa.String()),
        sa.Column("lease_until", Instant()),
        sa.Column("fence", sa.Integer(), nullable=False),
    )
    op.create_table(
        "setting",
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("value", sa.String(), nullable=False),
    )
    op.create_table(
        "api_key",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False, unique=True),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("customer", sa.String()),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("revoked_at", Instant()),
    )


def _judgement() -> None:
    op.create_table(
        "listing",
        sa.Column("id", ID, autoincrement=True, primary_key=True),
        sa.Column("target", sa.String(), nullable=False),
        sa.Column("dnsbl", sa.String(), nullable=False, index=True),
        sa.Column("phase", sa.String(), nullable=False),
        sa.Column("baseline", sa.Boolean(), nullable=False),
        sa.Column("codes", sa.JSON(), nullable=False),
        sa.Column("hits", sa.Integer(), nullable=False),
        sa.Column("clean_answers", sa.Integer(), nullable=False),
        sa.Column("next_counts_at", Instant()),
        sa.Column("first_seen_at", Instant(), nullable=False),
        sa.Column("last_seen_at", Instant(), nullable=False),
        sa.Column("confirmed_at", Instant()),
        sa.Column("cleared_at", Instant(), index=True),
        sa.Column("asked_at", Instant(), nullable=False),
        sa.Column("unknown_reason", sa.String()),
        sa.Column("unknown_since", Instant()),
        sa.Column("detail", sa.JSON(), nullable=False),
    )
    op.create_index(
        "listing_open",
        "listing",
        ["target", "dnsbl"],
        unique=True,
        sqlite_where=sa.text("phase <> 'cleared'"),
        postgresql_where=sa.text("phase <> 'cleared'"),
    )
    op.create_index("listing_target", "listing", ["target", "dnsbl"])
    op.create_table(
        "incident",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("rule", sa.String(), nullable=False, index=True),
        sa.Column("subject_key", sa.String(), nullable=False),
        sa.Column("open_key", sa.String(), nullable=False),
        sa.Column("subject", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(), nullable=False, index=True),
        sa.Column("severity", sa.String(), nullable=False),
        sa.Column("summary", sa.String(), nullable=False),
        sa.Column("evidence", sa.JSON(), nullable=False),
        sa.Column("elapsed_seconds", sa.Float(), nullable=False),
        sa.Column("counted_to", Instant()),
        sa.Column("unknown_reason", sa.String()),
        sa.Column("started_at", Instant(), nullable=False, index=True),
        sa.Column("fired_at", Instant()),
        sa.Column("ended_at", Instant(), index=True),
        sa.Column("judged_at", Instant(), nullable=False),
        sa.Column("told_at", Instant()),
        sa.Column("told_members", sa.JSON(), nullable=False),
        sa.Column("acked_by", sa.String()),
        sa.Column("acked_at", Instant()),
        sa.Column("ack_reason", sa.String()),
        sa.UniqueConstraint("rule", "open_key"),
    )
    op.create_table(
        "suspension",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("scope", sa.JSON(), nullable=False),
        sa.Column("scope_key", sa.String(), nullable=False, index=True),
        sa.Column("effect", sa.String(), nullable=False),
        sa.Column("rate_per_hour", sa.Integer()),
        sa.Column("rule", sa.String()),
        sa.Column("incident_id", sa.String(), index=True),
        sa.Column("member", sa.String()),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("evidence", sa.JSON(), nullable=False),
        sa.Column("since", Instant(), nullable=False),
        sa.Column("until", Instant(), index=True),
        sa.Column("lifts_when", sa.String()),
        sa.Column("lifted_at", Instant(), index=True),
        sa.Column("lifted_by", sa.String()),
        sa.Column("lift_reason", sa.String()),
    )
    op.create_table(
        "fbl_enrolment",
        sa.Column("provider", sa.String(), primary_key=True),
        sa.Column("kind", sa.String(), primary_key=True),
        sa.Column("subject", sa.String(), primary_key=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("contact", sa.String(), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("requested_at", Instant()),
        sa.Column("active_at", Instant()),
        sa.Column("ends_at", Instant()),
        sa.Column("updated_at", Instant(), nullable=False),
    )
    op.create_table(
        "abuse_case",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("customer", sa.String(), index=True),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False, index=True),
        sa.Column("source", sa.String()),
        sa.Column("reporter", sa.String()),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("assignee", sa.String()),
        sa.Column("reports", sa.Integer(), nullable=False),
        sa.Column("batches", sa.JSON(), nullable=False),
        sa.Column("opened_at", Instant(), nullable=False, index=True),
        sa.Column("newest_at", Instant(), nullable=False),
        sa.Column("deadline_at", Instant(), nullable=False),
        sa.Column("closed_at", Instant()),
    )
    op.create_table(
        "transition",
        sa.Column("id", ID, autoincrement=True, primary_key=True),
        sa.Column("at", Instant(), nullable=False, index=True),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("of", sa.String(), nullable=False, index=True),
        sa.Column("old", sa.String(), nullable=False),
        sa.Column("new", sa.String(), nullable=False),
        sa.Column("why", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("rule", sa.String()),
        sa.Column("evidence", sa.JSON(), nullable=False),
    )


def _telling() -> None:
    op.create_table(
        "outbox",
        sa.Column("id", ID, autoincrement=True, primary_key=True),
        sa.Column("key", sa.String(), nullable=False, unique=True),
        sa.Column("incident_id", sa.String(), nullable=False, index=True),
        sa.Column("receiver", sa.String(), nullable=False),
        sa.Column("event", sa.String(), nullable=False),
        sa.Column("severity", sa.String(), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("body", sa.String(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("state", sa.String(), nullable=False, index=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", Instant(), nullable=False),
        sa.Column("lease_owner", sa.String()),
        sa.Column("lease_until", Instant()),
        sa.Column("sent_at", Instant()),
        sa.Column("last_error", sa.String()),
    )
    op.create_table(
        "silence",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("matchers", sa.JSON(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("since", Instant(), nullable=False),
        sa.Column("until", Instant(), nullable=False, index=True),
        sa.Column("ended_at", Instant()),
    )
