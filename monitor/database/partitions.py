"""The partitions on PostgreSQL: made when a row first needs one, dropped whole when all in it is too old.

A partition is created beside its table and then attached: that takes no lock a reader would wait for. Rows lie nearly
in the order of time, so a BRIN index (a few pages) finds a window over all series; the primary key finds one series.
A table that is not partitioned by us is left alone: as a hypertable of TimescaleDB it makes chunks of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, text

from monitor.database.tables import Instant

LOCK_MILLISECONDS = 5_000  # dropping waits for readers, and whoever comes after waits for it


class Parts(NamedTuple):
    """By which column a table is cut, into years or months; `scanned`: windows are read over all series."""

    column: str
    yearly: bool = False
    scanned: bool = False


PARTED: Mapping[str, Parts] = {
    "reading": Parts("at", scanned=True),
    "reading_hourly": Parts("start", scanned=True),
    "reading_daily": Parts("start", yearly=True, scanned=True),
    "trace": Parts("at"),
    "evidence": Parts("expires_at"),
}
_NAME = re.compile(rf"({'|'.join(PARTED)})_(\d{{4}})(?:_(\d\d))?\Z")
_MISSING = text(
    "SELECT part FROM unnest(CAST(:parts AS text[]), CAST(:parents AS text[])) AS wanted (part, parent)"
    " WHERE to_regclass(part) IS NULL AND (SELECT relkind FROM pg_class WHERE oid = to_regclass(parent)) = 'p'"
)
_CHILDREN = text(
    "SELECT child.relname FROM pg_inherits JOIN pg_class child ON child.oid = inhrelid"
    " WHERE inhparent = to_regclass(:parent) ORDER BY child.relname"
)
_KIND = text(
    "SELECT relkind = 'p', to_regproc('drop_chunks') IS NOT NULL FROM pg_class WHERE oid = to_regclass(:parent)"
)


def is_part(table: str | None) -> bool:
    return _NAME.match(table or "") is not None


def ensure_parts(connection: Connection, needed: Mapping[str, Iterable[datetime]]) -> None:
    """Make the partitions that rows at these instants of these tables need. The caller is alone (Engines.alone)."""
    wanted: dict[str, tuple[str, datetime]] = {}
    for parent, instants in needed.items():
        for start in {part_start(parent, at) for at in instants}:
            wanted[_name(parent, start)] = (parent, start)
    if not wanted:
        return
    names = sorted(wanted)
    parameters = {"parts": names, "parents": [wanted[name][0] for name in names]}
    for name in connection.execute(_MISSING, parameters).scalars().all():
        _make(connection, name, *wanted[name])


def drop_parts(connection: Connection, parent: str, before: datetime) -> int:
    """Drop the partitions of what ended by `before`; returns how many. Gives up where a reader is in the way for long."""
    ours, has_chunks = connection.execute(_KIND, {"parent": parent}).one()
    if not ours:
        return _drop_chunks(connection, parent, before, has_chunks=has_chunks)
    ended = [name for name in parts_of(connection, parent) if end_of(name) <= before]
    if ended:
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = {LOCK_MILLISECONDS}")
    for name in ended:
        connection.exec_driver_sql(f"DROP TABLE {name}")
    return len(ended)


def parts_of(connection: Connection, parent: str) -> list[str]:
    """The partitions we made, the oldest first."""
    return [name for name in connection.execute(_CHILDREN, {"parent": parent}).scalars() if is_part(name)]


def part_start(parent: str, at: datetime) -> datetime:
    """The first instant of the month or year that `at` falls in."""
    month = at.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return month.replace(month=1) if PARTED[parent].yearly else month


def _name(parent: str, start: datetime) -> str:
    return f"{parent}_{start:%Y}" if PARTED[parent].yearly else f"{parent}_{start:%Y_%m}"


def _make(connection: Connection, name: str, parent: str, start: datetime) -> None:
    parts = PARTED[parent]
    end = part_start(parent, start + timedelta(days=366 if parts.yearly else 31))
    connection.exec_driver_sql(f"CREATE TABLE {name} (LIKE {parent} INCLUDING ALL)")
    if parts.scanned:
        connection.exec_driver_sql(
            f"CREATE INDEX {name}_at ON {name} USING brin ({parts.column})"
            " WITH (pages_per_range = 32, autosummarize = on)"
        )
    connection.exec_driver_sql(
        f"ALTER TABLE {parent} ATTACH PARTITION {name} FOR VALUES FROM ('{start}') TO ('{end}')"
    )


def end_of(name: str) -> datetime:
    """When the month or year of a partition is over."""
    match = _NAME.match(name)
    if match is None:
        raise ValueError(f"{name} is no partition of ours")
    parent, year, month = match.groups()
    start = datetime(int(year), int(month or 1), 1, tzinfo=UTC)
    return part_start(parent, start + timedelta(days=31 if month else 366))


def _drop_chunks(connection: Connection, parent: str, before: datetime, *, has_chunks: bool) -> int:
    """A hypertable drops its own chunks; a table nobody cut is pruned row by row."""
    when = bindparam("before", part_start(parent, before), Instant)
    if has_chunks:
        dropped = text("SELECT count(*) FROM drop_chunks(:parent, older_than => :before)").bindparams(when)
        return int(connection.execute(dropped, {"parent": parent}).scalar_one())
    old = text(f"DELETE FROM {parent} WHERE {PARTED[parent].column} < :before").bindparams(when)  # noqa: S608 - our own names
    return connection.execute(old).rowcount
