"""Stored readings of one measure, page by page."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, select

from collectors.observation import Subject
from monitor.database.paging import Order, Page, Paged, paged
from monitor.database.tables import Reading, Series
from monitor.facts import wire

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
    found = paged(session, chosen, _NEWEST, page)
    return Paged([_shown(reading, series) for reading, series in found.rows], found.next)


def _shown(reading: Reading, series: Series) -> wire.Reading:
    subject = {name: value for name in Subject._fields if (value := getattr(series, name)) is not None}
    return wire.Reading(
        measure=series.measure, subject=subject, at=reading.at, known_at=reading.known_at, value=reading.value,
        reason=reading.reason,
    )
