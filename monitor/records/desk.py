"""What people keep in hand: who must not be mailed, feedback-loop enrolments, abuse cases."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from sqlalchemy import Column, Index, text
from sqlmodel import Field, SQLModel

from monitor.records.columns import Id, instant, json_column, maybe_instant, row_id

_NOT_LIFTED = text("lifted_at IS NULL")


class Suppression(SQLModel, table=True):
    """A recipient one customer must not mail again; the rows are their own history, lifting sets `lifted_at`.

    One row in force per customer, recipient, reason and stream. `stream` is empty for all streams.
    `batch_id` leads to the trace and evidence it arose from; None where a person or system asked for it.
    """

    __table_args__ = (
        Index("suppression_recipient", "customer", "recipient_ref"),
        Index("suppression_in_force", "customer", "recipient_ref", "reason", "stream", unique=True,
              sqlite_where=_NOT_LIFTED, postgresql_where=_NOT_LIFTED),
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


class FblEnrolment(SQLModel, table=True):
    """Our side of a provider's feedback loop (monitor.enrolments); every change of `state` leaves a transition."""

    __tablename__: ClassVar[str] = "fbl_enrolment"
    provider: str = Field(primary_key=True)
    kind: str = Field(primary_key=True)  # ip | domain | account
    subject: str = Field(primary_key=True)  # an address or network, a domain, a name
    state: str  # wanted | requested | active | lapsed | refused
    contact: str = ""
    note: str = ""
    requested_at: datetime | None = maybe_instant()
    active_at: datetime | None = maybe_instant()
    ends_at: datetime | None = maybe_instant()
    updated_at: datetime = instant()


class AbuseCase(SQLModel, table=True):
    """What was reported to our abuse desk of one customer or source (monitor.abuse): who has to act, until when.

    Notes, assignments and changes of state are its transitions. `batches` are those of the reports: they lead to
    traces and evidence.
    """

    __tablename__: ClassVar[str] = "abuse_case"
    id: str = Field(primary_key=True)
    customer: str | None = Field(default=None, index=True)
    kind: str  # spam | phishing | malware | copyright | other
    state: str = Field(index=True)  # open | waiting_customer | waiting_provider | closed
    source: str | None = None  # the IP or domain of ours it came from
    reporter: str | None = None  # the domain that wrote first
    subject: str = ""
    assignee: str | None = None
    reports: int = 1
    batches: list[int] = json_column(list)
    opened_at: datetime = instant(index=True)
    newest_at: datetime = instant()
    deadline_at: datetime = instant()
    closed_at: datetime | None = maybe_instant()
