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


def _spanning(sql: str) -> TextClause:
    return text(f"{sql} {_REWRITE}").bindparams(
        bindparam("counts", _COUNTS, expanding=True),
        *(bindparam(name, type_=Instant) for name in ("since", "until")),
    )


# CROSS JOIN fixes SQLite's order: from the due rows into the key of the readings. The last value of deltas means nothing.
_HOURLY = _spanning(f"""\
INSERT INTO reading_hourly {_INTO}
SELECT hour.series_id, :since, hour.readings, hour.unknowns, hour.total, hour.lowest, hour.highest,
  CASE WHEN series.measure NOT IN :counts THEN
    (SELECT l.value FROM reading l WHERE l.series_id = hour.series_id AND l.at >= :since AND l.at < :until
      AND l.value IS NOT NULL ORDER BY l.at DESC, l.batch_id DESC LIMIT 1) END, hour.known_at
FROM (SELECT r.series_id, COUNT(*) AS readings, COUNT(*) - COUNT(r.value) AS unknowns, SUM(r.value) AS total,
    MIN(r.value) AS lowest, MAX(r.value) AS highest, MAX(r.known_at) AS known_at
  FROM rollup_due due CROSS JOIN reading r
  WHERE due.start = :since AND r.series_id = due.series_id AND r.at >= :since AND r.at < :until
  GROUP BY r.series_id) hour CROSS JOIN series WHERE series.id = hour.series_id""")  # noqa: S608 - our own column names
_DAILY = _spanning(f"""\
INSERT INTO reading_daily {_INTO}
SELECT day.series_id, :since, day.readings, day.unknowns, day.total, day.lowest, day.highest,
  CASE WHEN series.measure NOT IN :counts THEN
    (SELECT l.last FROM reading_hourly l WHERE l.series_id = day.series_id AND l.start >= :since AND l.start < :until
      AND l.last IS NOT NULL ORDER BY l.start DESC LIMIT 1) END, day.known_at
FROM (SELECT h.series_id, SUM(h.readings) AS readings, SUM(h.unknowns) AS unknowns, SUM(h.total) AS total,
    MIN(h.lowest) AS lowest, MAX(h.highest) AS highest,
    CASE WHEN COUNT(*) = COUNT(h.known_at) THEN MAX(h.known_at) END AS known_at
  FROM (SELECT DISTINCT series_id FROM rollup_due WHERE start >= :since AND start < :until) due
    CROSS JOIN reading_hourly h
  WHERE h.series_id = due.series_id AND h.start >= :since AND h.start < :until
  GROUP BY h.series_id) day CROSS JOIN series WHERE series.id = day.series_id""")  # noqa: S608 - our own column names


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
            connection.execute(_HOURLY, {"since": hour, "until": hour + _HOUR})
    connection.execute(_DAILY, {"since": day, "until": day + _DAY})
    return connection.execute(due.delete().where(due.c.start.in_(hours))).rowcount


def pruned_to(connection: Connection) -> datetime:
    """Readings before this may be gone."""
    setting = table(Setting)
    kept = connection.execute(select(setting.c.value).where(setting.c.name == _PRUNED_TO)).scalar_one_or_none()
    return from_micros(int(kept or 0))


def set_pruned_to(connection: Connection, at: datetime) -> None:
    insert = insert_into(connection, Setting).values(name=_PRUNED_TO, value=str(to_micros(at)))
    connection.execute(insert.on_conflict_do_update(index_elements=["name"], set_={"value": insert.excluded.value}))

