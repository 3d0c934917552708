"""Sums over a window, grouped by what the readings are about; and what holds now.

Long windows are summed from days and hours, their edges from readings (monitor.facts.spans). A roll-up that is out of
date, because a late fact fell into its hour, is put right from the readings of that hour; where `known_by` asks what was
known then, a roll-up serves if all in it was known by then, and else its readings do. So the sum is that of the readings,
whatever was rolled up; of readings that are gone only roll-ups are left.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ARRAY, BigInteger, Connection, bindparam, column, select, text
from sqlmodel import Session, col

from collectors.observation import Subject
from monitor.database.tables import Instant, Latest, Series
from monitor.facts.daily import ADDING_UP, DAILY, superseded
from monitor.facts.rollups import pruned_to
from monitor.facts.spans import Span, Spans, spans

Group = tuple[str | None, ...]
Counts = dict[Group, dict[str, float]]

# a step down the key per hour, however many series are due in it
_DUE = (
    text("""\
WITH RECURSIVE due (start) AS (
  SELECT min(start) FROM rollup_due WHERE start >= :since AND start < :until UNION ALL
  SELECT (SELECT min(start) FROM rollup_due WHERE rollup_due.start > due.start AND rollup_due.start < :until)
  FROM due WHERE due.start IS NOT NULL)
