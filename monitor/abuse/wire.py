"""How abuse cases are printed."""

from __future__ import annotations

from datetime import datetime

from monitor.abuse.cases import State
from monitor.database.wire import Transition
from monitor.wire import Wire


class AbuseCase(Wire):
    """Whose turn it is, until when. `batches` are those of the reports: they lead to traces and evidence."""

    id: str
    customer: str | None
    kind: str
    state: State
    source: str | None
    reporter: str | None
    subject: str
    assignee: str | None
    reports: int
    batches: list[int]
    opened_at: datetime
    newest_at: datetime
    deadline_at: datetime
    closed_at: datetime | None


class CaseHistory(Wire):
    """A case and what was done, oldest first."""

    case: AbuseCase
    transitions: list[Transition]
