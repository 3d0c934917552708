"""Values this store made for itself, by name."""

from __future__ import annotations

from sqlmodel import Session, select

from monitor.database.engine import insert_into
from monitor.database.tables import Setting


def read_setting(session: Session, name: str) -> str | None:
    return session.exec(select(Setting.value).where(Setting.name == name)).first()


def write_setting(session: Session, name: str, value: str) -> None:
    connection = session.connection()
    insert = insert_into(connection, Setting).values(name=name, value=value)
    connection.execute(insert.on_conflict_do_update(index_elements=["name"], set_={"value": value}))
