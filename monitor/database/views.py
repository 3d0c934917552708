"""The views that dashboards read on PostgreSQL (grafana_views.sql), and who may read them.

A view stands in the way of a change of its tables, so each migration drops them and the end of all migrations makes them anew.
The roles that may read them are kept in a setting, for a dropped view forgets its rights. SQLite has none: Grafana reads PostgreSQL.
"""

from __future__ import annotations

import hashlib
import json
import re
from importlib.resources import files

from sqlalchemy import Connection, text

_MADE = "dashboard_views"
_READERS = "dashboard_readers"
_SQL = files("monitor.database").joinpath("grafana_views.sql").read_text()
NAMES = tuple(re.findall(r"^CREATE VIEW (grafana_[a-z_]+) AS", _SQL, re.MULTILINE))
_SET = text("INSERT INTO setting (name, value) VALUES (:name, :value) ON CONFLICT (name) DO UPDATE SET value = excluded.value")
_GET = text("SELECT value FROM setting WHERE name = :name")
_EXISTS = text("SELECT to_regclass('setting') IS NOT NULL")
_PRESENT = text("SELECT count(*) FROM pg_views WHERE viewname LIKE 'grafana\\_%' AND schemaname = current_schema()")
_ROLE = text("SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = :role")


class RoleError(ValueError):
    """There is no such role, or it may do too much to be a dashboard's."""


def drop_views(connection: Connection) -> None:
    """Drop them all; within the transaction of a migration. Does nothing on SQLite and in an empty database."""
    if connection.dialect.name != "postgresql" or not connection.execute(_EXISTS).scalar_one():
        return
    for name in reversed(NAMES):
        connection.exec_driver_sql(f"DROP VIEW IF EXISTS {name}")
    _put(connection, _MADE, "")


def ensure_views(connection: Connection) -> None:
    """Make them where they are missing or of another version of this program; the schema is the newest."""
    if connection.dialect.name != "postgresql":
        return
    wanted = hashlib.sha256(_SQL.encode()).hexdigest()
    if _get(connection, _MADE) == wanted and connection.execute(_PRESENT).scalar_one() == len(NAMES):
        return  # a restored database brings the setting and not the views
    drop_views(connection)
    connection.exec_driver_sql(_SQL.replace("%", "%%"))
    for role in readers(connection):
        if connection.execute(_ROLE, {"role": role}).scalar_one_or_none() is not None:
            _grant(connection, role)
    _put(connection, _MADE, wanted)


def allow(connection: Connection, role: str) -> None:
    """Let this role read the views, now and after every migration, and nothing else. Raises RoleError."""
    may_do_all = connection.execute(_ROLE, {"role": role}).scalar_one_or_none()
    if may_do_all is None:
        raise RoleError(f"no role {role!r} in this database; make it first: CREATE ROLE {_quoted(connection, role)} LOGIN PASSWORD '…'")
    if may_do_all:
        raise RoleError(f"role {role!r} may do everything already: dashboards need a role of their own")
    _put(connection, _READERS, json.dumps(sorted({*readers(connection), role})))
    _grant(connection, role)


def readers(connection: Connection) -> list[str]:
    """The roles that may read the views."""
    return list(json.loads(_get(connection, _READERS) or "[]"))


def _grant(connection: Connection, role: str) -> None:
    quoted = _quoted(connection, role)
    connection.exec_driver_sql(f"GRANT SELECT ON {', '.join(NAMES)} TO {quoted}")
    # a runaway panel must not hold up the service; a session may set another, so this guards against accidents only
    connection.exec_driver_sql(f"ALTER ROLE {quoted} SET statement_timeout = '30s'")
    connection.exec_driver_sql(f"ALTER ROLE {quoted} SET default_transaction_read_only = on")


def _quoted(connection: Connection, role: str) -> str:
    return connection.dialect.identifier_preparer.quote_identifier(role).replace("%", "%%")


def _get(connection: Connection, name: str) -> str | None:
    value: str | None = connection.execute(_GET, {"name": name}).scalar_one_or_none()
    return value


def _put(connection: Connection, name: str, value: str) -> None:
    connection.execute(_SET, {"name": name, "value": value})
