"""The inventory's tables: read as one `Inventory`, changed by a `Difference` in the caller's transaction.

Removing an item removes its row here; facts about it stay until their own retention ends.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import and_, bindparam, delete, insert, select, update
from sqlmodel import Session, SQLModel

from monitor.database.engine import table
from monitor.database.tables import (
    Customer,
    MailboxProvider,
    Pool,
    ReportMailbox,
    Seed,
    SendingDomain,
    SendingIp,
    Stream,
)
from monitor.inventory.difference import Change, Difference
from monitor.inventory.items import KINDS, Inventory

# an item has the fields of its row
ROWS: dict[str, type[SQLModel]] = {
    "customers": Customer, "streams": Stream, "pools": Pool, "ips": SendingIp, "domains": SendingDomain,
    "providers": MailboxProvider, "seeds": Seed, "mailboxes": ReportMailbox,
}  # fmt: skip


def read_inventory(session: Session) -> Inventory:
    """All that is stored."""
    found: dict[str, Any] = {}
    for kind, row in ROWS.items():
        rows = session.connection().execute(select(table(row))).mappings()
        items = [KINDS[kind].model_validate(dict(values)) for values in rows]
        found[kind] = {item.key: item for item in items}
    return Inventory(**found)


def apply_difference(session: Session, difference: Difference) -> None:
    """Adds and changes from the referred to the referring, then removes the other way round."""
    for what in ("added", "changed"):
        for kind in KINDS:
            _write(session, kind, what, difference.of(kind, what))
    for kind in reversed(KINDS):
        _write(session, kind, "removed", difference.of(kind, "removed"))


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
