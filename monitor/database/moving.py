"""Rows moved from a table as it was into the table as it shall be, piece by piece, each piece a transaction.

A piece ends with the row it came to written down (table `setting`), so a migration that was killed goes on where it
stopped. The old table stands until all its rows are counted in the new one; only then is it dropped.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, text

from monitor.database.revision import MIGRATING

ROWS = 50_000  # of a piece

_GET = text("SELECT value FROM setting WHERE name = :name")
_SET = text(
    "INSERT INTO setting (name, value) VALUES (:name, :value) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
)
_FORGET = text("DELETE FROM setting WHERE name = :name")


State = dict[str, int | None]  # `rows` the old table had; `after`: the key moved last, None once all are


@dataclass(frozen=True, slots=True)
class Move:
    """`make` gives the new `table` beside `table_old`; `copy` is the INSERT … SELECT of the rows :after < `key` <= :upto.

    `ready` prepares a piece (partitions). The rows of one `key` are moved together.
    """

    table: str
    key: str
    make: Callable[[Connection], None]
    copy: str
    ready: Callable[[Connection, int, int], None] = lambda _connection, _after, _upto: None

    @property
    def old(self) -> str:
        return f"{self.table}_old"


def move_piece(connection: Connection, revision: str, move: Move) -> bool:
    """Move the next piece; True while there is more to do with this table."""
    name = f"migration:{revision}:{move.table}"
    kept = connection.execute(_GET, {"name": name}).scalar_one_or_none()
    if kept is None:
        state: State = {"rows": _count(connection, move.table), "after": -1}
        connection.execute(_SET, {"name": MIGRATING, "value": revision})
        connection.exec_driver_sql(f"ALTER TABLE {move.table} RENAME TO {move.old}")
        move.make(connection)
    else:
        state = json.loads(kept)
    after = state["after"]
    if after is None:
        return False
    upto = _upto(connection, move, after)
    last = _last(connection, move) if upto is None else upto
    if last is not None and last > after:
        move.ready(connection, after, last)
        connection.execute(text(move.copy), {"after": after, "upto": last})
    state["after"] = upto
    if state["rows"]:
        _say(f"{revision}: {move.table}: {_progress(connection, move, state)}")
    connection.execute(_SET, {"name": name, "value": json.dumps(state)})
    return upto is not None


def settle(connection: Connection, revision: str, move: Move) -> None:
    """Count, then drop the old table. Raises RuntimeError, which undoes the transaction, when rows are missing."""
    name = f"migration:{revision}:{move.table}"
    before = json.loads(connection.execute(_GET, {"name": name}).scalar_one())["rows"]
    after = _count(connection, move.table)
    if after < before:
        raise RuntimeError(
            f"{revision}: {move.table} had {before} rows and would have {after}: nothing was dropped, the rows are in"
            f" {move.old}"
        )
    if before:
        _say(f"{revision}: {move.table}: {before} rows before, {after} after")
    connection.exec_driver_sql(f"DROP TABLE {move.old}")
    for each in (name, MIGRATING):
        connection.execute(_FORGET, {"name": each})


def _upto(connection: Connection, move: Move, after: int) -> int | None:
    """The key the piece ends with; None: the piece is the rest."""
    query = f"SELECT {move.key} FROM {move.old} WHERE {move.key} > :after ORDER BY {move.key} LIMIT 1 OFFSET :rows"  # noqa: S608 - our own names
    key: int | None = connection.execute(text(query), {"after": after, "rows": ROWS}).scalar_one_or_none()
    return key


def _last(connection: Connection, move: Move) -> int | None:
    newest: int | None = connection.exec_driver_sql(f"SELECT max({move.key}) FROM {move.old}").scalar_one()  # noqa: S608
    return newest


def _progress(connection: Connection, move: Move, state: State) -> str:
    if state["after"] is None:
        return f"all of {state['rows']} rows moved"
    return f"moved up to {move.key} {state['after']} of {_last(connection, move)} ({state['rows']} rows)"


def _count(connection: Connection, table: str) -> int:
    return int(connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one())  # noqa: S608


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
