"""Binary COPY into PostgreSQL; what must be merged instead of appended travels as arrays, or in a temporary table.

Instants are written as PostgreSQL keeps them, int8 microseconds since 2000-01-01 (manual, "Date/Time
Types"), so the driver never makes a datetime of them. Rows are sent while they are made: the server takes
in the one piece while the driver packs the next. Readings, by far the most rows, are packed here (manual, COPY,
"Binary Format"), which costs a third of the driver's row by row.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection

from monitor.database.rows import (
    LATEST_COLUMNS,
    TRACE_COLUMNS,
    CheckedRow,
    LatestFound,
    LatestRow,
    ReadingRow,
)

_INSTANT = "int8"
# a row: how many fields, then of each its length and its bytes; length -1 is NULL
_KNOWN = struct.Struct(">hiqiqiqiqidi").pack  # … value, no reason
_UNKNOWN = struct.Struct(">hiqiqiqiqii").pack  # … no value, the length of the reason that follows
_COPY_HEAD = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_COPY_END = b"\xff\xff"
_PIECE = 2_000  # rows sent at once
_LATEST = ("int8", _INSTANT, _INSTANT, _INSTANT, "float8", "text", _INSTANT, "text")
_TRACE = {
    "batch_id": "int8", "at": _INSTANT, "known_at": _INSTANT, "count": "int4", "recipient_hash": "bytea",
    "message_hash": "bytea",
}  # fmt: skip

# Few columns of many rows travel as arrays: no table of the catalogue is made and dropped for them.
_DUE = """\
INSERT INTO rollup_due (start, series_id)
SELECT timestamptz '2000-01-01 00:00+00' + hour * interval '1 hour', series_id
FROM unnest(%s::int4[], %s::int8[]) AS due (hour, series_id)
ON CONFLICT DO NOTHING"""
_CHECKED = """\
UPDATE latest SET checked_at = timestamptz '2000-01-01 00:00+00' + again.checked_at * interval '1 microsecond',
  at = timestamptz '2000-01-01 00:00+00' + again.at * interval '1 microsecond'
FROM unnest(%s::int8[], %s::int8[], %s::int8[]) AS again (checked_at, at, series_id)
WHERE again.series_id = latest.series_id"""

_FIND = f"SELECT {', '.join(LATEST_COLUMNS)}::text FROM latest WHERE series_id = ANY(%s::bigint[])"  # noqa: S608 - our own column names
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
    encoded = reason.encode()
    return _UNKNOWN(6, 8, key[0], 8, key[1], 8, key[2], 8, key[3], -1, len(encoded)) + encoded


def due(connection: Connection, rows: Sequence[tuple[int, int]]) -> None:
    """Mark hours (counted from the engine's origin) of series."""
    connection.connection.cursor().execute(_DUE, [_array(column) for column in zip(*rows, strict=True)])


def find_latest(connection: Connection, series_ids: Iterable[int]) -> list[LatestFound]:
    cursor = connection.connection.cursor(binary=True)
    cursor.execute(_FIND, (_array(series_ids),))
    return [*cursor.fetchall()]


def checked(connection: Connection, rows: Sequence[CheckedRow]) -> None:
    connection.connection.cursor().execute(_CHECKED, [_array(column) for column in zip(*rows, strict=True)])


def latest(connection: Connection, rows: Iterable[LatestRow]) -> None:
    _temporary(
        connection,
        "latest_in (series_id bigint, checked_at timestamptz, at timestamptz, since timestamptz, value float8,"
        " reason text, unknown_since timestamptz, detail text)",
    )
    _copy(connection, "latest_in", _LATEST, rows)
    connection.exec_driver_sql(_MERGE_LATEST)


def traces(connection: Connection, rows: Iterable[tuple[Any, ...]]) -> None:
    """Rows of TRACE_COLUMNS."""
    types = [_TRACE.get(name, "text") for name in TRACE_COLUMNS]
    _copy(connection, f"trace ({', '.join(TRACE_COLUMNS)})", types, rows)


def _array(numbers: Iterable[int | None]) -> str:
    """As text: much quicker made than the driver's list of numbers."""
    return f"{{{','.join('NULL' if number is None else str(number) for number in numbers)}}}"


def _temporary(connection: Connection, table: str) -> None:
    connection.exec_driver_sql(f"CREATE TEMPORARY TABLE IF NOT EXISTS {table} ON COMMIT DROP")


def _copy(connection: Connection, table: str, types: Iterable[str], rows: Iterable[tuple[Any, ...]]) -> None:
    cursor = connection.connection.cursor()
    with cursor.copy(f"COPY {table} FROM STDIN (FORMAT BINARY)") as copying:
        copying.set_types(list(types))
        for row in rows:
            copying.write_row(row)
