"""How large a table of SQLite is, without reading it: the first pages of each tree say how wide the others are.

A count(*) and SQLite's own table of pages (dbstat) read every page. Pages of a tree come depth first, so a few hundred
show the root, some inner pages and the leaves below: pages of a level = pages above times entries of those seen. A tree that is
seen whole is counted exactly.
"""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

_PAGES = 400  # of a tree looked at: 1.6 MB
_WALK = text("SELECT path, pagetype, ncell FROM dbstat WHERE name = :name LIMIT :most")
_TREES = text("""\
SELECT name, tbl_name, type = 'index' OR sql LIKE '%WITHOUT ROWID%' FROM sqlite_master
WHERE rootpage > 0 AND tbl_name NOT LIKE 'sqlite~_%' ESCAPE '~' ORDER BY tbl_name""")
_PAGE_BYTES = text("SELECT page_size FROM pragma_page_size()")


class Size(NamedTuple):
    """`bytes` with indexes; None where SQLite was built without dbstat (then rows are counted)."""

    rows: int
    bytes: int | None
    estimated: bool


def sizes(connection: Connection) -> dict[str, Size]:
    """By table."""
    page = int(connection.execute(_PAGE_BYTES).scalar_one())
    tables: dict[str, Size] = {}
    for name, table, keys_inside in connection.execute(_TREES).all():
        try:
            tree = _tree(connection, name, page, keys_inside=bool(keys_inside))
        except OperationalError:
            return _counted(connection)
        so_far = tables.get(table, Size(0, 0, estimated=False))
        rows = tree.rows if name == table else so_far.rows
        tables[table] = Size(rows, (so_far.bytes or 0) + (tree.bytes or 0), so_far.estimated or tree.estimated)
    return tables


def _counted(connection: Connection) -> dict[str, Size]:
    names = {table for _, table, _ in connection.execute(_TREES).all()}
    count = 'SELECT count(*) FROM "{}"'
    return {name: Size(connection.exec_driver_sql(count.format(name)).scalar_one(), None, estimated=False) for name in names}


def _tree(connection: Connection, name: str, page: int, *, keys_inside: bool) -> Size:
    """`keys_inside`: inner pages hold rows too (indexes and tables WITHOUT ROWID)."""
    seen = connection.execute(_WALK, {"name": name, "most": _PAGES}).all()
    cells: dict[int, list[int]] = defaultdict(list)  # entries of the pages of each level
    for path, kind, count in seen:
        if kind != "overflow":
            cells[path.count("/") - 1].append(count)
    levels = sorted(cells)
    if len(seen) < _PAGES:
        counted = sum(sum(cells[level]) for level in levels if keys_inside or level == levels[-1])
        return Size(counted, len(seen) * page, estimated=False)
    pages, total, rows_inside = 1.0, 0.0, 0.0
    for level in levels[:-1]:
        mean = sum(cells[level]) / len(cells[level])
        total, rows_inside, pages = total + pages, rows_inside + pages * mean, pages * (mean + 1)
    leaves = cells[levels[-1]]
    rows = pages * sum(leaves) / len(leaves) + (rows_inside if keys_inside else 0)
    overflow = sum(kind == "overflow" for _, kind, _ in seen) / len(leaves)
    return Size(round(rows), round((total + pages * (1 + overflow)) * page), estimated=True)
