"""Executions of collectors: opened before the world is asked, closed with their outcome."""

from __future__ import annotations

import enum
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

import sqlmodel
from sqlalchemy import Connection, func, select
from sqlmodel import Session, col

from collectors.contract import Reason
from monitor.database.engine import table
from monitor.database.paging import Order, Page, Paged, paged
from monitor.database.tables import Run

_RUN = table(Run)
_NEWEST = Order((col(Run.id),))
COUNTED = frozenset({"batches", "repeats", "observations", "unknowns", "traces", "parked"})


class Outcome(enum.StrEnum):
    """How a run ended, or that it goes on. `partial`: something stayed unknown."""

    RUNNING = "running"
    OK = "ok"
    PARTIAL = "partial"
    FAILED = "failed"


GOOD = frozenset({Outcome.OK, Outcome.PARTIAL})


@dataclass(frozen=True, slots=True)
class Runs:
    """The newest run of a collector, and the newest that got answers (ok or partial; None: never)."""

    last: Run
    good: Run | None


def open_run(connection: Connection, collector: str, now: datetime) -> int:
    """A run of this collector still `running` was cut short by a crash: it is closed as failed."""
    cut_short = {"outcome": Outcome.FAILED.value, "reason": Reason.INTERNAL.value, "text": "interrupted", "ended_at": now}
    connection.execute(
        _RUN.update().where(_RUN.c.collector == collector, _RUN.c.outcome == Outcome.RUNNING.value).values(cut_short)
    )
    opened = _RUN.insert().values(collector=collector, started_at=now, outcome=Outcome.RUNNING.value, **dict.fromkeys(COUNTED, 0))
    run_id: int = connection.execute(opened.returning(_RUN.c.id)).scalar_one()
    return run_id


def close_run(connection: Connection, run_id: int, values: Mapping[str, object], counts: Mapping[str, int]) -> None:
    unheard = counts.keys() - COUNTED
    if unheard:
        raise ValueError(f"{', '.join(sorted(unheard))}: a run counts {', '.join(sorted(COUNTED))}")
    connection.execute(_RUN.update().where(_RUN.c.id == run_id).values(**values, **counts))


def find_runs(session: Session, page: Page, collector: str | None = None) -> Paged[Run]:
    """Newest first. Raises PlaceError."""
    chosen = sqlmodel.select(Run)
    return paged(session, chosen if collector is None else chosen.where(Run.collector == collector), _NEWEST, page)


def last_runs(session: Session) -> dict[str, Runs]:
    last: dict[str, Run] = {}
    good: dict[str, Run] = {}
    for run in session.execute(select(Run).where(col(Run.id).in_(_newest(session))).order_by(col(Run.id))).scalars():
        last[run.collector] = run
        if run.outcome in GOOD:
            good[run.collector] = run
    return {name: Runs(last[name], good.get(name)) for name in sorted(last)}


def first_runs(session: Session, collectors: Collection[str]) -> dict[str, datetime]:
    """When the first kept run of each of these began."""
    began = select(_RUN.c.collector, func.min(_RUN.c.started_at)).where(_RUN.c.collector.in_(collectors))
    return {row[0]: row[1] for row in session.execute(began.group_by(_RUN.c.collector))}


def newest_runs(session: Session, limit: int) -> list[Run]:
    """The newest first, of all collectors."""
    return list(session.execute(select(Run).order_by(*_NEWEST.by).limit(limit)).scalars())


def count_runs(session: Session, since: datetime) -> list[tuple[str, str, int]]:
    """Collector, outcome and how many runs began after `since`."""
    counted = select(_RUN.c.collector, _RUN.c.outcome, func.count()).where(_RUN.c.started_at > since)
    return [(row[0], row[1], row[2]) for row in session.execute(counted.group_by(_RUN.c.collector, _RUN.c.outcome))]


def _newest(session: Session) -> list[int]:
    """The newest run of each collector and outcome: a few steps down the index `run_newest`, however many are kept."""
    collector = _RUN.c.collector
    names = select(func.min(collector).label("name")).cte("names", recursive=True)
    following = select(func.min(collector)).where(collector > names.c.name).scalar_subquery()
    names = names.union_all(select(following).where(names.c.name.is_not(None)))
    newest = [
        select(func.max(_RUN.c.id)).where(collector == names.c.name, _RUN.c.outcome == outcome).scalar_subquery()
        for outcome in Outcome
    ]
    return [id_ for ids in session.execute(select(*newest).select_from(names)) for id_ in ids if id_ is not None]
