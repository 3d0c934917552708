"""Binary COPY into PostgreSQL; what must be merged instead of appended is copied to a temporary table first.

Instants are written as PostgreSQL keeps them, int8 microseconds since 2000-01-01 (manual, "Date/Time
Types"), so the driver never makes a datetime of them. Rows are sent while they are made: the server takes
in the one piece while the driver packs the next. Readings, by far the most rows, are packed here (manual, COPY,
"Binary Format"), which costs a third of the driver's row by row.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from monitor.database.rows import LATEST_COLUMNS, AskedRow, LatestFound, LatestRow, NewestRow, ReadingRow

_INSTANT = "int8"
# a row: how many fields, then of each its length and its bytes; length -1 is NULL
_KNOWN = struct.Struct(">hiqiqiqiqidi").pack  # … value, no reason
_UNKNOWN = struct.Struct(">hiqiqiqiqii").pack  # … no value, the length of the reason that follows
_COPY_HEAD = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_COPY_END = b"\xff\xff"
_PIECE = 2_000  # rows sent at once
_DUE = (_INSTANT, "int8")
_NEWEST = ("int8", _INSTANT, _INSTANT, "float8")
_ASKED = (_INSTANT, _INSTANT, "int8")
_LATEST = ("int8", _INSTANT, _INSTANT, _INSTANT, "float8", "text", _INSTANT, "text")

# Intakes take turns, so a plain look finds what is there; ON CONFLICT would lock every row besides.
_ANY_DUE = text("SELECT EXISTS (SELECT FROM rollup_due WHERE start = ANY(:hours))")
_MERGE_DUE = """\
INSERT INTO rollup_due (start, series_id) SELECT start, series_id FROM due_in
WHERE NOT EXISTS (SELECT FROM rollup_due due WHERE due.start = due_in.start AND due.series_id = due_in.series_id)"""
_MERGE_NEWEST = """\
MERGE INTO latest USING newest_in new ON new.series_id = latest.series_id
WHEN MATCHED AND (latest.at IS NULL OR new.at >= latest.at) THEN UPDATE SET
  at = new.at, value = new.value,
  reason = CASE WHEN new.at >= latest.asked_at THEN NULL ELSE latest.reason END,
  unknown_since = CASE WHEN new.at >= latest.asked_at THEN NULL ELSE latest.unknown_since END,
  asked_at = GREATEST(new.at, latest.asked_at)
WHEN NOT MATCHED THEN INSERT (series_id, asked_at, at, value, detail)
  VALUES (new.series_id, new.asked_at, new.at, new.value, '{}')"""

_FIND = f"SELECT {', '.join(LATEST_COLUMNS)}::text FROM latest WHERE series_id = ANY(%s::bigint[])"  # noqa: S608 - our own column names
_MERGE_ASKED = """\
UPDATE latest SET asked_at = again.asked_at, at = again.at FROM asked_in again
WHERE again.series_id = latest.series_id"""
_MERGE_LATEST = f"""\
INSERT INTO latest ({', '.join(LATEST_COLUMNS)})
SELECT {', '.join(LATEST_COLUMNS)}::json FROM latest_in
ON CONFLICT (series_id) DO UPDATE SET
  {', '.join(f'{name} = excluded.{name}' for name in LATEST_COLUMNS[1:])}"""  # noqa: S608 - our own column names


def readings(connection: Connection, rows: Sequence[ReadingRow]) -> None:
    table = "reading (series_id, at, batch_id, known_at, value, reason)"
    cursor = connection.connection.cursor()
    with cursor.copy(f"COPY {table} FROM STDIN (FORMAT BINARY)") as copying:
        copying.write(_COPY_HEAD)
        for start in range(0, len(rows), _PIECE):
            copying.write(b"".join([
                _KNOWN(6, 8, series_id, 8, at, 8, batch_id, 8, known_at, 8, value, -1) if value is not None
                else _unknown((series_id, at, batch_id, known_at), reason or "")
                for series_id, at, batch_id, known_at, value, reason in rows[start : start + _PIECE]
            ]))
        copying.write(_COPY_END)


def _unknown(key: tuple[int, int, int, int], reason: str) -> bytes:
    said = reason.encode()
    return _UNKNOWN(6, 8, key[0], 8, key[1], 8, key[2], 8, key[3], -1, len(said)) + said


def due(connection: Connection, hours: Collection[datetime], rows: Iterable[tuple[int, int]]) -> None:
    """Mark hours of series, those not marked yet; just after a roll-up that is all of them."""
    if not connection.execute(_ANY_DUE, {"hours": list(hours)}).scalar_one():
        _copy(connection, "rollup_due (start, series_id)", _DUE, rows)
        return
    _temporary(connection, "due_in (start timestamptz, series_id bigint)")
    _copy(connection, "due_in", _DUE, rows)
    connection.exec_driver_sql(_MERGE_DUE)


def newest_counts(connection: Connection, rows: Iterable[NewestRow]) -> None:
    _temporary(connection, "newest_in (series_id bigint, asked_at timestamptz, at timestamptz, value float8)")
    _copy(connection, "newest_in", _NEWEST, rows)
    connection.exec_driver_sql(_MERGE_NEWEST)


def find_latest(connection: Connection, series_ids: Iterable[int]) -> list[LatestFound]:
    cursor = connection.connection.cursor(binary=True)
    cursor.execute(_FIND, (f"{{{','.join(map(str, series_ids))}}}",))
    return [*cursor.fetchall()]


def asked(connection: Connection, rows: Iterable[AskedRow]) -> None:
    _temporary(connection, "asked_in (asked_at timestamptz, at timestamptz, series_id bigint)")
    _copy(connection, "asked_in", _ASKED, rows)
    connection.exec_driver_sql(_MERGE_ASKED)


def latest(connection: Connection, rows: Iterable[LatestRow]) -> None:
    _temporary(
        connection,
        "latest_in (series_id bigint, asked_at timestamptz, at timestamptz, since timestamptz, value float8,"
        " reason text, unknown_since timestamptz, detail text)",
    )
    _copy(connection, "latest_in", _LATEST, rows)
    connection.exec_driver_sql(_MERGE_LATEST)


def traces(connection: Connection, columns: Iterable[str], rows: Iterable[tuple[Any, ...]]) -> None:
    numbers = {"batch_id": "int8", "at": _INSTANT, "known_at": _INSTANT, "count": "int4"}
    names = list(columns)
    _copy(connection, f"trace ({', '.join(names)})", [numbers.get(name, "text") for name in names], rows)


def _temporary(connection: Connection, table: str) -> None:
    connection.exec_driver_sql(f"CREATE TEMPORARY TABLE IF NOT EXISTS {table} ON COMMIT DELETE ROWS")


def _copy(connection: Connection, table: str, types: Iterable[str], rows: Iterable[tuple[Any, ...]]) -> None:
    cursor = connection.connection.cursor()
    with cursor.copy(f"COPY {table} FROM STDIN (FORMAT BINARY)") as copying:
        copying.set_types(list(types))
        for row in rows:
            copying.write_row(row)
