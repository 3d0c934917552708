"""Counts of a customer's streams at a provider, by campaign and instant or hour; and how late facts of a measure come."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlmodel import Session, col, func, select

from monitor.database.tables import Hourly, Reading, RollupDue, Series
from monitor.facts.rollups import pruned_to

HOUR = timedelta(hours=1)


class Family(NamedTuple):
    """What belongs together; None: what names none."""

    customer: str | None
    provider: str | None


class Counted(NamedTuple):
    """A sum of one measure; `at` of an hour's is its beginning."""

    measure: str
    customer: str | None
    stream: str | None
    provider: str | None
    campaign: str | None
    at: datetime
    value: float


def counted_since(session: Session, measures: Collection[str], family: Family, since: datetime) -> Iterator[Counted]:
    """Reading by reading."""
    chosen = _of(measures, family, Reading, Reading.at, Reading.value)
    return _counted(session, chosen.where(col(Reading.at) >= since))


def counted_by_hour(
    session: Session, measures: Collection[str], family: Family, span: tuple[datetime, datetime]
) -> Iterator[Counted]:
    """Whole hours of the span; those whose roll-up is out of date from their readings."""
    within = (col(RollupDue.start) >= max(span[0], pruned_to(session.connection())), col(RollupDue.start) < span[1])
    due = frozenset(session.exec(
        select(RollupDue.series_id, RollupDue.start).join(Series, col(Series.id) == col(RollupDue.series_id))
        .where(*_chosen(measures, family), *within)
    ))  # fmt: skip
    rolled_up = _of(measures, family, Hourly, Hourly.start, Hourly.total, Hourly.series_id)
    rows = session.exec(rolled_up.where(col(Hourly.start) >= span[0], col(Hourly.start) < span[1]))
    yield from (Counted(*row) for *row, id_ in rows if row[-1] and (id_, row[-2]) not in due)
    if due:
        hours = [start for _, start in due]
        as_counted = _of(measures, family, Reading, Reading.at, Reading.value, Reading.series_id)
        as_counted = as_counted.where(
            col(Reading.series_id).in_({id_ for id_, _ in due}), col(Reading.at) >= min(hours), col(Reading.at) < max(hours) + HOUR
        )
        for *row, id_ in session.exec(as_counted):
            counted = Counted(*row)
            hour = counted.at.replace(minute=0, second=0, microsecond=0)
            if counted.value and (id_, hour) in due:
                yield counted._replace(at=hour)


def newest_batch(session: Session, measures: Collection[str], family: Family, span: tuple[datetime, datetime]) -> int:
    """In which the newest of these readings came; 0 where there is none."""
    chosen = select(func.max(Reading.batch_id)).join(Series, col(Series.id) == col(Reading.series_id)).where(*_chosen(measures, family))
    return session.exec(chosen.where(col(Reading.at) >= span[0], col(Reading.at) < span[1])).one() or 0


def delays(
    session: Session, measures: Collection[str], provider: str | None, since: datetime, limit: int
) -> Iterator[tuple[datetime, datetime, float]]:
    """(at, known_at, value) of the newest readings of a provider."""
    chosen: Any = (
        select(Reading.at, Reading.known_at, Reading.value).join(Series, col(Series.id) == col(Reading.series_id))
        .where(col(Series.measure).in_(measures), _is(Series.provider, provider), col(Reading.at) >= since)
        .order_by(col(Reading.at).desc()).limit(limit)
    )  # fmt: skip
    return ((at, known_at, value) for at, known_at, value in session.exec(chosen) if value)


def _of(measures: Collection[str], family: Family, rows: Any, *columns: Any) -> Any:
    chosen: Any = select(Series.measure, Series.customer, Series.stream, Series.provider, Series.campaign, *columns)  # type: ignore[call-overload]  # many columns
    return chosen.join(Series, col(Series.id) == rows.series_id).where(*_chosen(measures, family))


def _chosen(measures: Collection[str], family: Family) -> tuple[Any, ...]:
    return (
        col(Series.measure).in_(measures), _is(Series.customer, family.customer), _is(Series.provider, family.provider),
    )  # fmt: skip


def _counted(session: Session, chosen: Any) -> Iterator[Counted]:
    return (Counted(*row) for row in session.exec(chosen) if row[-1])


def _is(column: Any, value: str | None) -> Any:
    return col(column).is_(None) if value is None else col(column) == value
