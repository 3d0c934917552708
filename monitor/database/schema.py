"""The schema's versions: Alembic, run from within (migrations/ holds the revisions)."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, func, select, text
from sqlmodel import SQLModel

from monitor.database.engine import Engines, table
from monitor.database.tables import BatchRow, Job, RollupDue, Series

_SIZE = {
    "sqlite": "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()",
    "postgresql": "SELECT pg_database_size(current_database())",
}


def migrate(engines: Engines, revision: str = "head") -> None:
    """Upgrade to the newest revision (or another) in one transaction; processes that start together take turns."""
    with engines.alone() as connection:
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def revisions(connection: Connection) -> tuple[str | None, str | None]:
    """The revision the database has, and the one this program wants."""
    has = MigrationContext.configure(connection).get_current_revision()
    return has, ScriptDirectory.from_config(_config()).get_current_head()


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


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    return config
