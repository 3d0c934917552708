"""Old readings, roll-ups and traces out of SQLite, where a month is no thing that could be dropped.

Rows of one series lie together, in the order of time: one look at the beginning of each series says whether it has old
ones. Traces lie in the order they came: they are looked up by customer in an index, and deleted in that order, so that
neighbours go together. No transaction holds the writer for more than some tens of thousands of rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from sqlalchemy import Connection, bindparam, text

from monitor.database.engine import Engines
from monitor.database.freed import CUSTOMERS
from monitor.database.partitions import PARTED
from monitor.database.tables import Instant, to_micros

_Piece = Sequence[tuple[int, ...]]  # parameters of one statement

_ROWS = 20_000  # of readings, per transaction
_SERIES = 50  # looked at between two counts of what went
_TRACES = 10_000  # per transaction: each costs several indexes
_TRACES_AT_ONCE = 200_000  # ids kept in memory

_OLD_TRACES = text("SELECT id FROM trace WHERE customer = :owner AND at < :before LIMIT :most").bindparams(
    bindparam("before", type_=Instant)
)


def delete_of_series(engines: Engines, name: str, before: datetime) -> int:
    """Rows of `name` before an instant; returns how many went."""
    column = PARTED[name].column
    find = text(
        f"SELECT id FROM series WHERE EXISTS (SELECT 1 FROM {name} WHERE series_id = series.id AND {column} < :before)"  # noqa: S608 - our own names
    ).bindparams(bindparam("before", before, Instant))
    with engines.reading() as connection:
        ids = list(connection.execute(find).scalars())
    remove = f"DELETE FROM {name} WHERE series_id = ? AND {column} < ?"  # noqa: S608 - our own names
    pieces = _pieces([(id_, to_micros(before)) for id_ in ids], _SERIES)
    return _delete(engines, remove, pieces, _ROWS)


def delete_traces(engines: Engines, before: datetime) -> int:
    """Traces before an instant; returns how many went."""
    deleted = 0
    while ids := _old_traces(engines, before):
        pieces = _pieces([(id_,) for id_ in ids], _TRACES)
        deleted += _delete(engines, "DELETE FROM trace WHERE id = ?", pieces, _TRACES)
    return deleted


def _old_traces(engines: Engines, before: datetime) -> list[int]:
    ids: list[int] = []
    with engines.reading() as connection:
        for owner in list(connection.execute(CUSTOMERS).scalars()):
            wanted = {"owner": owner, "before": before, "most": _TRACES_AT_ONCE - len(ids)}
            ids += connection.execute(_OLD_TRACES, wanted).scalars()
            if len(ids) >= _TRACES_AT_ONCE:
                break
    return sorted(ids)


def _pieces(parameters: _Piece, size: int) -> Iterator[_Piece]:
    return (parameters[start : start + size] for start in range(0, len(parameters), size))


def _delete(engines: Engines, statement: str, pieces: Iterator[_Piece], most: int) -> int:
    """Piece by piece, as many of them in a transaction as delete `most` rows together."""
    deleted, more = 0, True
    while more:
        with engines.writing() as connection:
            gone, more = _until(connection, statement, pieces, most)
        deleted += gone
    return deleted


def _until(
    connection: Connection, statement: str, pieces: Iterator[_Piece], most: int
) -> tuple[int, bool]:
    """Rows deleted, and whether pieces may be left."""
    gone = 0
    for piece in pieces:
        gone += connection.exec_driver_sql(statement, list(piece)).rowcount
        if gone >= most:
            return gone, True
    return gone, False
