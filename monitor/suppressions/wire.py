"""How suppressions are printed: references, never addresses."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import AliasChoices, BeforeValidator, Field

from monitor.suppressions.reasons import SuppressionReason
from monitor.wire import RefusedLine, Wire


class Suppression(Wire):
    """`stream` null: all streams. `batch_id`: of the trace and evidence it arose from."""

    id: int
    customer: str
    ref: str = Field(validation_alias=AliasChoices("recipient_ref"))
    reason: SuppressionReason
    stream: Annotated[str | None, BeforeValidator(lambda stream: stream or None)]
    since: datetime
    known_at: datetime
    source: str
    how: str | None
    text: str | None
    batch_id: int | None
    lifted_at: datetime | None
    lifted_by: str | None
    lift_reason: str | None


class Added(Wire):
    """`already`: were in force before. Refused lines change nothing; the first 1,000 are named."""

    added: int
    already: int
    rejected: list[RefusedLine]
    rejected_count: int


class AddedCounts(Wire):
    """As the command prints it; refused lines stand on standard error."""

    added: int
    already: int
    rejected: int


class Forbidden(Wire):
    """`recipient` is the address or ref that was asked for."""

    recipient: str
    ref: str
    reasons: list[SuppressionReason]


class Checked(Wire):
    """Only those that must not be mailed."""

    suppressed: list[Forbidden]


class CheckedAddress(Wire):
    """One address as the command prints it, suppressed or not."""

    address: str
    ref: str
    suppressed: bool
    reasons: list[SuppressionReason]


class SenderKey(Wire):
    """The key (hex) a customer's sender makes tokens and `recipient_ref`s with, and what filters call it."""

    customer: str
    key: str
    name: str


class Token(Wire):
    """A token for one mail, and where it is put."""

    token: str
    return_path: str
    header: str


class TokenContent(Wire):
    """What a token says; null: it does not, or what it says is not known any more."""

    customer: str
    stream: str | None
    campaign: str | None
    recipient_ref: str | None
