"""The fast way of writing: many rows, one prepared statement on SQLite, binary COPY on PostgreSQL.

Rows are plain tuples; the instants in them are integers as the engine keeps them (`stored`): microseconds
since 1970 in SQLite, since 2000 in PostgreSQL. Both begin on a full hour, so hours are cut alike.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from operator import itemgetter
from typing import Any, NamedTuple, cast

from sqlalchemy import Connection

from monitor.database import copy
from monitor.database.partitions import ensure_parts
from monitor.database.rows import (
    LATEST_COLUMNS,
    TRACE_COLUMNS,
    CheckedRow,
    LatestFound,
    LatestRow,
    ReadingRow,
)
from monitor.database.tables import from_micros, to_micros

_ORIGIN = {"sqlite": 0, "postgresql": to_micros(datetime(2000, 1, 1, tzinfo=UTC))}


class Slice(NamedTuple):
    """The counts of one batch at one instant, by series."""

    at: datetime
    batch_id: int
    values: dict[int, float]


HOUR = 3_600_000_000
_TRACE_AT = TRACE_COLUMNS.index("at")

_READING = "INSERT INTO reading (series_id, at, batch_id, known_at, value, reason) VALUES (?, ?, ?, ?, ?, ?)"
_DUE = "INSERT INTO rollup_due (start, series_id) VALUES (?, ?) ON CONFLICT DO NOTHING"
_TRACE = f"INSERT INTO trace ({', '.join(TRACE_COLUMNS)}) VALUES ({', '.join('?' * len(TRACE_COLUMNS))})"  # noqa: S608 - our own column names

_FOUND = f"SELECT {', '.join(LATEST_COLUMNS)} FROM latest WHERE series_id IN (SELECT value FROM json_each(?))"  # noqa: S608 - our own column names
_CHECKED = "UPDATE latest SET checked_at = ?, at = ? WHERE series_id = ?"
_HELD = f"""\
INSERT INTO latest ({', '.join(LATEST_COLUMNS)}) VALUES ({', '.join('?' * len(LATEST_COLUMNS))})
ON CONFLICT (series_id) DO UPDATE SET
  {', '.join(f'{name} = excluded.{name}' for name in LATEST_COLUMNS[1:])}"""  # noqa: S608 - our own column names


def stored(connection: Connection, at: datetime) -> int:
    """An instant as the engine keeps it."""
    return to_micros(at) - _ORIGIN[connection.dialect.name]


def write_readings(connection: Connection, rows: list[ReadingRow]) -> None:
    """Append readings and mark the hours that must be rolled up again."""
    due: dict[int, set[int]] = {}
    for row in rows:
        due.setdefault(row[1] - row[1] % HOUR, set()).add(row[0])
    _append(connection, sorted(rows, key=itemgetter(0, 1, 2)), due)


def write_counts(connection: Connection, slices: list[Slice], known_at: datetime) -> None:
    """Append counts."""
    known = stored(connection, known_at)
    rows: list[ReadingRow] = []
    due: dict[int, set[int]] = {}
    for instant, batch_id, values in sorted(slices, key=itemgetter(0, 1)):
        at = stored(connection, instant)
        rows += [(series_id, at, batch_id, known, value, None) for series_id, value in values.items()]
        due.setdefault(at - at % HOUR, set()).update(values)
    rows.sort(key=itemgetter(0))  # stable: within a series they stay in the order of `at` and batch
    _append(connection, rows, due)


def _append(connection: Connection, rows: list[ReadingRow], due: dict[int, set[int]]) -> None:
    """`rows` sorted by their key: that is the order in which they lie."""
    if not rows:
        return
    if connection.dialect.name == "postgresql":
        ensure_parts(connection, {"reading": [_instant(start) for start in due]})
        copy.readings(connection, rows)
        copy.due(connection, [(start // HOUR, each) for start in sorted(due) for each in sorted(due[start])])
    else:
        connection.exec_driver_sql(_READING, rows)
        connection.exec_driver_sql(_DUE, [(start, each) for start in sorted(due) for each in sorted(due[start])])


def _instant(postgresql_micros: int) -> datetime:
    return from_micros(postgresql_micros + _ORIGIN["postgresql"])


class _Instants(dict[int | None, datetime | None]):
    """Integers of SQLite as instants, each made once: the rows of a sweep share a few."""

    def __missing__(self, micros: int | None) -> datetime | None:
        self[micros] = at = None if micros is None else from_micros(micros)
        return at


def find_latest(connection: Connection, series_ids: Collection[int]) -> Iterable[LatestFound]:
    """What is kept of these series, by the driver alone: the rows of a sweep are many and used once."""
    if connection.dialect.name == "postgresql":
        return copy.find_latest(connection, series_ids)
    cursor = connection.connection.cursor()
    cursor.execute(_FOUND, (f"[{','.join(map(str, series_ids))}]",))
    instant: Any = _Instants()  # to the type checker checked_at could be missing
    return [
        (id_, instant[checked_at], instant[at], instant[since], value, reason, instant[unknown_since], detail)
        for id_, checked_at, at, since, value, reason, unknown_since, detail in cursor.fetchall()
    ]


def write_checked(connection: Connection, rows: list[CheckedRow]) -> None:
    """Move `checked_at` and `at` of what said the same again."""
    if not rows:
        return
    rows.sort(key=itemgetter(2))
    if connection.dialect.name == "postgresql":
        copy.checked(connection, rows)
    else:
        connection.exec_driver_sql(_CHECKED, rows)


def write_latest(connection: Connection, rows: list[LatestRow]) -> None:
    """Write what holds now, whether it was there before or not."""
    if not rows:
        return
    rows.sort(key=itemgetter(0))
    if connection.dialect.name == "postgresql":
        copy.latest(connection, rows)
    else:
        connection.exec_driver_sql(_HELD, rows)


def write_traces(connection: Connection, rows: list[tuple[object, ...]]) -> None:
    """Rows of TRACE_COLUMNS, as the engine keeps them: hashes as bytes, no customer as the empty text."""
    if not rows:
        return
    if connection.dialect.name == "postgresql":
        instants = {cast("int", row[_TRACE_AT]) // HOUR * HOUR for row in rows}
        ensure_parts(connection, {"trace": map(_instant, instants)})
        copy.traces(connection, rows)
    else:
        connection.exec_driver_sql(_TRACE, rows)
