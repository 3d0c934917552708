"""What happened to a recipient, to a message, or to a customer's mail: one question for API and command."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlmodel import col, select

from monitor.database.tables import TraceRow
from monitor.facts import Store


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


def find_traces(store: Store, asked: Traced, limit: int) -> list[TraceRow]:
    """Newest first."""
    chosen = select(TraceRow).order_by(col(TraceRow.at).desc(), col(TraceRow.id).desc()).limit(limit)
    if asked.recipient is not None:
        chosen = chosen.where(TraceRow.recipient_hash == store.recipient_hash(asked.recipient))
    if asked.message_id is not None:
        bare = store.recipients.redacted_id(asked.message_id.strip().strip("<>"))  # mail writes the brackets, most MTA records do not
        chosen = chosen.where(col(TraceRow.message_id).in_((bare, f"<{bare}>")))
    if asked.customer is not None:
        chosen = chosen.where(TraceRow.customer == asked.customer)
    if asked.since is not None:
        chosen = chosen.where(col(TraceRow.at) >= asked.since)
    with store.reading_session() as session:
        return list(session.exec(chosen))