SELECT start FROM due WHERE start IS NOT NULL""")
    .bindparams(bindparam("since", type_=Instant), bindparam("until", type_=Instant))
    .columns(column("start", Instant))
)
_FEW, _FEW_OF_ALL = 100, 0.05  # series looked up one by one on PostgreSQL; as a share of all
_ALL_SERIES = text("SELECT reltuples FROM pg_class WHERE oid = to_regclass('series')")  # as of the last ANALYZE; -1 before
# how long after its `start` a roll-up ends
_LENGTH = {
    "sqlite": {"reading_hourly": "3600000000", "reading_daily": "86400000000"},
    "postgresql": {"reading_hourly": "interval '1 hour'", "reading_daily": "interval '1 day'"},
}


def window_counts(
    connection: Connection,
    measures: Collection[str],
    by: Sequence[str],
    span: Span,
    *,
    known_by: datetime | None = None,
    where: Mapping[str, str] | None = None,
    or_unknown: bool = False,
) -> Counts:
    """See Store.window_counts. `span` is (since, until), since included and until not."""
    figures = ADDING_UP & set(measures)
    counts = _window_counts(connection, set(measures) - DAILY, by, span, (known_by, where or {}, or_unknown))
    if figures:
        more = _window_counts(connection, figures, by, span, (known_by, where or {}, or_unknown))
        for group, sums in more.items():
            counts.setdefault(group, {}).update(sums)
    return counts


def _window_counts(
    connection: Connection, measures: Collection[str], by: Sequence[str], span: Span, of: tuple[datetime | None, Mapping[str, str], bool],
) -> Counts:
    """Of measures that are either all figures of days or none; `of`: known_by, where, or_unknown."""
    known_by, where, or_unknown = of
    dimensions([*by, *where])
    if not measures:
        return {}
    summing = _Summing(connection, known_by)
    parts = summing.figures if DAILY.issuperset(measures) else summing.parts
    equal = "(series.{0} = :where_{0} OR series.{0} IS NULL)" if or_unknown else "series.{0} = :where_{0}"
    conditions = "".join(f" AND {equal.format(name)}" for name in where)
    wanted: dict[str, Any] = {f"where_{name}": value for name, value in where.items()} | {"measures": list(measures)}
    chosen = _series(connection, conditions, wanted, summing.values)
    if chosen is None or span[0] >= span[1]:
        return {}
    columns = "".join(f"series.{name}, " for name in by)
    # Summed by series first: rows lie by series, so SQLite sums as it reads instead of sorting them all, and
    # PostgreSQL hashes a number, not texts. CROSS JOIN keeps SQLite from starting at the series.
    query = text(
        f"SELECT {columns}series.measure, SUM(per.total) FROM ({parts(span, chosen)}) per"  # noqa: S608 - names are checked
        f" CROSS JOIN series WHERE series.id = per.series_id AND per.total IS NOT NULL{_named(chosen)}"
        f" GROUP BY {columns}series.measure"
    )
    values = summing.values
    counts: Counts = {}
    for *group, measure, total in connection.execute(query.bindparams(*map(_bound, values.items()))):
        counts.setdefault(tuple(group), {})[measure] = total
    return counts


def _series(
    connection: Connection, conditions: str, wanted: dict[str, Any], values: dict[str, Any]
) -> str | None:
    """The condition on series_id; None where there is no such series.

    PostgreSQL is given the ids: it cannot guess how many a subquery has, and then looks up reading by reading. Where they are more
    than a few of all series, it is kept from looking up each (`+ 0` is no key) and reads the time of the window instead:
    it takes the pages of its key for nearer together than they are.
    """
    ids = f"SELECT series.id FROM series WHERE series.measure IN :measures{conditions}"  # noqa: S608 - names are checked
    if connection.dialect.name == "sqlite":
        values |= wanted
        return f"series_id IN ({ids})"
    query = text(ids).bindparams(bindparam("measures", expanding=True))
    series_ids = connection.execute(query, wanted).scalars().all()
    if not series_ids:
        return None
    values["series"] = series_ids
    connection.exec_driver_sql("SET LOCAL jit = off")  # compiling takes longer than the sum
    looked_up = len(series_ids) < max(_FEW, _FEW_OF_ALL * connection.execute(_ALL_SERIES).scalar_one())
    return f"series_id{'' if looked_up else ' + 0'} = ANY(:series)"


def _named(chosen: str) -> str:
    """PostgreSQL reads all series to find these few, unless they are named again."""
    return f" AND {chosen.replace('series_id', 'series.id')}" if chosen.startswith("series_id = ANY") else ""


class _Summing:
    """Puts the parts of a window together as SQL; `values` are its parameters."""

    def __init__(self, connection: Connection, known_by: datetime | None) -> None:
        self._connection = connection
        self._known_by = known_by
        self.values: dict[str, Any] = {} if known_by is None else {"known_by": known_by}

    def parts(self, window: Span, chosen: str) -> str:
        """SELECT of (series_id, total), a series in as many rows as parts have it."""
        gone = pruned_to(self._connection)  # an older hour stays as it was rolled up, whatever comes into it
        due = set(self._connection.execute(_DUE, {"since": max(window[0], gone), "until": window[1]}).scalars())
        cut = spans(window, due)
        late = cut.rolled_up and due and any(cut.rolled_up[0] <= hour < cut.rolled_up[1] for hour in due)
        if late and self._known_by is not None:
            cut, late = Spans((), (), (window,)), False  # rare, and then the readings themselves are surest
        parts = [self._readings(span, chosen) for span in cut.readings]
        for table, covered in (("reading_daily", cut.days), ("reading_hourly", cut.hours)):
            for span in covered:
                parts.append(self._rollups(table, span, chosen))
                if self._known_by is not None:
                    parts.append(self._known_later(table, span, chosen))
        if late and cut.rolled_up:
            parts += self._late((max(gone, cut.rolled_up[0]), cut.rolled_up[1]), chosen)
        return " UNION ALL ".join(parts)

    def figures(self, window: Span, chosen: str) -> str:
        """The same of figures of days, of which each day counts once: what was reported last, or last by `known_by`."""
        gone = max(pruned_to(self._connection), window[0])
        newest = superseded("reading", self._known("later.known_at"))
        parts = [f"{self._readings((gone, max(gone, window[1])), chosen, ' AND NOT ' + newest)}"]
        if gone > window[0]:
            parts.append(self._rollups("reading_daily", (window[0], min(gone, window[1])), chosen))
        return " UNION ALL ".join(parts)

    def _readings(self, span: Span, chosen: str, also: str = "") -> str:
        return self._sum("value", f"reading WHERE {chosen} AND {self._within('at', span)}{self._known('known_at')}{also}")

    def _rollups(self, table: str, span: Span, chosen: str) -> str:
        return self._sum("total", f"{table} WHERE {chosen} AND {self._within('start', span)}{self._known('known_at')}")

    def _known_later(self, table: str, span: Span, chosen: str) -> str:
        """The readings of roll-ups that hold something learnt later, or that do not say when."""
        length = _LENGTH[self._connection.dialect.name][table]
        return (
            "SELECT r.series_id, SUM(r.value) AS total FROM"  # noqa: S608 - our own names
            f" (SELECT series_id, start FROM {table} WHERE {chosen} AND {self._within('start', span)}"
            " AND (known_at IS NULL OR known_at > :known_by)) later CROSS JOIN reading r"
            f" WHERE r.series_id = later.series_id AND r.at >= later.start AND r.at < later.start + {length}"
            " AND r.known_at <= :known_by GROUP BY r.series_id"
        )

    def _late(self, span: Span, chosen: str) -> list[str]:
        """Take what was rolled up of hours that are due out again, and put their readings in."""
        length = _LENGTH[self._connection.dialect.name]["reading_hourly"]
        due = f"(SELECT series_id, start FROM rollup_due WHERE {self._within('start', span)} AND {chosen}) due"  # noqa: S608
        taken_out = (
            f"SELECT h.series_id, -h.total AS total FROM {due} CROSS JOIN reading_hourly h"  # noqa: S608
            " WHERE h.series_id = due.series_id AND h.start = due.start AND h.total IS NOT NULL"
        )
        put_in = (
            f"SELECT r.series_id, SUM(r.value) AS total FROM {due} CROSS JOIN reading r"  # noqa: S608
            f" WHERE r.series_id = due.series_id AND r.at >= due.start AND r.at < due.start + {length}"
            " GROUP BY r.series_id"
        )
        return [taken_out, put_in]

    def _sum(self, column: str, rest: str) -> str:
        return f"SELECT series_id, SUM({column}) AS total FROM {rest} AND {column} IS NOT NULL GROUP BY series_id"  # noqa: S608

    def _within(self, column: str, span: Span) -> str:
        number = len(self.values)
        self.values |= {f"from_{number}": span[0], f"to_{number}": span[1]}
        return f"{column} >= :from_{number} AND {column} < :to_{number}"

    def _known(self, column: str) -> str:
        return "" if self._known_by is None else f" AND {column} <= :known_by"


def _bound(named: tuple[str, Any]) -> Any:
    name, value = named
    if isinstance(value, datetime):
        return bindparam(name, value, Instant)
    if name == "series":  # an array by its type, so that PostgreSQL has it when it plans and hashes it
        return bindparam(name, value, ARRAY(BigInteger))
    return bindparam(name, value, expanding=True) if isinstance(value, list) else bindparam(name, value)


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
