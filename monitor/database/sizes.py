"""How large each table is, and what retention will free next."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Connection, text

from monitor.database.btree import sizes
from monitor.database.partitions import end_of, parts_of

# A partition counts for its parent; rows as of the last ANALYZE, for counting them would read them all.
_POSTGRESQL = text("""\
SELECT coalesce(parent.relname, part.relname), sum(greatest(part.reltuples, 0))::bigint,
  sum(pg_total_relation_size(part.oid))::bigint
FROM pg_class part LEFT JOIN pg_inherits ON inhrelid = part.oid LEFT JOIN pg_class parent ON parent.oid = inhparent
WHERE part.relkind IN ('r', 'p') AND part.relnamespace = current_schema()::regnamespace GROUP BY 1 ORDER BY 3 DESC, 1""")
_PART_BYTES = text("SELECT pg_total_relation_size(to_regclass(:part))")


class TableSize(NamedTuple):
    """`bytes` with indexes; None where SQLite was built without its table of pages (dbstat)."""

    table: str
    rows: int
    bytes: int | None
    frees_bytes: int | None = None  # the oldest partition, on PostgreSQL
    frees_at: datetime | None = None  # when it goes
    estimated: bool = False  # from a few pages of each tree, or PostgreSQL's own statistics


def table_sizes(connection: Connection, keep: Mapping[str, timedelta]) -> list[TableSize]:
    """The largest first. `keep`: how long rows of a table in partitions are kept."""
    if connection.dialect.name == "sqlite":
        return _sqlite(connection)
    tables = [TableSize(name, rows, size, estimated=True) for name, rows, size in connection.execute(_POSTGRESQL)]
    return [_with_next(connection, each, keep[each.table]) if each.table in keep else each for each in tables]


def _with_next(connection: Connection, size: TableSize, keep: timedelta) -> TableSize:
    parts = parts_of(connection, size.table)
    if not parts:
        return size
    frees = connection.execute(_PART_BYTES, {"part": parts[0]}).scalar_one()
    return size._replace(frees_bytes=frees, frees_at=end_of(parts[0]) + keep)


def _sqlite(connection: Connection) -> list[TableSize]:
    tables = [TableSize(name, size.rows, size.bytes, estimated=size.estimated) for name, size in sizes(connection).items()]
    return sorted(tables, key=lambda each: -(each.bytes or 0))
