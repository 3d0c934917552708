"""Which schema the database has and this program knows: a program writes into no other.

A process may be running while a newer one upgrades the database. Whatever it writes after that would be written in the old
way; so every writing transaction looks first.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

MIGRATING = "migrating"  # a setting, while rows are being moved for the revision it names
_STANDS = text(
    f"SELECT (SELECT version_num FROM alembic_version), (SELECT value FROM setting WHERE name = '{MIGRATING}')"  # noqa: S608 - our own name
)


class OtherSchemaError(Exception):
    """The database has a schema this program does not know, or no longer the one it began with."""


def check_revision(connection: Connection) -> None:
    """Raises OtherSchemaError unless the database has the schema of this program, and nobody is changing it."""
    revision, migrating = connection.execute(_STANDS).one()
    if revision != newest_revision() or migrating is not None:
        what = f"was upgraded to schema {revision}" if migrating is None else f"is being upgraded to schema {migrating}"
        raise OtherSchemaError(
            f"the database {what} while this process, which knows {newest_revision()},"
            " was running: nothing was written; start it again with the new version"
        )


@cache
def newest_revision() -> str:
    """The revision this program wants."""
    return str(scripts().get_current_head())


def scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(alembic_config())


def alembic_config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    return config
