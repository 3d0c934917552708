"""A person's data out of every table: what names one recipient goes, what was counted of the mail stays.

A trace keeps its fact (a bounce at a provider) and loses whom it was about; evidence and parked input that hold the
address are thrown away; texts lose the hash form of it. Suppressions in force are the person's own wish not to be
mailed and are kept unless asked for. An address that stands in a mail only in an encoded form is found through the
traces made from that mail.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import JSON, Column, Connection, String, Table, Update, cast, func, or_, select, update
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.types import TypeDecorator
from sqlmodel import SQLModel

from monitor.database.bodies import holds
from monitor.database.engine import chunks, table
from monitor.database.recipient_keys import RecipientKeys, form_of
from monitor.database.tables import Customer, EvidenceRow, ParkedRow, Suppression, TraceRow

ERASED = "recipient:erased"
_BODIES_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class Person:
    """One recipient: the address, its hash, and what each customer's sender calls it."""

    address: str
    hash: str
    refs: tuple[str, ...]


def person(connection: Connection, keys: RecipientKeys, address: str) -> Person:
    customers = connection.execute(select(table(Customer).c.id)).scalars()
    named = set(connection.execute(select(table(Suppression).c.customer).distinct()).scalars())
    refs = tuple(keys.ref(customer, address) for customer in sorted(named.union(customers)))
    return Person(address.strip().strip("<>").lower(), keys.hash(address), refs)


def erase(connection: Connection, who: Person, *, suppressions: bool = False) -> dict[str, int]:
    """Rows changed or gone, by table; those with none are left out. May be repeated."""
    traces = table(TraceRow)
    about = _about(traces, who)
    batches = set(connection.execute(select(traces.c.batch_id).where(about)).scalars())
    gone = {
        "evidence": _drop_bodies(connection, table(EvidenceRow), who, batches),
        "parked": _drop_bodies(connection, table(ParkedRow), who, set()),
        "trace": connection.execute(
            update(traces).where(about).values(
                recipient_hash=None, recipient_ref=None, message_id=None, message_hash=None, text=None
            )
        ).rowcount,
    }
    if suppressions:
        rows = table(Suppression)
        gone["suppression"] = connection.execute(rows.delete().where(rows.c.recipient_ref.in_(who.refs))).rowcount
    for name, count in _redact_texts(connection, who).items():
        gone[name] = gone.get(name, 0) + count
    return {name: count for name, count in gone.items() if count}


def suppressed(connection: Connection, who: Person) -> int:
    """How many suppressions of this recipient are in force."""
    rows = table(Suppression)
    in_force = select(func.count()).where(rows.c.recipient_ref.in_(who.refs), rows.c.lifted_at.is_(None))
    return connection.execute(in_force).scalar_one()


def _about(traces: Table, who: Person) -> ColumnElement[bool]:
    return or_(traces.c.recipient_hash == who.hash, traces.c.recipient_ref.in_(who.refs))


def _drop_bodies(connection: Connection, rows: Table, who: Person, batches: set[int]) -> int:
    spellings = _spellings(who.address)
    ids = [id_ for id_, batch_id, body in _bodies(connection, rows) if batch_id in batches or holds(body, spellings)]
    for chunk in chunks(ids):
        connection.execute(rows.delete().where(rows.c.id.in_(chunk)))
    return len(ids)


def _bodies(connection: Connection, rows: Table) -> Iterator[tuple[int, int, bytes]]:
    last = 0
    while True:
        query = select(rows.c.id, rows.c.batch_id, rows.c.body).where(rows.c.id > last).order_by(rows.c.id)
        piece = connection.execute(query.limit(_BODIES_AT_ONCE)).all()
        if not piece:
            return
        for id_, batch_id, body in piece:
            yield id_, batch_id, bytes(body)
        last = piece[-1][0]


def _spellings(address: str) -> tuple[bytes, ...]:
    """As it is, in URLs and quoted-printable, and as the owner of a return path (VERP)."""
    return tuple(address.replace("@", at).encode() for at in ("@", "%40", "=40", "="))


def _redact_texts(connection: Connection, who: Person) -> dict[str, int]:
    form, changed = form_of(who.hash), dict[str, int]()
    for rows in SQLModel.metadata.sorted_tables:
        for column in rows.columns:
            if _is_text(column) and not column.primary_key:
                count = connection.execute(_without(rows, column, form, connection.dialect.name)).rowcount
                changed[rows.name] = changed.get(rows.name, 0) + count
    return changed


def _is_text(column: Column[Any]) -> bool:
    kind = column.type.impl_instance if isinstance(column.type, TypeDecorator) else column.type
    return isinstance(kind, String | JSON)


def without(text: str, who: Person) -> str:
    """A text that is written about the erasure itself, without the person."""
    return text.replace(form_of(who.hash), ERASED)


def _without(rows: Table, column: Column[Any], form: str, dialect: str) -> Update:
    text = cast(column, String)
    value: ColumnElement[Any] = func.replace(text, form, ERASED)
    if isinstance(column.type, JSON) and dialect == "postgresql":  # SQLite keeps JSON as text
        value = cast(value, JSON)
    return update(rows).where(text.contains(form, autoescape=True)).values({column.name: value})
