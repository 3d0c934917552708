"""What retention will free: rows of each kind (kept.KINDS) whose time is over by an instant, without reading whole tables.

Kinds with an index on their time are counted, up to a bound. Of readings, roll-ups and traces on SQLite some series and
customers are looked at and stand for the others; on PostgreSQL whole partitions go, and their statistics are asked.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, and_, bindparam, func, not_, select, text

from monitor.config.settings import Retention
from monitor.database.kept import KINDS, Kind, ends_at
from monitor.database.partitions import PARTED, end_of, parts_of
from monitor.database.tables import Instant

_MOST = 100_000  # counted of a kind
_SAMPLED, _MOST_OF_ONE = 200, 20_000  # series or customers looked at, and rows counted of each
_PART_ROWS = text("SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = to_regclass(:part)")
# who can stand in the index of traces: a step down it per customer, however many traces there are
CUSTOMERS = text("""\
WITH RECURSIVE owners (owner) AS (
  SELECT min(customer) FROM trace UNION ALL
  SELECT (SELECT min(customer) FROM trace WHERE customer > owner) FROM owners WHERE owner IS NOT NULL)
SELECT owner FROM owners WHERE owner IS NOT NULL""")


class Freed(NamedTuple):
    """`estimated`: so many or so, not counted one by one."""

    kind: str
    table: str
    setting: str
    rows: int
    estimated: bool


def freed(connection: Connection, now: datetime, retention: Retention) -> list[Freed]:
    """What a prune at `now` would remove, by kind."""
    kinds = []
    for kind in KINDS:
        before = ends_at(kind, now, retention)
        if not kind.month:
            rows, estimated = _counted(connection, kind, before)
        elif connection.dialect.name == "postgresql":
            rows, estimated = _ended(connection, kind.name, before), True
        else:
            rows, estimated = _sampled(connection, kind.name, before)
        kinds.append(Freed(kind.name, str(kind.model.__tablename__), kind.setting, rows, estimated))
    return kinds


def _counted(connection: Connection, kind: Kind, before: datetime) -> tuple[int, bool]:
    old = select(kind.since).where(and_(kind.since < before, not_(kind.unless))).limit(_MOST).subquery()
    rows = connection.execute(select(func.count()).select_from(old)).scalar_one()
    return rows, rows == _MOST


def _ended(connection: Connection, name: str, before: datetime) -> int:
    ended = [part for part in parts_of(connection, name) if end_of(part) <= before]
    return sum(connection.execute(_PART_ROWS, {"part": part}).scalar_one() for part in ended)


def _sampled(connection: Connection, name: str, before: datetime) -> tuple[int, bool]:
    if name == "trace":
        owner, owners = "customer", list(connection.execute(CUSTOMERS).scalars())
    else:
        owner, owners = "series_id", list(connection.execute(text("SELECT id FROM series ORDER BY id")).scalars())
    step = max(1, len(owners) // _SAMPLED)
    some = text(
        f"SELECT count(*) FROM (SELECT 1 FROM {name} WHERE {owner} = :owner AND {PARTED[name].column} < :before LIMIT {_MOST_OF_ONE})"  # noqa: S608 - our own names
    ).bindparams(bindparam("before", before, Instant))
    counts = [connection.execute(some, {"owner": each}).scalar_one() for each in owners[::step]]
    estimated = step > 1 or _MOST_OF_ONE in counts
    return (round(sum(counts) * len(owners) / len(counts)) if counts else 0), estimated
