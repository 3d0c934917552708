"""What is thrown away when: old facts leave in bounded transactions, so that writers get their turn.

On SQLite the readings of a series lie together, so they are deleted series by series; on PostgreSQL
whole months are dropped, and readings stay until the month they are in has passed.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import datetime, timedelta

from psycopg.errors import LockNotAvailable
from sqlalchemy import Table, and_, delete, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.sql.elements import ColumnElement
from sqlmodel import SQLModel

from monitor.database.engine import Engines, chunks, table
from monitor.database.partitions import drop_months
from monitor.database.tables import (
    BatchRow,
    Daily,
    EvidenceRow,
    Hourly,
    ParkedRow,
    Reading,
    Run,
    Series,
    TraceRow,
)
from monitor.facts.rollups import pruned_to, roll_up, set_pruned_to

_ROWS = 5_000  # per transaction


@dataclass(frozen=True, slots=True)
class Retention:
    """How long each kind of fact is kept.

    `batches` must outlive the time in which a source can repeat one: after it, a repeat counts again.
    Evidence carries its own expiry. Parked input is kept until somebody settled it, then `parked` more.
    """

    readings: timedelta = timedelta(days=400)
    hourly: timedelta = timedelta(days=3 * 365)
    daily: timedelta = timedelta(days=10 * 365)
    traces: timedelta = timedelta(days=400)
    evidence: timedelta = timedelta(days=30)
    batches: timedelta = timedelta(days=400)
    runs: timedelta = timedelta(days=90)
    parked: timedelta = timedelta(days=30)

    def __post_init__(self) -> None:
        if not self.readings <= self.hourly <= self.daily:
            raise ValueError("retention: readings ≤ hourly ≤ daily, for the longer is made from the shorter")


def prune(engines: Engines, now: datetime, retention: Retention) -> dict[str, int]:
    """Returns how many rows went, by table (on PostgreSQL `reading` counts months).

    What is due is rolled up first: from then on only hours and days tell of the readings that go.
    """
    roll_up(engines, sys.maxsize)
    trace, evidence, batch, run, parked = [table(each) for each in (TraceRow, EvidenceRow, BatchRow, Run, ParkedRow)]
    settled = and_(parked.c.settled_at.is_not(None), parked.c.settled_at < now - retention.parked)
    return {
        "reading": _prune_readings(engines, now - retention.readings),
        "reading_hourly": _prune_series(engines, Hourly, "start", now - retention.hourly),
        "reading_daily": _prune_series(engines, Daily, "start", now - retention.daily),
        "trace": _prune_rows(engines, trace, trace.c.at < now - retention.traces),
        "evidence": _prune_rows(engines, evidence, evidence.c.expires_at < now),
        "batch": _prune_rows(engines, batch, batch.c.known_at < now - retention.batches),
        "run": _prune_rows(engines, run, run.c.started_at < now - retention.runs),
        "parked": _prune_rows(engines, parked, settled),
    }


def _prune_readings(engines: Engines, before: datetime) -> int:
    with engines.alone() as connection:
        set_pruned_to(connection, max(before, pruned_to(connection)))
    if engines.dialect == "sqlite":
        return _prune_series(engines, Reading, "at", before)
    try:
        with engines.alone() as connection:
            return drop_months(connection, before)
    except OperationalError as error:
        if isinstance(error.orig, LockNotAvailable):
            return 0  # somebody reads for long; the next prune will do
        raise


def _prune_series(engines: Engines, model: type[SQLModel], when: str, before: datetime) -> int:
    """Delete by the key (series_id, time), a few hundred series at a time."""
    rows = table(model)
    with engines.reading() as connection:
        series_ids = list(connection.execute(select(table(Series).c.id)).scalars())
    deleted = 0
    for chunk in chunks(series_ids):
        with engines.writing() as connection:
            for series_id in chunk:
                old = delete(rows).where(rows.c.series_id == series_id, rows.c[when] < before)
                deleted += connection.execute(old).rowcount
    return deleted


def _prune_rows(engines: Engines, rows: Table, old: ColumnElement[bool]) -> int:
    some = select(rows.c.id).where(old).limit(_ROWS)
    deleted = 0
    while True:
        with engines.writing() as connection:
            gone = connection.execute(delete(rows).where(rows.c.id.in_(some))).rowcount
        deleted += gone
        if gone < _ROWS:
            return deleted
