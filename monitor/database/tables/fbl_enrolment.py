"""Enrolments in feedback loops."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from sqlmodel import Field, SQLModel

from monitor.database.tables.columns import instant, maybe_instant


class FblEnrolment(SQLModel, table=True):
    """Our side of a provider's feedback loop (monitor.feedback_loops.enrolments); every change of `state` leaves a transition."""

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
