"""The schema's versions: Alembic, run from within (migrations/ holds the revisions)."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from monitor.store.engine import Engines


def migrate(engines: Engines) -> None:
    """Upgrade to the newest revision in one transaction; processes that start together take turns."""
    with engines.alone() as connection:
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def revisions(connection: Connection) -> tuple[str | None, str | None]:
    """The revision the database has, and the one this program wants."""
    has = MigrationContext.configure(connection).get_current_revision()
    return has, ScriptDirectory.from_config(_config()).get_current_head()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    return config
