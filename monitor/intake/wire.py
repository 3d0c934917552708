"""How what became of facts that came in is printed: events and mails."""

from __future__ import annotations

from pydantic import ConfigDict, Field

from monitor.wire import RefusedLine, Wire


class CountedEvents(Wire):
    """What became of the lines. Refused lines are parked; the first 1,000 are named here. `warnings`, where
    there are any, name what the inventory does not know.
    """

    accepted: int
    rejected: list[RefusedLine]
    rejected_count: int
    messages: dict[str, int]
    duplicate: bool
    warnings: list[str] = Field(default_factory=list)


class RecordCounts(Wire):
    """What became of records: `read` + those ignored (by kind) + `unreadable` (parked) are those given."""

    read: int
    ignored: dict[str, int]
    unreadable: int
    outcomes: dict[str, int]
    categories: dict[str, int]


class CountedRecords(RecordCounts):
    """The same of a post. The first unreadable ones are named in `errors`; `warnings` say what was not counted."""

    errors: list[RefusedLine]
    duplicate: bool
    warnings: list[str] = Field(default_factory=list)


class OutcomeCount(Wire):
    outcome: str
    messages: int


class EventCounts(Wire):
    accepted: int
    rejected: int
    repeated: int


class MailTaken(Wire):
    """What became of the mail. `reason` (a word) and `text` say why it was parked."""

    kind: str
    accepted: bool
    duplicate: bool
    parked: bool
    reason: str | None = None
    text: str | None = None


class MailCounts(Wire):
    """Mails of one kind that were replayed."""

    kind: str
    mails: int
    repeated: int
    parked: int


class ReadAgain(Wire):
    """What a parked mail became."""

    id: int
    became: str


class ParsedFile(Wire):
    """What a file of mail is and says: the parsers' own JSON beside its name."""

    model_config = ConfigDict(extra="allow")
    file: str
    kind: str
