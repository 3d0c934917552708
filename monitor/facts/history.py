"""Counts as they became known: every reading of some measures, in the order of `known_at`, for whoever plays history again."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Any, NamedTuple

from sqlmodel import Session, col, select

from collectors.observation import Subject
from monitor.database.tables import Reading, Series
from monitor.facts.rollups import pruned_to

_CHUNK = 10_000


class Known(NamedTuple):
    """One reading. `labels`: the dimensions its series has, in their usual order."""

    known_at: datetime
    at: datetime
    measure: str
    labels: dict[str, str]
    value: float


def known_counts(session: Session, measures: Collection[str], since: datetime, until: datetime) -> Iterator[Known]:
    """Those about `since` or later that were known before `until`. The database sorts; some thousand rows are in memory at once."""
    fields = [getattr(Series, name) for name in Subject._fields]
    chosen: Any = (
        select(Reading.known_at, Reading.at, Series.measure, Reading.value, *fields)
        .join(Series, col(Series.id) == col(Reading.series_id))
        .where(col(Series.measure).in_(sorted(measures)), col(Reading.value).is_not(None))
        .where(col(Reading.at) >= since, col(Reading.known_at) < until)
        .order_by(col(Reading.known_at), col(Reading.batch_id), col(Reading.series_id), col(Reading.at))
    )
    for known_at, at, measure, value, *subject in session.execute(chosen, execution_options={"yield_per": _CHUNK}):
        labels = {name: each for name, each in zip(Subject._fields, subject, strict=True) if each is not None}
        yield Known(known_at, at, measure, labels, value)


def kept_since(session: Session) -> datetime:
    """Readings before this may be gone; of what they said hours and days are left, which do not say when each was known."""
    return pruned_to(session.connection())
