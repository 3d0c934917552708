"""What our own MTAs recorded of a message or a recipient, to find whose mail a report is about.

Only records that came as delivery events are looked at: what a report said of a message before must not
vouch for the next report. Says nothing of mail that left no trace, nor where customers' records disagree.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, select

from collectors.contract import Attribution
from monitor.database.tables import Series, TraceRow
from monitor.facts.message_ids import message_hash

_RECORDS = "events/"  # sources of delivery records begin so
_MOST_ROWS = 100  # of one message
_SAID = ("stream", "campaign", "recipient_hash", "recipient_ref")


def of_message(session: Session, message_id: str) -> Attribution | None:
    """Whose the message was, and what all its records agree on besides."""
    # the oldest traces of a message are our own records; ten thousand reports that name it come later
    oldest = (
        select(TraceRow).where(TraceRow.message_hash == message_hash(message_id)).order_by(col(TraceRow.id)).limit(_MOST_ROWS)
    )
    rows = [row for row in session.exec(oldest) if row.source.startswith(_RECORDS) and row.customer]
    customer = _agreed(row.customer for row in rows)
    if customer is None:
        return None
    said = {name: _agreed(getattr(row, name) for row in rows) for name in _SAID}
    return Attribution(customer=customer, **said)


def of_recipient(session: Session, recipient_hash: str, since: datetime) -> Attribution | None:
    """The only customer who has sent to the recipient since then."""
    chosen = (
        select(TraceRow.customer)
        .where(TraceRow.recipient_hash == recipient_hash, col(TraceRow.at) >= since)
        .where(col(TraceRow.source).startswith(_RECORDS), TraceRow.customer != "")
        .distinct()
        .limit(2)
    )
    customer = _agreed(session.exec(chosen))
    return Attribution(customer=customer) if customer else None


def campaigns(session: Session, customer: str) -> Sequence[str]:
    """Every campaign of the customer that anything was ever counted for."""
    chosen = select(Series.campaign).where(Series.customer == customer).distinct()
    return [campaign for campaign in session.exec(chosen) if campaign]


def _agreed(values: Iterable[Any]) -> Any:
    different = set(values)
    return different.pop() if len(different) == 1 else None
