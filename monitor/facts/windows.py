"""Sums over a window, grouped by what the readings are about; and what holds now."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection, bindparam, select, text
from sqlmodel import Session, col

from collectors.observation import Subject
from monitor.database.tables import Instant, Latest, Series

Group = tuple[str | None, ...]
Counts = dict[Group, dict[str, float]]


def window_counts(
    connection: Connection,
    measures: Collection[str],
    by: Sequence[str],
    span: tuple[datetime, datetime],
    *,
    known_by: datetime | None = None,
    where: Mapping[str, str] | None = None,
    or_unknown: bool = False,
) -> Counts:
    """See Store.window_counts. `span` is (since, until), since included and until not."""
    where = where or {}
    dimensions([*by, *where])
    columns = "".join(f"series.{name}, " for name in by)
    equal = "(series.{0} = :where_{0} OR series.{0} IS NULL)" if or_unknown else "series.{0} = :where_{0}"
    conditions = "".join(f" AND {equal.format(name)}" for name in where)
    known = " AND reading.known_at <= :known_by" if known_by else ""
    # Summed by series first: readings lie by series, so SQLite sums as it reads instead of sorting them all, and
    # PostgreSQL hashes a number, not texts. CROSS JOIN keeps SQLite from starting at the series.
    query = text(
        f"SELECT {columns}series.measure, SUM(per.total) FROM ("  # noqa: S608 - names are checked
        "SELECT reading.series_id, SUM(reading.value) AS total FROM reading"
        f" WHERE reading.series_id IN (SELECT series.id FROM series WHERE series.measure IN :measures{conditions})"
        f" AND reading.at >= :since AND reading.at < :until AND reading.value IS NOT NULL{known}"
        " GROUP BY reading.series_id) per"
        " CROSS JOIN series WHERE series.id = per.series_id"
        f" GROUP BY {columns}series.measure"
    ).bindparams(
        bindparam("measures", expanding=True),
        *(bindparam(name, type_=Instant) for name in ("since", "until", *(["known_by"] if known_by else []))),
    )
    values: dict[str, object] = {f"where_{name}": value for name, value in where.items()}
    values |= {"measures": list(measures), "since": span[0], "until": span[1]}
    rows = connection.execute(query, values | ({"known_by": known_by} if known_by else {}))
    counts: Counts = {}
    for *group, measure, total in rows:
        counts.setdefault(tuple(group), {})[measure] = total
    return counts


def dimensions(names: Sequence[str]) -> None:
    """Raises ValueError for a name that is no field of Subject."""
    for name in names:
        if name not in Subject._fields:
            raise ValueError(f"{name!r} is no dimension of a subject: {', '.join(Subject._fields)}")


def latest(session: Session, measure: str, where: Mapping[str, str]) -> list[tuple[Series, Latest]]:
    dimensions(list(where))
    query = select(Series, Latest).join(Latest, col(Latest.series_id) == col(Series.id))
    query = query.where(col(Series.measure) == measure)
    for name, value in where.items():
        query = query.where(getattr(Series, name) == value)
    return [(series, held) for series, held in session.execute(query.order_by(col(Series.id)))]
