"""The months of `reading` on PostgreSQL: made when a reading first needs one, dropped whole when too old.

A month is created beside the table and then attached: that takes no lock a reader would wait for. Its rows
lie nearly in the order of time, so a BRIN index (a few pages) finds a window over all series; the primary
key finds one series.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, text

LOCK_MILLISECONDS = 5_000  # dropping waits for readers, and whoever comes after waits for it

_NAME = re.compile(r"reading_(\d{4})_(\d\d)\Z")
_EXISTS = text("SELECT to_regclass(:name) IS NOT NULL")
_CHILDREN = text(
    "SELECT child.relname FROM pg_inherits JOIN pg_class child ON child.oid = inhrelid"
    " WHERE inhparent = to_regclass('reading') ORDER BY child.relname"
)


def is_month(table: str | None) -> bool:
    return _NAME.match(table or "") is not None


def ensure_months(connection: Connection, instants: Iterable[datetime]) -> None:
    """Make the months of these instants. The caller is alone (Engines.alone)."""
    for start in sorted({_month_of(at) for at in instants}):
        name = f"reading_{start:%Y_%m}"
        if connection.execute(_EXISTS, {"name": name}).scalar_one():
            continue
        connection.exec_driver_sql(f"CREATE TABLE {name} (LIKE reading INCLUDING ALL)")
        connection.exec_driver_sql(
            f"CREATE INDEX {name}_at ON {name} USING brin (at) WITH (pages_per_range = 32, autosummarize = on)"
        )
        connection.exec_driver_sql(
            f"ALTER TABLE reading ATTACH PARTITION {name} FOR VALUES FROM ('{start}') TO ('{_next(start)}')"
        )


def drop_months(connection: Connection, before: datetime) -> int:
    """Drop the months that ended by `before`; returns how many. Gives up where a reader is in the way for long."""
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = {LOCK_MILLISECONDS}")
    dropped = 0
    for name in connection.execute(_CHILDREN).scalars():
        year, month = (int(part) for part in _NAME.match(name).groups())  # type: ignore[union-attr]  # ours only
        if _next(datetime(year, month, 1, tzinfo=UTC)) <= before:
            connection.exec_driver_sql(f"DROP TABLE {name}")
            dropped += 1
    return dropped


def _month_of(at: datetime) -> datetime:
    return at.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def _next(month: datetime) -> datetime:
    return _month_of(month + timedelta(days=31))
