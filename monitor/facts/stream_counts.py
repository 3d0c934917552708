"""Counts of a customer's streams at a provider, by campaign and instant or hour; and how late facts of a measure come."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Any, NamedTuple

from sqlmodel import Session, col, select

from monitor.database.tables import Hourly, Reading, Series


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
    """What is rolled up of the span."""
    chosen = _of(measures, family, Hourly, Hourly.start, Hourly.total)
    return _counted(session, chosen.where(col(Hourly.start) >= span[0], col(Hourly.start) < span[1]))


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


def _of(measures: Collection[str], family: Family, rows: Any, at: Any, value: Any) -> Any:
    return (
        select(Series.measure, Series.customer, Series.stream, Series.provider, Series.campaign, at, value)  # type: ignore[call-overload]  # seven columns
        .join(Series, col(Series.id) == rows.series_id)
        .where(col(Series.measure).in_(measures))
        .where(_is(Series.customer, family.customer), _is(Series.provider, family.provider))
    )


def _counted(session: Session, chosen: Any) -> Iterator[Counted]:
    return (Counted(*row) for row in session.exec(chosen) if row[-1])


def _is(column: Any, value: str | None) -> Any:
    return col(column).is_(None) if value is None else col(column) == value
