"""The schema's versions: Alembic, run from within (migrations/ holds the revisions)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from alembic import command
from alembic.runtime.migration import MigrationContext
from alembic.script import Script
from sqlalchemy import Connection, func, select, text
from sqlmodel import SQLModel

from monitor.database.engine import Engines, table
from monitor.database.partitions import is_part
from monitor.database.revision import OtherSchemaError, alembic_config, newest_revision, scripts
from monitor.database.tables import BatchRow, Job, RollupDue, Series
from monitor.database.views import drop_views, ensure_views

_SIZE = {
    "sqlite": "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()",
    "postgresql": "SELECT pg_database_size(current_database())",
}


def migrate(engines: Engines, to: str | None = None) -> None:
    """Upgrade to revision `to`, or the newest. Processes that start together take turns, piece by piece.

    Each revision is stamped in the transaction that ends it. One with rows to move does so in pieces before
    (`move`, called until it returns False), so whoever was killed goes on where it stopped. Raises OtherSchemaError.
    """
    while True:
        with engines.alone(any_schema=True) as connection:
            script = _next(connection)
            if script is None or script.down_revision == to is not None:
                if script is None:
                    ensure_views(connection)
                return
            drop_views(connection)
            move = getattr(script.module, "move", None)
            if move is not None and move(connection):
                continue
            config = alembic_config()
            config.attributes["connection"] = connection
            command.upgrade(config, script.revision)


def _next(connection: Connection) -> Script | None:
    """The revision to upgrade to next; None where there is none."""
    has, wants = revisions(connection)
    if has == wants:
        return None
    known = {script.revision: script for script in scripts().walk_revisions()}
    if has is not None and has not in known:
        raise OtherSchemaError(
            f"the database has schema {has}, which is newer than this program (it knows {wants}):"
            " run the newer Vigie, or restore the backup made before the upgrade"
        )
    return next(script for script in known.values() if script.down_revision == has)


def revisions(connection: Connection) -> tuple[str | None, str | None]:
    """The revision the database has, and the one this program wants."""
    has = MigrationContext.configure(connection).get_current_revision()
    return has, newest_revision()


def compared(dialect: str) -> Callable[[Any, str | None, str, bool, Any], bool]:
    """Which objects of the models and the database have to agree: not partitions, nor what the other engine has."""

    def included(item: Any, name: str | None, kind: str, _reflected: bool, _other: Any) -> bool:
        if kind == "index" and item.table is not None and is_part(item.table.name):
            return False
        if kind == "table" and is_part(name):
            return False
        return bool(item.info.get("only", dialect) == dialect)

    return included


def info(connection: Connection) -> dict[str, object]:
    """What `vigie db info` shows; only what is cheap to ask of a large database."""
    has, wants = revisions(connection)
    counted = {each.__tablename__: _count(connection, each) for each in (Series, BatchRow, RollupDue, Job) if has}
    return {
        "engine": connection.dialect.name,
        "revision": has,
        "newest_revision": wants,
        "bytes": connection.execute(text(_SIZE[connection.dialect.name])).scalar_one(),
        **{f"{name}_count": count for name, count in counted.items()},
    }


def _count(connection: Connection, model: type[SQLModel]) -> int:
    return int(connection.execute(select(func.count()).select_from(table(model))).scalar_one())

