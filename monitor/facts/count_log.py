"""What each batch added to the counts, for whoever keeps sums of them in memory: kept for minutes, then the sums are built anew.

A reading does not say by itself that it is new: readings lie by series and time. So every batch with counts leaves one row, the
same additions in one packed column, written in its transaction; batches commit in the order of their ids
(monitor.facts.following), so whoever read up to a batch misses nothing before it.
"""

from __future__ import annotations

import zlib
from array import array
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, text

from monitor.database.bulk import Slice
from monitor.database.engine import Engines, table
from monitor.database.tables import CountedRow, Instant, to_micros

_WIDTH = 8  # bytes of each number
_OLD = text("""\
DELETE FROM counted WHERE batch_id < (SELECT max(counted.batch_id) FROM counted
  JOIN batch ON batch.id = counted.batch_id WHERE batch.known_at < :before)""").bindparams(bindparam("before", type_=Instant))
_SINCE = text("""\
SELECT batch_id, counts FROM counted WHERE batch_id > :batch OR batch_id = (SELECT min(batch_id) FROM counted)
ORDER BY batch_id""")


class Added(NamedTuple):
    """Additions in three columns of equal length: series ids, instants (microseconds since 1970) and values, as bytes of
    64-bit integers and floats of this machine.
    """

    series: bytes
    at: bytes
    values: bytes


def write(connection: Connection, slices: Iterable[Slice]) -> None:
    """Keep what these batches add, in the transaction that adds it."""
    by_batch: defaultdict[int, tuple[array[int], array[int], array[float]]] = defaultdict(
        lambda: (array("q"), array("q"), array("d"))
    )
    for each in slices:
        series, at, values = by_batch[each.batch_id]
        series.extend(each.values.keys())
        at.extend([to_micros(each.at)] * len(each.values))
        values.extend(each.values.values())
    if by_batch:
        connection.execute(table(CountedRow).insert(), [
            {"batch_id": batch_id, "counts": zlib.compress(b"".join(column.tobytes() for column in columns), 1)}
            for batch_id, columns in by_batch.items()
        ])  # fmt: skip


def added_since(connection: Connection, batch: int) -> list[Added] | None:
    """What was added after a batch, in the order of batches; None where some of it may be kept no more."""
    rows = connection.execute(_SINCE, {"batch": batch}).all()
    if rows and rows[0][0] > batch:  # whatever went lay before the first row there is
        return None
    return [_unpacked(counts) for batch_id, counts in rows if batch_id > batch]


def prune(engines: Engines, before: datetime) -> int:
    """Throw away what was known before; returns the rows. The newest of them stays: up to there nothing is missing."""
    with engines.writing() as connection:
        return connection.execute(_OLD, {"before": before}).rowcount


def _unpacked(packed: bytes) -> Added:
    plain = zlib.decompress(packed)
    size = len(plain) // (3 * _WIDTH) * _WIDTH
    return Added(plain[:size], plain[size : 2 * size], plain[2 * size :])
