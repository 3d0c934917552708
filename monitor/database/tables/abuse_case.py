"""Cases of abuse: what was reported, whose turn it is, until when."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from sqlmodel import Field, SQLModel

from monitor.database.tables.columns import instant, json_column, maybe_instant


class AbuseCase(SQLModel, table=True):
    """What was reported to our abuse addresses about one customer or source (monitor.abuse.cases): who has to act, until when.

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
