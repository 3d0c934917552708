"""What happened to a recipient, a message, or the mail of a customer, campaign or IP: one question for API and command."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session, col, select

from monitor.database.paging import Order, Page, Paged, paged
from monitor.database.tables import TraceRow
from monitor.facts import Store
from monitor.facts.message_ids import message_hash

_NEWEST = Order((col(TraceRow.at), col(TraceRow.id)))


@dataclass(frozen=True, slots=True)
class Traced:
    """Whom or what to follow; all that is named must match. The recipient is in clear here and nowhere after."""

    recipient: str | None = None
    message_id: str | None = None
    customer: str | None = None
    since: datetime | None = None
    campaign: str | None = None
    ip: str | None = None

    @property
    def about_nothing(self) -> bool:
        return not (self.recipient or self.message_id or self.customer or self.campaign or self.ip)


def find_traces(store: Store, session: Session, wanted: Traced, page: Page) -> Paged[TraceRow]:
    """Newest first. Raises PlaceError."""
    chosen = select(TraceRow)
    if wanted.recipient is not None:
        chosen = chosen.where(TraceRow.recipient_hash == store.recipient_hash(wanted.recipient))
    if wanted.message_id is not None:
        message = message_hash(store.recipients.redacted_id(wanted.message_id.strip().strip("<>")))
        chosen = chosen.where(TraceRow.message_hash == message)
    for name in ("customer", "campaign", "ip"):
        if (value := getattr(wanted, name)) is not None:
            chosen = chosen.where(getattr(TraceRow, name) == value)
    if wanted.since is not None:
        chosen = chosen.where(col(TraceRow.at) >= wanted.since)
    return paged(session, chosen, _NEWEST, page)
