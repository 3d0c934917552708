"""The layout that carries the load: partitions on PostgreSQL, compact traces, an index for every search."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from alembic import op
from sqlalchemy import Connection, text

from monitor.database.moving import Move, move_piece, settle

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# Measures whose readings are deltas, as the revision before knew them: nobody reads their `latest`.
_COUNTS = (
    "delivered", "hard_bounce", "soft_bounce", "deferral", "block", "unsubscribe", "complaint", "report",
    "unattributed_report", "unattributed_bounce", "autoreply", "dmarc_pass", "dmarc_fail", "tls_success", "tls_failure",
)  # fmt: skip
_LONGEST_MESSAGE_ID = 598

_TRACE = """\
CREATE TABLE trace (
  id {id} NOT NULL, batch_id {id} NOT NULL, at {at} NOT NULL, known_at {at} NOT NULL, kind VARCHAR NOT NULL,
  customer VARCHAR DEFAULT '' NOT NULL, stream VARCHAR, campaign VARCHAR, ip VARCHAR, domain VARCHAR, provider VARCHAR,
  recipient_hash {bytes}, recipient_ref VARCHAR, message_id VARCHAR, category VARCHAR, status VARCHAR,
  reply_code VARCHAR, text VARCHAR, how VARCHAR, count INTEGER NOT NULL, source VARCHAR NOT NULL, message_hash {bytes}
  {key})"""
_TRACE_INDEXES = (
    "CREATE INDEX trace_recipient ON trace (recipient_hash, at) WHERE recipient_hash IS NOT NULL",
    "CREATE INDEX trace_message ON trace (message_hash) WHERE message_hash IS NOT NULL",
    "CREATE INDEX trace_campaign ON trace (campaign, at) WHERE campaign IS NOT NULL",
    "CREATE INDEX trace_ip ON trace (ip, at) WHERE ip IS NOT NULL",
    "CREATE INDEX trace_followed ON trace (batch_id) WHERE kind IN ('abuse_letter', 'abuse_report')",
)
_KEPT = (
    "id, batch_id, at, known_at, kind, customer, stream, campaign, ip, domain, provider, recipient_hash, recipient_ref,"
    " message_id, category, status, reply_code, text, how, count, source, message_hash"
)
_COPY_TRACES = f"""\
INSERT INTO trace ({_KEPT})
SELECT o.id, o.batch_id, o.at, o.known_at, o.kind, COALESCE(o.customer, ''), o.stream, o.campaign, o.ip, o.domain,
  o.provider, {{recipient}}, o.recipient_ref, o.message_id, o.category, o.status, o.reply_code, o.text, o.how, o.count,
  COALESCE(batch.source, ''), {{message}}
