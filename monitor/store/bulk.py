"""The fast way of writing: many rows, one prepared statement on SQLite, binary COPY on PostgreSQL.

Rows are plain tuples; instants in them are integer microseconds since 1970 on both engines.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from monitor.store import copy
from monitor.store.partitions import ensure_months

# (series_id, at, batch_id, known_at, value, reason)
ReadingRow = tuple[int, int, int, int, float | None, str | None]

# (series_id, asked_at, at, value)
NewestRow = tuple[int, int, int, float | None]

HOUR = 3_600_000_000

TRACE_COLUMNS = (
    "batch_id", "at", "known_at", "kind", "customer", "stream", "campaign", "ip", "domain", "provider",
    "recipient_hash", "message_id", "category", "status", "reply_code", "text", "how", "count",
)  # fmt: skip

_READING = "INSERT INTO reading (series_id, at, batch_id, known_at, value, reason) VALUES (?, ?, ?, ?, ?, ?)"
_DUE = "INSERT INTO rollup_due (start, series_id) VALUES (?, ?) ON CONFLICT DO NOTHING"
_TRACE = f"INSERT INTO trace ({', '.join(TRACE_COLUMNS)}) VALUES ({', '.join('?' * len(TRACE_COLUMNS))})"  # noqa: S608 - our own column names

# A count's `latest` is its newest delta; an older one changes nothing, an unknown that came later stays.
_NEWEST_COUNT = """\
ON CONFLICT (series_id) DO UPDATE SET
  at = excluded.at, value = excluded.value,
  reason = CASE WHEN excluded.at >= latest.asked_at THEN NULL ELSE latest.reason END,
  unknown_since = CASE WHEN excluded.at >= latest.asked_at THEN NULL ELSE latest.unknown_since END,
  asked_at = CASE WHEN excluded.at >= latest.asked_at THEN excluded.at ELSE latest.asked_at END
WHERE latest.at IS NULL OR excluded.at >= latest.at"""
_NEWEST = f"INSERT INTO latest (series_id, asked_at, at, value, detail) VALUES (?, ?, ?, ?, '{{}}') {_NEWEST_COUNT}"  # noqa: S608 - constants


def write_readings(connection: Connection, rows: list[ReadingRow]) -> None:
    """Append readings sorted by their key, and mark the hours that must be rolled up again."""
    if not rows:
        return
    due = sorted({(row[1] - row[1] % HOUR, row[0]) for row in rows})
    if connection.dialect.name == "postgresql":
        ensure_months(connection, {start for start, _ in due})
        copy.readings(connection, rows)
        copy.due(connection, due)
        return
    connection.exec_driver_sql(_READING, rows)
    connection.exec_driver_sql(_DUE, due)


def write_newest_counts(connection: Connection, rows: list[NewestRow]) -> None:
    """One row per series, sorted."""
    if not rows:
        return
    if connection.dialect.name == "postgresql":
        copy.newest_counts(connection, rows, _NEWEST_COUNT)
    else:
        connection.exec_driver_sql(_NEWEST, rows)


def write_traces(connection: Connection, rows: Sequence[tuple[object, ...]]) -> None:
    """Rows of TRACE_COLUMNS."""
    if not rows:
        return
    if connection.dialect.name == "postgresql":
        copy.traces(connection, TRACE_COLUMNS, rows)
    else:
        connection.exec_driver_sql(_TRACE, list(rows))
