"""Who runs a job now: one lease row per job, with a fence that rises at every claim.

Whether a lease has run out is asked of the database's clock on PostgreSQL, where several machines meet; on
SQLite all are on one machine and the caller's `now` serves. Whether a job is due is the caller's `now` on both.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, DateTime, Interval, bindparam, func, or_, select

from monitor.database.engine import insert_into, table
from monitor.database.tables import Instant, Job

_JOB = table(Job)


def last_run(connection: Connection, job: str) -> datetime | None:
    """When it was begun last, of the turns that are over; None when it never was."""
    return connection.execute(select(_JOB.c.last_run).where(_JOB.c.name == job)).scalar()


def next_run(connection: Connection, job: str) -> datetime | None:
    due_at: datetime | None = connection.execute(select(_JOB.c.next_run).where(_JOB.c.name == job)).scalar_one_or_none()
    return due_at


def claim(
    connection: Connection, job: str, owner: str, now: datetime, ttl: timedelta, *, due_only: bool
) -> int | None:
    connection.execute(insert_into(connection, Job).values(name=job, next_run=now, fence=0).on_conflict_do_nothing())
    claimed = (
        _JOB.update()
        .where(_JOB.c.name == job, *([_JOB.c.next_run <= now] if due_only else []))
        .where(or_(_JOB.c.lease_until.is_(None), _JOB.c.lease_until < _clock(connection, now)))
        .values(lease_owner=owner, lease_until=_clock(connection, now, ttl), fence=_JOB.c.fence + 1)
        .returning(_JOB.c.fence)
    )
    fence: int | None = connection.execute(claimed).scalar_one_or_none()
    return fence


def renew(connection: Connection, held: tuple[str, str, int], now: datetime, ttl: timedelta) -> bool:
    return _set(connection, held, {"lease_until": _clock(connection, now, ttl)})


def held(connection: Connection, held_by: tuple[str, str, int]) -> bool:
    """Whether this claim is still the newest; until the transaction ends nobody makes a newer one."""
    job, owner, fence = held_by
    ours = select(_JOB.c.fence).where(_JOB.c.name == job, _JOB.c.lease_owner == owner, _JOB.c.fence == fence)
    return connection.execute(ours.with_for_update(read=True)).first() is not None


def done(connection: Connection, held: tuple[str, str, int], now: datetime, next_run: datetime) -> bool:
    return _set(
        connection, held, {"last_run": now, "next_run": next_run, "lease_owner": None, "lease_until": None}
    )


def _set(connection: Connection, held: tuple[str, str, int], values: dict[str, Any]) -> bool:
    job, owner, fence = held
    ours = _JOB.update().where(_JOB.c.name == job, _JOB.c.lease_owner == owner, _JOB.c.fence == fence)
    return connection.execute(ours.values(values)).rowcount == 1


def _clock(connection: Connection, now: datetime, ahead: timedelta = timedelta(0)) -> Any:
    if connection.dialect.name == "postgresql":
        return func.clock_timestamp(type_=DateTime(timezone=True)) + bindparam(None, ahead, Interval)
    return bindparam(None, now + ahead, Instant)
