"""What counters are built from: the statements, and their rows as columns of numbers.

Hours are counted from 1970; on PostgreSQL they are cut there, so that no instant is made of a row.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Column, Connection, Integer, String, bindparam, text

from collectors.observation import Subject
from monitor.database.tables import EPOCH, Instant, from_micros, to_micros
from monitor.facts.rollups import pruned_to
from monitor.facts.series_unused import GENERATION

MICROS = 3_600_000_000  # of an hour
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
_CHUNK = 50_000

# hour, and microsecond since 1970, of a column
_HOUR = {"sqlite": "{0} / 3600000000", "postgresql": "CAST(extract(epoch FROM {0}) / 3600 AS bigint)"}
_MICROS = {"sqlite": "{0}", "postgresql": "CAST(extract(epoch FROM {0}) * 1000000 AS bigint)"}

_STANDING = text(f"""\
SELECT coalesce((SELECT max(id) FROM batch), 0), (SELECT max(known_at) FROM batch),
  (SELECT value FROM setting WHERE name = '{GENERATION}')""").columns(  # noqa: S608 - our own name
    Column("batch", Integer), Column("newest", Instant), Column("generation", String)
)


_OTHERS = text("""\
SELECT EXISTS (SELECT 1 FROM batch WHERE id > :batch AND observations > 0
  AND NOT EXISTS (SELECT 1 FROM counted WHERE counted.batch_id = batch.id))""")


class Standing(NamedTuple):
    """Up to which batch a snapshot shows all, and the hour in which that was known; how often series were forgotten; the hour
    before which readings may be gone.
    """

    batch: int
    newest: int
    generation: str | None
    gone: int


def standing(connection: Connection) -> Standing:
    batch, newest, generation = connection.execute(_STANDING).one()
    hour, gone = to_micros(newest or EPOCH) // MICROS, to_micros(pruned_to(connection))
    return Standing(batch, hour, generation, -(-gone // MICROS))


def others_since(connection: Connection, batch: int) -> bool:
    """Whether a batch came after this one that brought something else than counts alone; what it brought besides counts is not seen."""
    return bool(connection.execute(_OTHERS, {"batch": batch}).scalar_one())


class SeriesRows(NamedTuple):
    """Ids in their order, measures, and subjects."""

    ids: list[int]
    measures: list[str]
    subjects: list[tuple[str | None, ...]]


def read_series(connection: Connection, measures: Collection[str], after: int) -> SeriesRows:
    """The series of these measures that were made after one."""
    query = text(
        f"SELECT id, measure, {', '.join(Subject._fields)} FROM series WHERE id > :after AND measure IN :measures ORDER BY id"  # noqa: S608 - our own names
    ).bindparams(bindparam("measures", sorted(measures), expanding=True), bindparam("after", after))
    rows = connection.execute(query).all()
    return SeriesRows([row[0] for row in rows], [row[1] for row in rows], [tuple(row[2:]) for row in rows])


class Rows(NamedTuple):
    """Sums or readings: series ids, hours or microseconds, values."""

    series: Ints
    at: Ints
    values: Floats


def read_hours(connection: Connection, measures: Collection[str], since: int) -> Rows:
    """What was rolled up of each hour from this one on."""
    hour = _named(connection, _HOUR, "start")
    return _read(connection, f"SELECT series_id, {hour}, total FROM reading_hourly"  # noqa: S608 - our own names
                 f" WHERE start >= {_at(connection, since)} AND total IS NOT NULL AND {_of(measures)}", measures)


def read_due(connection: Connection, measures: Collection[str], since: int) -> Rows:
    """The sums of hours whose roll-up is out of date, from this hour on."""
    hour, length = _named(connection, _HOUR, "due.start"), _named(connection, {"sqlite": "3600000000", "postgresql": "interval '1 hour'"}, "")
    return _read(
        connection,
        f"SELECT due.series_id, {hour}, SUM(r.value) FROM rollup_due due CROSS JOIN reading r"  # noqa: S608 - our own names
        f" WHERE due.start >= {_at(connection, since)} AND {_of(measures, 'due.series_id')} AND r.series_id = due.series_id"
        f" AND r.at >= due.start AND r.at < due.start + {length} AND r.value IS NOT NULL GROUP BY due.series_id, due.start",
        measures,
    )  # fmt: skip


def read_readings(connection: Connection, measures: Collection[str], hours: tuple[int, int], batch: int) -> Rows:
    """The readings of these hours (the last not included) that came up to a batch."""
    first, last = (_at(connection, hour) for hour in hours)
    return _read(
        connection,
        f"SELECT series_id, {_named(connection, _MICROS, 'at')}, value FROM reading WHERE {_of(measures)}"  # noqa: S608 - our own names
        f" AND at >= {first} AND at < {last} AND batch_id <= {batch} AND value IS NOT NULL",
        measures,
    )  # fmt: skip


def _named(connection: Connection, spelling: dict[str, str], column: str) -> str:
    return spelling[connection.dialect.name].format(column)


def _at(connection: Connection, hour: int) -> str:
    if connection.dialect.name == "sqlite":
        return str(hour * MICROS)
    return f"'{from_micros(hour * MICROS).isoformat()}'"


def _of(measures: Collection[str], column: str = "series_id") -> str:
    marks = ", ".join(f":m{number}" for number in range(len(measures)))
    return f"{column} IN (SELECT id FROM series WHERE measure IN ({marks}))"  # noqa: S608 - our own names


def _read(connection: Connection, sql: str, measures: Collection[str]) -> Rows:
    named = {f"m{number}": measure for number, measure in enumerate(sorted(measures))}
    result = connection.execute(text(sql).execution_options(yield_per=_CHUNK), named)
    series: list[Ints] = []
    at: list[Ints] = []
    values: list[Floats] = []
    for rows in result.partitions(_CHUNK):
        columns: Sequence[Sequence[float]] = list(zip(*rows, strict=True))
        series.append(np.array(columns[0], np.int64))
        at.append(np.array(columns[1], np.int64))
        values.append(np.array(columns[2], np.float64))
    if not series:
        return Rows(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
    return Rows(np.concatenate(series), np.concatenate(at), np.concatenate(values))