FROM trace_old o LEFT JOIN batch ON batch.id = o.batch_id
WHERE o.id > :after AND o.id <= :upto"""  # noqa: S608 - our own names
_ROLLUP = """\
CREATE TABLE {table} (
  series_id BIGINT NOT NULL, start TIMESTAMP WITH TIME ZONE NOT NULL, readings INTEGER NOT NULL,
  unknowns INTEGER NOT NULL, total DOUBLE PRECISION, lowest DOUBLE PRECISION, highest DOUBLE PRECISION,
  last DOUBLE PRECISION, known_at TIMESTAMP WITH TIME ZONE, PRIMARY KEY (series_id, start)
) PARTITION BY RANGE (start)"""
_COPY_ROLLUPS = """\
INSERT INTO {table} (series_id, start, readings, unknowns, total, lowest, highest, last)
SELECT series_id, start, readings, unknowns, total, lowest, highest, last FROM {table}_old
WHERE series_id > :after AND series_id <= :upto ON CONFLICT DO NOTHING"""
_EVIDENCE = """\
CREATE TABLE evidence (
  id BIGINT NOT NULL, batch_id BIGINT NOT NULL, kind VARCHAR NOT NULL, at TIMESTAMP WITH TIME ZONE NOT NULL,
  sha256 VARCHAR NOT NULL, body BYTEA NOT NULL, expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
  PRIMARY KEY (batch_id, expires_at, id)
) PARTITION BY RANGE (expires_at)"""
_COPY_EVIDENCE = """\
INSERT INTO evidence (id, batch_id, kind, at, sha256, body, expires_at)
SELECT id, batch_id, kind, at, sha256, body, expires_at FROM evidence_old WHERE id > :after AND id <= :upto"""


def move(connection: Connection) -> bool:
    """Move a piece; False when all is moved."""
    if connection.dialect.name == "sqlite":
        driver = connection.connection.driver_connection
        assert driver is not None
        driver.create_function("vigie_recipient_0003", 1, lambda text: text and bytes.fromhex(text)[:16])
        driver.create_function("vigie_message_0003", 1, _message_hash)
    return any(move_piece(connection, revision, each) for each in MOVES[connection.dialect.name])


def upgrade() -> None:
    connection = op.get_bind()
    dialect = connection.dialect.name
    for each in MOVES[dialect]:
        settle(connection, revision, each)
    for statement in (*_BOTH, *(_POSTGRESQL if dialect == "postgresql" else _SQLITE)):
        op.execute(statement)


def _message_hash(message_id: str | None) -> bytes | None:
    """As monitor.facts.message_ids had it."""
    if not message_id:
        return None
    bare = message_id.strip().strip("<>")[:_LONGEST_MESSAGE_ID]
    return hashlib.sha256(bare.encode("utf-8", "replace")).digest()[:16]


_BOTH = (
    f"DELETE FROM latest WHERE series_id IN (SELECT id FROM series WHERE measure IN {_COUNTS})",  # noqa: S608
    "DROP INDEX ix_series_measure",
    "DROP INDEX ix_series_customer",
    "CREATE INDEX series_measure ON series (measure, customer)",
)
_SQLITE = (
    "ALTER TABLE reading_hourly ADD COLUMN known_at BIGINT",
    "ALTER TABLE reading_daily ADD COLUMN known_at BIGINT",
)
_POSTGRESQL = (
    "ALTER TABLE suppression DROP CONSTRAINT suppression_pkey, ADD PRIMARY KEY (customer, id)",
    "CREATE INDEX suppression_id ON suppression (id)",
)


def _make_traces_sqlite(connection: Connection) -> None:
    key = ", PRIMARY KEY (id)"
    connection.exec_driver_sql(_TRACE.format(id="INTEGER", at="BIGINT", bytes="BLOB", key=key))
    _drop_indexes(connection, "ix_trace_at", "trace_message", "trace_recipient")
    _indexes(connection, "CREATE INDEX trace_customer ON trace (customer, at)", *_TRACE_INDEXES)


def _make_traces_postgresql(connection: Connection) -> None:
    _free_name(connection, "trace")
    _drop_indexes(connection, "ix_trace_at", "trace_message", "trace_recipient")
    key = ", PRIMARY KEY (customer, at, id)) PARTITION BY RANGE (at"
    instant = "TIMESTAMP WITH TIME ZONE"
    connection.exec_driver_sql(_TRACE.format(id="BIGINT", at=instant, bytes="BYTEA", key=key))
    _take_sequence(connection, "trace")
    _indexes(connection, *_TRACE_INDEXES)


def _make_evidence(connection: Connection) -> None:
    _free_name(connection, "evidence")
    _drop_indexes(connection, "ix_evidence_batch_id", "ix_evidence_expires_at")
    connection.exec_driver_sql(_EVIDENCE)
    _take_sequence(connection, "evidence")
    _indexes(connection, "CREATE INDEX ix_evidence_expires_at ON evidence (expires_at)")


def _make_rollup(table: str) -> Callable[[Connection], None]:
    def make(connection: Connection) -> None:
        _free_name(connection, table)
        connection.exec_driver_sql(_ROLLUP.format(table=table))

    return make


def _free_name(connection: Connection, table: str) -> None:
    """The key of the old table gives its name to that of the new one."""
    connection.exec_driver_sql(f"ALTER TABLE {table}_old RENAME CONSTRAINT {table}_pkey TO {table}_old_pkey")


def _take_sequence(connection: Connection, table: str) -> None:
    """The new table counts on where the old one stopped."""
    sequence = f"{table}_id_seq"
    connection.exec_driver_sql(f"ALTER TABLE {table} ALTER COLUMN id SET DEFAULT nextval('{sequence}')")
    connection.exec_driver_sql(f"ALTER TABLE {table}_old ALTER COLUMN id DROP DEFAULT")
    connection.exec_driver_sql(f"ALTER SEQUENCE {sequence} OWNED BY {table}.id")


def _drop_indexes(connection: Connection, *names: str) -> None:
    _indexes(connection, *(f"DROP INDEX {name}" for name in names))


def _indexes(connection: Connection, *statements: str) -> None:
    for statement in statements:
        connection.exec_driver_sql(statement)


def _parts(table: str, key: str, column: str, unit: str) -> Callable[[Connection, int, int], None]:
    """Makes the partitions the next piece needs, as the program did at this revision."""
    query = text(
        f"SELECT DISTINCT date_trunc('{unit}', {column}, 'UTC') FROM {table}_old"  # noqa: S608 - our own names
        f" WHERE {key} > :after AND {key} <= :upto"
    )

    def ready(connection: Connection, after: int, upto: int) -> None:
        for found in connection.execute(query, {"after": after, "upto": upto}).scalars().all():
            start = found.astimezone(UTC)
            _make_part(connection, table, column, start, yearly=unit == "year")

    return ready


def _make_part(connection: Connection, table: str, column: str, start: datetime, *, yearly: bool) -> None:
    name = f"{table}_{start:%Y}" if yearly else f"{table}_{start:%Y_%m}"
    if connection.execute(text("SELECT to_regclass(:name) IS NOT NULL"), {"name": name}).scalar_one():
        return
    later = start + timedelta(days=366 if yearly else 31)
    end = later.replace(day=1, month=1 if yearly else later.month)
    connection.exec_driver_sql(f"CREATE TABLE {name} (LIKE {table} INCLUDING ALL)")
    if column == "start":
        connection.exec_driver_sql(
            f"CREATE INDEX {name}_at ON {name} USING brin ({column}) WITH (pages_per_range = 32, autosummarize = on)"
        )
    connection.exec_driver_sql(f"ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES FROM ('{start}') TO ('{end}')")


_HASHES = {
    "sqlite": {"recipient": "vigie_recipient_0003(o.recipient_hash)", "message": "vigie_message_0003(o.message_id)"},
    "postgresql": {
        "recipient": "substring(decode(o.recipient_hash, 'hex') for 16)",
        "message": r"substring(sha256(convert_to(left(btrim(btrim(nullif(o.message_id, ''), E' \t\n\r\f\v'), '<>'),"
        f" {_LONGEST_MESSAGE_ID}), 'UTF8')) for 16)",
    },
}
MOVES = {
    "sqlite": [Move("trace", "id", _make_traces_sqlite, _COPY_TRACES.format(**_HASHES["sqlite"]))],
    "postgresql": [
        Move("trace", "id", _make_traces_postgresql, _COPY_TRACES.format(**_HASHES["postgresql"]),
             _parts("trace", "id", "at", "month")),
        Move("evidence", "id", _make_evidence, _COPY_EVIDENCE, _parts("evidence", "id", "expires_at", "month")),
        *(
            Move(table, "series_id", _make_rollup(table), _COPY_ROLLUPS.format(table=table),
                 _parts(table, "series_id", "start", unit))
            for table, unit in (("reading_hourly", "month"), ("reading_daily", "year"))
        ),
    ],
}  # fmt: skip
