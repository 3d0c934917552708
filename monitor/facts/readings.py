"""Readings as they are stored: of one measure page by page, the newest by provider, and sums per day."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, func, select

from collectors.observation import Subject
from monitor.database.paging import Order, Page, Paged, paged
from monitor.database.tables import Daily, Reading, Series
from monitor.facts import wire
from monitor.facts.windows import Group, dimensions

_NEWEST = Order((col(Reading.at), col(Reading.series_id), col(Reading.batch_id)), of=lambda row: row[0])


def find_readings(
    session: Session, measure: str, subject: Mapping[str, str], since: datetime, until: datetime | None, page: Page
) -> Paged[wire.Reading]:
    """Those of every series with all values of `subject`, newest first, from `since` to before `until`.

    Raises PlaceError.
    """
    chosen: Any = (
        select(Reading, Series)
        .join(Series, col(Series.id) == col(Reading.series_id))
        .where(Series.measure == measure, col(Reading.at) >= since)
        .where(*(getattr(Series, name) == value for name, value in subject.items()))
    )
    if until is not None:
        chosen = chosen.where(col(Reading.at) < until)
    readings = paged(session, chosen, _NEWEST, page)
    return Paged([_shown(reading, series) for reading, series in readings.rows], readings.next)


def values_of(session: Session, measure: str, dimension: str) -> set[str]:
    """The values a dimension has among the series of a measure."""
    dimensions([dimension])
    chosen = select(getattr(Series, dimension)).where(Series.measure == measure).distinct()
    return {value for value in session.exec(chosen) if value is not None}


def newest_by(session: Session, measures: Collection[str], by: Sequence[str]) -> dict[Group, datetime]:
    """Values of the `by` fields → when the newest reading of these measures is from: one look at the end of each series."""
    dimensions(by)
    newest = select(func.max(Reading.at)).where(Reading.series_id == Series.id).scalar_subquery()
    at_of: dict[Group, datetime] = {}
    columns = [getattr(Series, name) for name in by]
    for *values, at in session.execute(select(*columns, newest).where(col(Series.measure).in_(measures))):  # type: ignore[call-overload]
        if at is not None:
            at_of[tuple(values)] = max(at, at_of.get(tuple(values), at))
    return at_of


def value_before(session: Session, series_id: int, at: datetime) -> float | None:
    """What a series last read before an instant; None where it did not, or it was not known."""
    chosen = select(Reading.value).where(Reading.series_id == series_id, Reading.at < at, col(Reading.value).is_not(None))
    return session.exec(chosen.order_by(col(Reading.at).desc()).limit(1)).first()


def daily_sums(
    session: Session, measures: Collection[str], by: Sequence[str], span: tuple[datetime, datetime]
) -> Iterator[tuple[datetime, str, Group, float]]:
    """(start of the UTC day, measure, values of the `by` fields, sum) of every day with a known reading."""
    dimensions(by)
    columns = [getattr(Series, name) for name in by]
    chosen = (
        select(Daily.start, Series.measure, *columns, func.sum(Daily.total))  # type: ignore[call-overload]  # any number of columns
        .join(Series, col(Series.id) == Daily.series_id)
        .where(col(Series.measure).in_(measures), Daily.start >= span[0], Daily.start < span[1])
        .group_by(Daily.start, Series.measure, *columns)
    )
    for start, measure, *cell, total in session.exec(chosen):
        if total is not None:
            yield start, measure, tuple(cell), total


def _shown(reading: Reading, series: Series) -> wire.Reading:
    subject = {name: value for name in Subject._fields if (value := getattr(series, name)) is not None}
    return wire.Reading(
        measure=series.measure, subject=subject, at=reading.at, known_at=reading.known_at, value=reading.value,
        reason=reading.reason,
    )
