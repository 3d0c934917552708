"""What is thrown away when: whole months of readings, roll-ups and traces, in bounded transactions.

On PostgreSQL a month is a partition and dropped; on SQLite the readings of a series lie together, so those series that
have old ones are found by a look at the beginning of each, and only they are touched. On both, what is too old stays
until the month (of daily figures: the year) it is in has passed. Evidence, which may hold mail, goes when it expires.
"""

from __future__ import annotations

import sys
from datetime import datetime

from psycopg.errors import LockNotAvailable
from sqlalchemy import Table, and_, bindparam, delete, select, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.sql.elements import ColumnElement

from monitor.config.settings import Retention
from monitor.database.engine import Engines, chunks, table
from monitor.database.partitions import PARTED, drop_parts, part_start
from monitor.database.tables import BatchRow, EvidenceRow, Instant, ParkedRow, Run
from monitor.facts.rollups import pruned_to, roll_up, set_pruned_to
from monitor.facts.series_unused import prune_series

_ROWS = 5_000  # per transaction


def prune(engines: Engines, now: datetime, retention: Retention) -> dict[str, int]:
    """Returns how many rows went, by table; of tables in partitions on PostgreSQL, how many of these.

    What is due is rolled up first: from then on only hours and days are left of the readings that go.
    """
    roll_up(engines, sys.maxsize)
    before = {
        "reading": now - retention.readings, "reading_hourly": now - retention.hourly,
        "reading_daily": now - retention.daily, "trace": now - retention.traces,
    }  # fmt: skip
    before = {name: part_start(name, at) for name, at in before.items()}
    with engines.alone() as connection:
        set_pruned_to(connection, max(before["reading"], pruned_to(connection)))
    by_part = _drop if engines.dialect == "postgresql" else _delete
    gone = {name: by_part(engines, name, at) for name, at in before.items()}
    evidence, batch, run, parked = [table(each) for each in (EvidenceRow, BatchRow, Run, ParkedRow)]
    settled = and_(parked.c.settled_at.is_not(None), parked.c.settled_at < now - retention.parked)
    months = _drop(engines, "evidence", now) if engines.dialect == "postgresql" else 0
    return gone | {
        "evidence": months + _prune_rows(engines, evidence, evidence.c.expires_at < now),
        "batch": _prune_rows(engines, batch, batch.c.known_at < now - retention.batches),
        "run": _prune_rows(engines, run, run.c.started_at < now - retention.runs),
        "parked": _prune_rows(engines, parked, settled),
        "series": prune_series(engines) if any(gone.values()) else 0,
    }


def _drop(engines: Engines, name: str, before: datetime) -> int:
    try:
        with engines.alone() as connection:
            return drop_parts(connection, name, before)
    except OperationalError as error:
        if isinstance(error.orig, LockNotAvailable):
            return 0  # somebody reads for long; the next prune will do
        raise


def _delete(engines: Engines, name: str, before: datetime) -> int:
    """SQLite: `name` lies by series (traces: has an index by customer), then by time."""
    owner, owners = _OWNERS["trace" if name == "trace" else "series"]
    column = PARTED[name].column
    old = f"{owner} = :owner AND {column} < :before"
    when = bindparam("before", before, Instant)
    find = text(f"{owners} WHERE EXISTS (SELECT 1 FROM {name} WHERE {name}.{owner} = owners.owner AND {column} < :before)")  # noqa: S608 - our own names
    remove = text(f"DELETE FROM {name} WHERE {old}").bindparams(when)  # noqa: S608 - our own names
    with engines.reading() as connection:
        ids = list(connection.execute(find.bindparams(when)).scalars())
    deleted = 0
    for chunk in chunks(ids):
        with engines.writing() as connection:
            deleted += sum(connection.execute(remove, {"owner": each}).rowcount for each in chunk)
    return deleted


# the column that leads the key, and who can stand in it
_OWNERS = {
    "series": ("series_id", "SELECT owner FROM (SELECT id AS owner FROM series) owners"),
    # a step down the index per customer, however many traces there are
    "trace": ("customer", """\
WITH RECURSIVE owners (owner) AS (
  SELECT min(customer) FROM trace UNION ALL
  SELECT (SELECT min(customer) FROM trace WHERE customer > owner) FROM owners WHERE owner IS NOT NULL)
SELECT owner FROM owners"""),
}  # fmt: skip


def _prune_rows(engines: Engines, rows: Table, old: ColumnElement[bool]) -> int:
    some = select(rows.c.id).where(old).limit(_ROWS)
    deleted = 0
    while True:
        with engines.writing() as connection:
            gone = connection.execute(delete(rows).where(rows.c.id.in_(some), old)).rowcount
        deleted += gone
        if gone < _ROWS:
            return deleted
