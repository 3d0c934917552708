"""What happened to a recipient, to a message, or to a customer's mail: one question for API and command."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session, col, select

from monitor.database.paging import Order, Page, Paged, paged
from monitor.database.tables import TraceRow
from monitor.facts import Store

_NEWEST = Order((col(TraceRow.at), col(TraceRow.id)))


@dataclass(frozen=True, slots=True)
class Traced:
    """Whom or what to follow; all that is named must match. The recipient is in clear here and nowhere after."""

    recipient: str | None = None
    message_id: str | None = None
    customer: str | None = None
    since: datetime | None = None

    @property
    def about_nothing(self) -> bool:
        return not (self.recipient or self.message_id or self.customer)


def find_traces(store: Store, session: Session, wanted: Traced, page: Page) -> Paged[TraceRow]:
    """Newest first. Raises PlaceError."""
    chosen = select(TraceRow)
    if wanted.recipient is not None:
        chosen = chosen.where(TraceRow.recipient_hash == store.recipient_hash(wanted.recipient))
    if wanted.message_id is not None:
        # mail writes the brackets, most MTA records do not
        bare = store.recipients.redacted_id(wanted.message_id.strip().strip("<>"))
        chosen = chosen.where(col(TraceRow.message_id).in_((bare, f"<{bare}>")))
    if wanted.customer is not None:
        chosen = chosen.where(TraceRow.customer == wanted.customer)
    if wanted.since is not None:
        chosen = chosen.where(col(TraceRow.at) >= wanted.since)
    return paged(session, chosen, _NEWEST, page)
