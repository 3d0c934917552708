"""Binary COPY into PostgreSQL. Format: PostgreSQL manual, "COPY", File Formats, Binary Format.

A reading without a reason (nearly all) is one fixed pattern of bytes, so `struct` packs it in one call.
What must be merged instead of appended is copied to a temporary table first.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection

if TYPE_CHECKING:
    from monitor.store.bulk import NewestRow, ReadingRow

_HEADER = b"PGCOPY\n\xff\r\n\0" + struct.pack("!ii", 0, 0)
_TRAILER = struct.pack("!h", -1)
_PG_EPOCH = 946_684_800_000_000  # 2000-01-01 in microseconds since 1970: timestamptz counts from there

# Each field is its length (int32, -1: NULL) and its bytes; each row begins with the number of fields.
_READING = struct.Struct("!hiqiqiqiqidi")
_DUE = struct.Struct("!hiqiq")
_NEWEST = struct.Struct("!hiqiqid")
_COUNT = struct.Struct("!h")
_LENGTH = struct.Struct("!i")
_INT4 = struct.Struct("!ii")
_INT8 = struct.Struct("!iq")
_NULL = _LENGTH.pack(-1)

_MERGE_DUE = "INSERT INTO rollup_due (start, series_id) SELECT start, series_id FROM due_in ON CONFLICT DO NOTHING"


def readings(connection: Connection, rows: Iterable[ReadingRow]) -> None:
    body = [
        _READING.pack(6, 8, sid, 8, at - _PG_EPOCH, 8, batch, 8, known - _PG_EPOCH, 8, value, -1)
        if reason is None
        else _unknown(sid, at, batch, known, reason)
        for sid, at, batch, known, value, reason in rows
    ]
    _copy(connection, "reading (series_id, at, batch_id, known_at, value, reason)", body)


def _unknown(series_id: int, at: int, batch: int, known: int, reason: str) -> bytes:
    return b"".join(
        (_COUNT.pack(6), _int8(series_id), _instant(at), _int8(batch), _instant(known), _NULL, _text(reason))
    )


def due(connection: Connection, rows: Iterable[tuple[int, int]]) -> None:
    _temporary(connection, "due_in (start timestamptz, series_id bigint)")
    _copy(connection, "due_in", [_DUE.pack(2, 8, start - _PG_EPOCH, 8, sid) for start, sid in rows])
    connection.exec_driver_sql(_MERGE_DUE)


def newest_counts(connection: Connection, rows: Iterable[NewestRow], merge: str) -> None:
    """Merge into latest; `merge` is the ON CONFLICT clause."""
    _temporary(connection, "newest_in (series_id bigint, at timestamptz, value float8)")
    body = [_NEWEST.pack(3, 8, sid, 8, at - _PG_EPOCH, 8, value) for sid, at, _, value in rows]
    _copy(connection, "newest_in", body)
    connection.exec_driver_sql(
        "INSERT INTO latest (series_id, asked_at, at, value, detail)"  # noqa: S608 - the clause is bulk's constant
        f" SELECT series_id, at, at, value, '{{}}' FROM newest_in {merge}"
    )


def traces(connection: Connection, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Rows of `columns`; those named at and known_at are microseconds since 1970."""
    packers = [_PACKERS.get(name, _text) for name in columns]
    count = _COUNT.pack(len(columns))
    body = [count + b"".join([pack(value) for pack, value in zip(packers, row, strict=True)]) for row in rows]
    _copy(connection, f"trace ({', '.join(columns)})", body)


def _text(value: str | None) -> bytes:
    if value is None:
        return _NULL
    said = value.encode()
    return _LENGTH.pack(len(said)) + said


def _int8(value: int) -> bytes:
    return _INT8.pack(8, value)


def _int4(value: int) -> bytes:
    return _INT4.pack(4, value)


def _instant(micros: int) -> bytes:
    return _INT8.pack(8, micros - _PG_EPOCH)


_PACKERS: dict[str, Callable[[Any], bytes]] = {
    "batch_id": _int8, "at": _instant, "known_at": _instant, "count": _int4,
}  # fmt: skip


def _temporary(connection: Connection, table: str) -> None:
    connection.exec_driver_sql(f"CREATE TEMPORARY TABLE IF NOT EXISTS {table} ON COMMIT DELETE ROWS")


def _copy(connection: Connection, table: str, body: list[bytes]) -> None:
    cursor = connection.connection.cursor()
    with cursor.copy(f"COPY {table} FROM STDIN (FORMAT BINARY)") as copying:
        copying.write(b"".join((_HEADER, *body, _TRAILER)))
