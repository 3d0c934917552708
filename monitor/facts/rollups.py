"""Hours and days of a series, rewritten from its readings wherever new readings came in.

An hour is due from the transaction that wrote a reading into it until the transaction that rewrote it, so
a crash between leaves it due and doing it twice changes nothing. A day is put together from its hours.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import groupby

from sqlalchemy import Connection, TextClause, bindparam, select, text

from collectors.measures import MEASURES, MeasureKind
from monitor.database.engine import Engines, insert_into, table
from monitor.database.partitions import ensure_parts
from monitor.database.tables import Instant, RollupDue, Setting, from_micros, to_micros

_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)
_PRUNED_TO = "readings_pruned_to"

_COLUMNS = ("readings", "unknowns", "total", "lowest", "highest", "last", "known_at")
_REWRITE = f"ON CONFLICT (series_id, start) DO UPDATE SET {', '.join(f'{each} = excluded.{each}' for each in _COLUMNS)}"
_INTO = f"(series_id, start, {', '.join(_COLUMNS)})"
_COUNTS = tuple(name for name, measure in MEASURES.items() if measure.kind is MeasureKind.COUNT)
_FIGURES = tuple(name for name, measure in MEASURES.items() if measure.kind is MeasureKind.DAILY)


_MANY = 2_000  # from so many due series on it is quicker to read all of the hour than to look each up

_SUMS = {
    "reading": "COUNT(*) AS readings, COUNT(*) - COUNT(r.value) AS unknowns, SUM(r.value) AS total,"
    " MIN(r.value) AS lowest, MAX(r.value) AS highest, MAX(r.known_at) AS known_at",
    "reading_hourly": "SUM(r.readings) AS readings, SUM(r.unknowns) AS unknowns, SUM(r.total) AS total,"
    " MIN(r.lowest) AS lowest, MAX(r.highest) AS highest,"
    " CASE WHEN COUNT(*) = COUNT(r.known_at) THEN MAX(r.known_at) END AS known_at",
}
# CROSS JOIN fixes SQLite's order: from the due rows into the key of the readings.
_TOGETHER = """\
(SELECT r.series_id, {sums} FROM {due} due CROSS JOIN {table} r
  WHERE r.series_id = due.series_id AND {within}
  GROUP BY r.series_id) period"""
# The same on PostgreSQL, where no order is fixed but by asking for each due row anew.
_ONE_BY_ONE = """\
{due} due CROSS JOIN LATERAL
  (SELECT due.series_id, {sums} FROM {table} r WHERE r.series_id = due.series_id AND {within} HAVING COUNT(*) > 0) period"""
_REWRITTEN = """\
INSERT INTO {into} {columns}
SELECT period.series_id, :since, period.readings, period.unknowns, {figures},
  CASE WHEN series.measure NOT IN :counts THEN
    (SELECT {last} FROM {table} r WHERE r.series_id = period.series_id AND {within} AND {last} IS NOT NULL
      ORDER BY {order} LIMIT 1) END, period.known_at
