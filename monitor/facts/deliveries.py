"""What our own MTAs recorded of a message or a recipient, to find whose mail a report is about.

Only records that came as delivery events are looked at: what a report said of a message before must not
vouch for the next report. Says nothing of mail that left no trace, nor where customers' records disagree.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy
from sqlalchemy import Connection, bindparam
from sqlmodel import Session, select

from collectors.contract import Attribution
from monitor.database.engine import chunks, table
from monitor.database.tables import Series, TraceRow
from monitor.facts.message_ids import message_hash

_RECORDS = "events/"  # sources of delivery records begin so
_MOST_ROWS = 100  # of one message
_STATED = ("stream", "campaign", "recipient_hash", "recipient_ref")
_TRACES = table(TraceRow).c
# Asked for every report: built once. The oldest traces of a message are our own records; ten thousand reports that
# name it come later.
_OLDEST = (
    sqlalchemy.select(*(_TRACES[name] for name in ("source", "customer", *_STATED)))
    .where(_TRACES.message_hash == bindparam("message_hash"))
    .order_by(_TRACES.id)
    .limit(_MOST_ROWS)
)
_LATELY = (
    sqlalchemy.select(_TRACES.customer)
    .where(_TRACES.recipient_hash == bindparam("recipient_hash"), _TRACES.at >= bindparam("since"))
    .where(_TRACES.source.startswith(_RECORDS), _TRACES.customer != "")
    .distinct()
    .limit(2)
)

# The same for the mails of a batch, in one query each
_NUMBERED = (
    sqlalchemy.select(
        *(_TRACES[name] for name in ("message_hash", "source", "customer", *_STATED)),
        sqlalchemy.func.row_number().over(partition_by=_TRACES.message_hash, order_by=_TRACES.id).label("number"),
    )
    .where(_TRACES.message_hash.in_(bindparam("message_hashes", expanding=True)))
    .subquery()
)
_OLDEST_OF_MANY = sqlalchemy.select(_NUMBERED).where(_NUMBERED.c.number <= _MOST_ROWS)
_LATELY_OF_MANY = (
    sqlalchemy.select(_TRACES.recipient_hash, _TRACES.customer)
    .where(_TRACES.recipient_hash.in_(bindparam("recipient_hashes", expanding=True)), _TRACES.at >= bindparam("since"))
    .where(_TRACES.source.startswith(_RECORDS), _TRACES.customer != "")
    .distinct()
)


def of_messages(store: Connection, message_ids: Collection[str]) -> dict[str, Attribution | None]:
    """`of_message` of many at once."""
    hashes = {message_id: message_hash(message_id) for message_id in message_ids}
    rows: dict[str, list[Any]] = defaultdict(list)
    for chunk in chunks(sorted(set(hashes.values()))):
        for row in store.execute(_OLDEST_OF_MANY, {"message_hashes": chunk}):
            rows[row.message_hash].append(row)
    return {message_id: _stated_by(rows[digest]) for message_id, digest in hashes.items()}


def of_recipients(store: Connection, hashes: Collection[str], since: datetime) -> dict[str, Attribution | None]:
    """`of_recipient` of many at once."""
    customers: dict[str, list[str]] = defaultdict(list)
    for chunk in chunks(sorted(hashes)):
        for digest, customer in store.execute(_LATELY_OF_MANY, {"recipient_hashes": chunk, "since": since}):
            customers[digest].append(customer)
    return {digest: _only(customers[digest]) for digest in hashes}


def of_message(store: Session | Connection, message_id: str) -> Attribution | None:
    """Whose the message was, and what all its records agree on besides."""
    return _stated_by(store.execute(_OLDEST, {"message_hash": message_hash(message_id)}))


def _stated_by(oldest: Iterable[Any]) -> Attribution | None:
    rows = [row for row in oldest if row.source.startswith(_RECORDS) and row.customer]
    customer = _agreed(row.customer for row in rows)
    if customer is None:
        return None
    return Attribution(customer=customer, **{name: _agreed(getattr(row, name) for row in rows) for name in _STATED})


def of_recipient(store: Session | Connection, recipient_hash: str, since: datetime) -> Attribution | None:
    """The only customer who has sent to the recipient since then."""
    chosen = store.execute(_LATELY, {"recipient_hash": recipient_hash, "since": since})
    return _only(chosen.scalars())


def _only(customers: Iterable[str]) -> Attribution | None:
    customer = _agreed(customers)
    return Attribution(customer=customer) if customer else None


def campaigns(session: Session, customer: str) -> Sequence[str]:
    """Every campaign of the customer that anything was ever counted for."""
    chosen = select(Series.campaign).where(Series.customer == customer).distinct()
    return [campaign for campaign in session.exec(chosen) if campaign]


def _agreed(values: Iterable[Any]) -> Any:
    different = set(values)
    return different.pop() if len(different) == 1 else None
