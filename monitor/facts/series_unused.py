"""Series that nothing is kept of any more: forgotten with their last roll-up, so that names seen once do not add up for ever.

Every process remembers ids of series. `generation` says how often some were forgotten: an intake looks at it in its own
transaction and forgets what it remembers when it has changed, so no reading is written under an id that is gone.
"""

from __future__ import annotations

from sqlalchemy import Connection, text

from monitor.database.engine import Engines

GENERATION = "series_generation"
_SERIES = 20_000  # looked at per transaction

_MOST = text("SELECT coalesce(max(id), 0) FROM series")
_UNUSED = text("""\
DELETE FROM series WHERE id > :after AND id <= :upto
AND NOT EXISTS (SELECT 1 FROM reading_daily WHERE reading_daily.series_id = series.id)
AND NOT EXISTS (SELECT 1 FROM reading_hourly WHERE reading_hourly.series_id = series.id)
AND NOT EXISTS (SELECT 1 FROM reading WHERE reading.series_id = series.id)
AND NOT EXISTS (SELECT 1 FROM latest WHERE latest.series_id = series.id)""")
_NEXT = text(
    f"INSERT INTO setting (name, value) VALUES ('{GENERATION}', '1')"  # noqa: S608 - our own name
    " ON CONFLICT (name) DO UPDATE SET value = CAST(CAST(setting.value AS INTEGER) + 1 AS VARCHAR)"
)


def prune_series(engines: Engines) -> int:
    """Returns how many were forgotten. Due hours are settled before (retention.prune): they have readings."""
    with engines.reading() as connection:
        most = int(connection.execute(_MOST).scalar_one())
    forgotten = 0
    for after in range(0, most, _SERIES):
        with engines.alone() as connection:
            forgotten += _prune_some(connection, after)
    return forgotten


def _prune_some(connection: Connection, after: int) -> int:
    forgotten = connection.execute(_UNUSED, {"after": after, "upto": after + _SERIES}).rowcount
    if forgotten:
        connection.execute(_NEXT)
    return forgotten
