"""The inventory's tables: read as one `Inventory`, changed by a `Difference` in the caller's transaction.

Removing an item removes its row here; facts about it stay until their own retention ends.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import and_, bindparam, delete, insert, update
from sqlmodel import Session, SQLModel, col, select

from collectors.contract import Role
from monitor.database.engine import chunks, insert_into, table
from monitor.database.tables import (
    Customer,
    MailboxProvider,
    Pool,
    ReportMailbox,
    Seed,
    SendingDomain,
    SendingIp,
    Setting,
    Stream,
)
from monitor.database.transitions import new_id
from monitor.inventory.difference import Change, Difference
from monitor.inventory.items import KINDS, Inventory

# an item has the fields of its row
ROWS: dict[str, type[SQLModel]] = {
    "customers": Customer, "streams": Stream, "pools": Pool, "ips": SendingIp, "domains": SendingDomain,
    "providers": MailboxProvider, "seeds": Seed, "mailboxes": ReportMailbox,
}  # fmt: skip

INVENTORY_MARK = "inventory_mark"  # the setting that is another after every change, for whoever follows the inventory


def read_inventory(session: Session) -> Inventory:
    """All that is stored."""
    stored: dict[str, Any] = {}
    for kind, row in ROWS.items():
        rows = session.connection().execute(table(row).select()).mappings()
        items = [KINDS[kind].model_validate(_readable(kind, dict(values))) for values in rows]
        stored[kind] = {item.key: item for item in items}
    return Inventory(**stored)


def _readable(kind: str, values: dict[str, Any]) -> dict[str, Any]:
    """A role of an older version that is no longer one counts as sending, as it did."""
    if kind == "ips" and values["role"] not in set(Role):
        values["role"] = Role.MTA
    return values


def apply_difference(session: Session, difference: Difference) -> None:
    """Adds and changes from the referred to the referring, then removes the other way round."""
    for what in ("added", "changed"):
        for kind in KINDS:
            _write(session, kind, what, difference.of(kind, what))
    for kind in reversed(KINDS):
        _write(session, kind, "removed", difference.of(kind, "removed"))
    if difference.changes:
        mark = insert_into(session.connection(), Setting).values(name=INVENTORY_MARK, value=new_id("inv"))
        session.connection().execute(mark.on_conflict_do_update(index_elements=["name"], set_={"value": mark.excluded.value}))


def pools_of_addresses(session: Session) -> dict[str, str | None]:
    """Every sending IP, and the pool it is in."""
    return dict(session.exec(select(SendingIp.address, SendingIp.pool)).all())


def owners_of_addresses(session: Session) -> dict[str, str]:
    """The sending IPs that are one customer's alone, with that customer."""
    rows = session.exec(select(SendingIp.address, SendingIp.customer).where(col(SendingIp.customer).is_not(None)))
    return {address: str(customer) for address, customer in rows}


def streams_of_customers(session: Session) -> dict[str, frozenset[str]]:
    """Every customer the inventory knows, with its streams."""
    streams: dict[str, set[str]] = {customer: set() for customer in session.exec(select(Customer.id))}
    for customer, name in session.exec(select(Stream.customer, Stream.name)):
        streams[customer].add(name)
    return {customer: frozenset(names) for customer, names in streams.items()}


def stream_kinds(session: Session) -> dict[tuple[str, str], str]:
    """(customer, stream) → transactional or marketing."""
    chosen = select(Stream.customer, Stream.name, Stream.kind)
    return {(customer, name): kind for customer, name, kind in session.exec(chosen)}


def stream_kind(session: Session, customer: str, name: str) -> str | None:
    """None for a stream the inventory does not have."""
    row = session.get(Stream, (customer, name))
    return row.kind if row else None


def has_customer(session: Session, customer: str) -> bool:
    return session.get(Customer, customer) is not None


def mailboxes(session: Session, purpose: str | None = None) -> list[ReportMailbox]:
    """The mailboxes that hold reports, of one purpose or of all."""
    chosen = select(ReportMailbox)
    return list(session.exec(chosen if purpose is None else chosen.where(ReportMailbox.purpose == purpose)))


def all_targets(session: Session) -> set[str]:
    """Every sending IP and sending domain."""
    return {*session.exec(select(SendingIp.address)), *session.exec(select(SendingDomain.domain))}


def addresses_among(session: Session, names: Collection[str]) -> dict[str, tuple[str | None, str | None]]:
    """Of these names those that are sending IPs, with pool and customer."""
    known: dict[str, tuple[str | None, str | None]] = {}
    for chunk in chunks(sorted(names)):
        chosen = select(SendingIp.address, SendingIp.pool, SendingIp.customer).where(col(SendingIp.address).in_(chunk))
        known |= {name: (pool, customer) for name, pool, customer in session.exec(chosen)}
    return known


def domains_among(session: Session, names: Collection[str]) -> dict[str, str | None]:
    """Of these names those that are sending domains, with their customer."""
    known: dict[str, str | None] = {}
    for chunk in chunks(sorted(names)):
        chosen = select(SendingDomain.domain, SendingDomain.customer).where(col(SendingDomain.domain).in_(chunk))
        known |= dict(session.exec(chosen).all())
    return known


def _write(session: Session, kind: str, what: str, changes: list[Change]) -> None:
    if not changes:
        return
    rows = table(ROWS[kind])
    this = and_(*(column == bindparam(f"key_{column.name}") for column in rows.primary_key))
    statements: dict[str, Any] = {
        "added": insert(rows), "changed": update(rows).where(this), "removed": delete(rows).where(this)
    }
    session.connection().execute(statements[what], [_values(change) for change in changes])


def _values(change: Change) -> dict[str, Any]:
    new = change.new.model_dump(mode="json") if change.new else {}
    old = {f"key_{name}": getattr(change.old, name) for name in change.old.key_fields} if change.old else {}
    return new | old