FROM {periods} CROSS JOIN series WHERE series.id = period.series_id {rewrite}"""  # the last value of deltas means nothing


# A figure reported anew is in its hour more than once: what was reported last is all of it.
_OF_FIGURES = """\
CASE WHEN series.measure IN :figures THEN
    (SELECT {last} FROM {table} r WHERE r.series_id = period.series_id AND {within} AND {last} IS NOT NULL
      ORDER BY {order} LIMIT 1) ELSE period.{column} END"""


def _statement(periods: str, into: str) -> TextClause:
    names = _OF_READINGS if into == "reading_hourly" else _OF_HOURS
    within = "r.{at} >= :since AND r.{at} < :until".format(**names)
    filled = periods.format(**names, sums=_SUMS[names["table"]], within=within)
    summed = ("total", "lowest", "highest")
    from_readings = into == "reading_hourly"  # a day is put together from hours that are right
    figures = ", ".join(_OF_FIGURES.format(**names, within=within, column=each) if from_readings else f"period.{each}" for each in summed)
    sql = _REWRITTEN.format(**names, into=into, columns=_INTO, periods=filled, within=within, rewrite=_REWRITE, figures=figures)
    return text(sql).bindparams(
        *([bindparam("figures", _FIGURES, expanding=True)] if from_readings else []),
        bindparam("counts", _COUNTS, expanding=True),
        *(bindparam(name, type_=Instant) for name in ("since", "until")),
    )


_OF_READINGS = {
    "table": "reading", "at": "at", "last": "r.value", "order": "r.at DESC, r.batch_id DESC",
    "due": "(SELECT series_id FROM rollup_due WHERE start = :since)",
}  # fmt: skip
_OF_HOURS = {
    "table": "reading_hourly", "at": "start", "last": "r.last", "order": "r.start DESC",
    "due": "(SELECT DISTINCT series_id FROM rollup_due WHERE start >= :since AND start < :until)",
}  # fmt: skip
_ROLL_UP = {
    (into, way): _statement(way, into) for into in ("reading_hourly", "reading_daily") for way in (_TOGETHER, _ONE_BY_ONE)
}
_MANY_DUE = text(
    "SELECT count(*) >= :many FROM (SELECT 1 FROM rollup_due WHERE start >= :since AND start < :until LIMIT :many) due"
).bindparams(*(bindparam(name, type_=Instant) for name in ("since", "until")))


def roll_up(engines: Engines, limit: int) -> int:
    """Settle due hours, the oldest first, one transaction per day; stops once `limit` rows are settled."""
    due = table(RollupDue)
    with engines.reading() as connection:
        hours = connection.execute(select(due.c.start).distinct().order_by(due.c.start)).scalars().all()
    settled = 0
    for day, hours_of_day in groupby(hours, key=lambda hour: hour.replace(hour=0)):
        if settled >= limit:
            break
        with engines.alone() as connection:
            settled += _settle(connection, day, list(hours_of_day))
    return settled


def _settle(connection: Connection, day: datetime, hours: list[datetime]) -> int:
    """Hours that came due since `hours` was read stay due; their rows are only rewritten once more."""
    due = table(RollupDue)
    gone = pruned_to(connection)
    if connection.dialect.name == "postgresql":
        ensure_parts(connection, {"reading_hourly": [day], "reading_daily": [day]})
    for hour in hours:
        if hour >= gone:  # what is left of an older hour would overwrite what it once was
            _rewrite(connection, "reading_hourly", hour, hour + _HOUR)
    _rewrite(connection, "reading_daily", day, day + _DAY)
    return connection.execute(due.delete().where(due.c.start.in_(hours))).rowcount


def _rewrite(connection: Connection, into: str, since: datetime, until: datetime) -> None:
    """PostgreSQL is given the way: of rows that came in just now it believes there are none, and would compare each with each."""
    way, span = _TOGETHER, {"since": since, "until": until}
    if connection.dialect.name == "postgresql":
        many = connection.execute(_MANY_DUE, span | {"many": _MANY}).scalar_one()
        way = _TOGETHER if many else _ONE_BY_ONE
        connection.exec_driver_sql(f"SET LOCAL enable_nestloop = {'off' if many else 'on'}")
    connection.execute(_ROLL_UP[into, way], span)


def pruned_to(connection: Connection) -> datetime:
    """Readings before this may be gone."""
    setting = table(Setting)
    kept = connection.execute(select(setting.c.value).where(setting.c.name == _PRUNED_TO)).scalar_one_or_none()
    return from_micros(int(kept or 0))


def set_pruned_to(connection: Connection, at: datetime) -> None:
    insert = insert_into(connection, Setting).values(name=_PRUNED_TO, value=str(to_micros(at)))
    connection.execute(insert.on_conflict_do_update(index_elements=["name"], set_={"value": insert.excluded.value}))

