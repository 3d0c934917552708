"""Executions of collectors: opened before the world is asked, closed with their outcome."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select
from sqlmodel import Session, col

from collectors.contract import Reason
from monitor.records import Run
from monitor.store.engine import table

_RUN = table(Run)
COUNTED = frozenset({"batches", "repeats", "observations", "unknowns", "traces", "parked"})


@dataclass(frozen=True, slots=True)
class Runs:
    """The newest run of a collector, and the newest that got answers (ok or partial; None: never)."""

    last: Run
    good: Run | None


def open_run(connection: Connection, collector: str, now: datetime) -> int:
    """A run of this collector still `running` was cut short by a crash: it is closed as failed."""
    cut_short = {"outcome": "failed", "reason": Reason.INTERNAL.value, "text": "interrupted", "ended_at": now}
    connection.execute(
        _RUN.update().where(_RUN.c.collector == collector, _RUN.c.outcome == "running").values(cut_short)
    )
    opened = _RUN.insert().values(collector=collector, started_at=now, outcome="running", **dict.fromkeys(COUNTED, 0))
    run_id: int = connection.execute(opened.returning(_RUN.c.id)).scalar_one()
    return run_id


def close_run(connection: Connection, run_id: int, values: Mapping[str, object], counts: Mapping[str, int]) -> None:
    unheard = counts.keys() - COUNTED
    if unheard:
        raise ValueError(f"{', '.join(sorted(unheard))}: a run counts {', '.join(sorted(COUNTED))}")
    connection.execute(_RUN.update().where(_RUN.c.id == run_id).values(**values, **counts))


def last_runs(session: Session) -> dict[str, Runs]:
    last = _newest(session)
    good = _newest(session, "ok", "partial")
    return {name: Runs(run, good.get(name)) for name, run in last.items()}


def _newest(session: Session, *outcomes: str) -> dict[str, Run]:
    newest = select(func.max(_RUN.c.id)).group_by(_RUN.c.collector)
    if outcomes:
        newest = newest.where(_RUN.c.outcome.in_(outcomes))
    rows = session.execute(select(Run).where(col(Run.id).in_(newest)).order_by(col(Run.collector))).scalars()
    return {run.collector: run for run in rows}
