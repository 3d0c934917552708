"""What Prometheus scrapes of collectors' runs and of new series."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from sqlmodel import Session

from monitor.facts.runs import count_runs, last_runs
from monitor.facts.series_limit import made_today, refused_since
from monitor.metrics import Metric, Sample, StoredMetric

_DAY = timedelta(hours=24)


def _runs(session: Session, now: datetime) -> list[Sample]:
    rows = count_runs(session, now - _DAY)
    return [({"collector": collector, "outcome": outcome}, count) for collector, outcome, count in rows]


def _ages(session: Session, now: datetime) -> list[Sample]:
    return [
        ({"collector": name}, (now - runs.good.ended_at).total_seconds())
        for name, runs in last_runs(session).items()
        if runs.good and runs.good.ended_at
    ]


def _of_kinds(counts: Iterable[tuple[str, float]], together: Callable[[list[float]], float]) -> list[Sample]:
    """By kind (customer, key) and not by name: whoever asks needs no key, and learns no customer by it."""
    kinds: dict[str, list[float]] = {}
    for name, count in counts:
        kinds.setdefault(name.partition(" ")[0], []).append(count)
    return [({"of": kind}, together(each)) for kind, each in sorted(kinds.items())]


METRICS = (
    StoredMetric(Metric("vigie_runs_24h", "Runs of collectors in the last 24 hours, by outcome."), _runs),
    StoredMetric(Metric("vigie_collector_good_run_age_seconds", "Since a collector last ended ok or partial."), _ages),
    StoredMetric(
        Metric("vigie_new_series_today", "Series that were new today (UTC): the most of one customer, of one key."),
        lambda session, now: _of_kinds(made_today(session, now), max),
    ),
    StoredMetric(
        Metric("vigie_refused_readings_24h", "Readings of further new series, not counted in the last 24 hours."),
        lambda session, now: _of_kinds(refused_since(session, now - _DAY), sum),
    ),
)
