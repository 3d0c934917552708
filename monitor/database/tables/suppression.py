"""Recipients who must not be mailed again, by customer."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Column, Index, text
from sqlmodel import Field, SQLModel

from monitor.database.tables.columns import POSTGRESQL_ONLY, Id, instant, maybe_instant, row_id

_NOT_LIFTED = text("lifted_at IS NULL")
_LIFTED = text("lifted_at IS NOT NULL")


class Suppression(SQLModel, table=True):
    """A recipient one customer must not mail again; the rows are their own history, lifting sets `lifted_at`.

    One row in force per customer, recipient, reason and stream. `stream` is empty for all streams.
    On PostgreSQL the primary key is (customer, id). `batch_id` leads to the trace and evidence it arose from; None where a person or system asked for it.
    """

    __table_args__ = (
        Index("suppression_recipient", "customer", "recipient_ref"),
        Index("suppression_in_force", "customer", "recipient_ref", "reason", "stream", unique=True,
              sqlite_where=_NOT_LIFTED, postgresql_where=_NOT_LIFTED),
        Index("suppression_id", "id", info=POSTGRESQL_ONLY),
        Index("suppression_lifted", "lifted_at", sqlite_where=_LIFTED, postgresql_where=_LIFTED),
    )
    id: int | None = row_id()
    customer: str
    recipient_ref: str
    reason: str  # hard_bounce | complaint | unsubscribe | manual
    stream: str = ""
    since: datetime = instant()
    known_at: datetime = instant()
    source: str
    how: str | None = None
    text: str | None = None
    batch_id: int | None = Field(default=None, sa_column=Column(Id, nullable=True))
    lifted_at: datetime | None = maybe_instant()
    lifted_by: str | None = None
    lift_reason: str | None = None
