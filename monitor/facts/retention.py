"""What is thrown away when: each kind of row after its time (database.kept), in bounded transactions.

Readings, roll-ups and traces go by whole months: on PostgreSQL a month is a partition and dropped; on SQLite the
readings of a series lie together, so those series that have old ones are found by a look at the beginning of each, and
only they are touched. On both, what is too old stays until the month (of daily figures: the year) it is in has passed.
All else goes row by row, the oldest first, and is asked once more whether it may when it goes.
"""

from __future__ import annotations

import sys
from datetime import datetime, timedelta
from typing import Any

from psycopg.errors import LockNotAvailable
from sqlalchemy import Select, and_, delete, literal, not_, or_, select
from sqlalchemy.exc import OperationalError

from monitor.config.settings import Retention
from monitor.database.engine import Engines, chunks, table
from monitor.database.kept import BATCHES_OF_OPEN_CASES, KINDS, Kind, ends_at
from monitor.database.partitions import drop_parts, ensure_parts
from monitor.database.tables import EvidenceRow, Instant
from monitor.facts.retention_sqlite import delete_of_series, delete_traces
from monitor.facts.rollups import pruned_to, roll_up, set_pruned_to
from monitor.facts.series_limit import forget_days_before
from monitor.facts.series_unused import prune_series

_ROWS = 5_000  # per transaction
_CASES_EVIDENCE = timedelta(days=7)  # how long the evidence of an open case is kept on, each time


def prune(engines: Engines, now: datetime, retention: Retention) -> dict[str, int]:
    """Returns how many rows went, by kind (database.kept); of tables in partitions on PostgreSQL, how many of these.

    What is due is rolled up first: from then on only hours and days are left of the readings that go.
    """
    roll_up(engines, sys.maxsize)
    _keep_evidence_of_open_cases(engines, now)
    gone = {kind.name: _prune_months(engines, kind, now, retention) for kind in KINDS if kind.month}
    gone["series"] = prune_series(engines) if any(gone.values()) else 0
    if engines.dialect == "postgresql":
        gone["evidence"] = _drop(engines, "evidence", now)
    for kind in KINDS:
        if not kind.month:
            gone[kind.name] = gone.get(kind.name, 0) + _prune_rows(engines, kind, ends_at(kind, now, retention))
    with engines.alone() as connection:
        forget_days_before(connection, now)
    return gone


def _keep_evidence_of_open_cases(engines: Engines, now: datetime) -> None:
    """Somebody has yet to act on these reports: they stay until the case is closed."""
    evidence = table(EvidenceRow)
    with engines.reading() as connection:
        batches = sorted({batch for each in connection.execute(BATCHES_OF_OPEN_CASES).scalars() for batch in each})
    later = now + _CASES_EVIDENCE
    for chunk in chunks(batches):
        with engines.alone() as connection:
            if engines.dialect == "postgresql":
                ensure_parts(connection, {"evidence": [later]})
            soon = and_(evidence.c.batch_id.in_(chunk), evidence.c.expires_at < later)
            connection.execute(evidence.update().where(soon).values(expires_at=later))


def _prune_months(engines: Engines, kind: Kind, now: datetime, retention: Retention) -> int:
    before = ends_at(kind, now, retention)
    if kind.name == "reading":
        with engines.alone() as connection:
            set_pruned_to(connection, max(before, pruned_to(connection)))
    return (_drop if engines.dialect == "postgresql" else _delete)(engines, kind.name, before)


def _drop(engines: Engines, name: str, before: datetime) -> int:
    try:
        with engines.alone() as connection:
            return drop_parts(connection, name, before)
    except OperationalError as error:
        if isinstance(error.orig, LockNotAvailable):
            return 0  # somebody reads for long; the next prune will do
        raise


def _delete(engines: Engines, name: str, before: datetime) -> int:
    """SQLite: see retention_sqlite."""
    return delete_traces(engines, before) if name == "trace" else delete_of_series(engines, name, before)


def _prune_rows(engines: Engines, kind: Kind, before: datetime) -> int:
    """Row by row, the oldest first; a row that came to be needed since it was looked up stays."""
    rows = table(kind.model)
    key, old = next(iter(rows.primary_key)), and_(kind.since < before, not_(kind.unless))
    find = select(key, kind.since).where(old).order_by(kind.since, key).limit(_ROWS)
    deleted, due = 0, _due(engines, find)
    while due:
        with engines.writing() as connection:
            for chunk in chunks(due):
                # between its ends: where the key alone has no index, that of the time finds them
                these = and_(key.in_([id_ for id_, _ in chunk]), kind.since >= chunk[0][1], kind.since <= chunk[-1][1])
                deleted += connection.execute(delete(rows).where(these, old)).rowcount
        id_, at = due[-1]
        since = literal(at, Instant)
        beyond = and_(kind.since >= since, or_(kind.since > since, key > id_))
        due = _due(engines, find.where(beyond)) if len(due) == _ROWS else []
    return deleted


def _due(engines: Engines, query: Select[Any]) -> list[tuple[Any, datetime]]:
    with engines.reading() as connection:
        return [(id_, since) for id_, since in connection.execute(query)]
