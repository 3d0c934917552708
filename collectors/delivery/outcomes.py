"""What became of a mail for one recipient, in one shape for every format of records; a reader's file knows nothing else.

A reader turns one record into `Event`s, or says that it is of another kind (`Ignored`) or not to be understood
(`Unreadable`). What is counted as what is the same for all: `collectors.delivery.counting`.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from collectors.traces import TraceKind


class Outcome(enum.StrEnum):
    """The closed set: one per recipient and attempt."""

    ACCEPTED = "accepted"
    DELIVERED = "delivered"
    DEFERRED = "deferred"
    BOUNCED = "bounced"
    EXPIRED = "expired"
    BLOCKED = "blocked"
    REFUSED_BY_US = "refused_by_us"
    HELD_BY_US = "held_by_us"
    NOT_ATTEMPTED = "not_attempted"
    ASYNC_BOUNCED = "async_bounced"
    COMPLAINED = "complained"


@dataclass(frozen=True, slots=True)
class Meaning:
    """`measure`: what is counted. `trace`: the kind of the trace it leaves, if any. `judged`: its reply is read for the reason."""

    measure: str
    trace: TraceKind | None = None
    judged: bool = False


MEANINGS: Mapping[Outcome, Meaning] = {
    Outcome.ACCEPTED: Meaning("accepted"),
    Outcome.DELIVERED: Meaning("delivered"),
    Outcome.DEFERRED: Meaning("deferral", TraceKind.DEFERRAL, judged=True),
    Outcome.BOUNCED: Meaning("soft_bounce", TraceKind.BOUNCE, judged=True),  # a dead recipient's: hard_bounce
    Outcome.EXPIRED: Meaning("soft_bounce", TraceKind.BOUNCE, judged=True),
    Outcome.BLOCKED: Meaning("block", TraceKind.BLOCK, judged=True),
    Outcome.REFUSED_BY_US: Meaning("refused_by_us"),
    Outcome.HELD_BY_US: Meaning("held_by_us"),
    Outcome.NOT_ATTEMPTED: Meaning("not_attempted"),
    Outcome.ASYNC_BOUNCED: Meaning("async_bounced", TraceKind.BOUNCE, judged=True),
    Outcome.COMPLAINED: Meaning("complaint", TraceKind.COMPLAINT),  # where nobody vouches for it: unverified_complaint
}


@dataclass(frozen=True, slots=True)
class Event:
    """One outcome for one recipient.

    `names`: the words of the record that may name customer, stream and campaign (`tenant`, `campaign`, `pool`, `header:x-job`,
    `meta:job`). `mx`: the host that answered; `provider_name`: the MTA's own name of the provider. `final`: the source's own word,
    which a reply does not change. `verified`: no outsider can have caused it. `queue`: the MTA's queue to the provider's hosts.
    `domain`: the recipient's, where the record hides the recipient or is about a queue. `hint`: the source's own category, where
    the reply gives none.
    """

    outcome: Outcome
    at: datetime
    recipient: str | None = None
    sender: str | None = None
    names: Mapping[str, str] = field(default_factory=dict)
    ip: str | None = None
    source: str | None = None
    mx: str | None = None
    provider_name: str | None = None
    message_id: str | None = None
    status: str | None = None
    reply_code: str | None = None
    text: str | None = None
    category: str | None = None
    final: bool = False
    verified: bool = True
    node: str | None = None
    queue: str | None = None
    domain: str | None = None
    hint: str | None = None

    @property
    def recipient_domain(self) -> str | None:
        domain = (self.recipient or "").rpartition("@")[2] or self.domain or ""
        return domain.rstrip(".").lower() or None


@dataclass(frozen=True, slots=True)
class Ignored:
    """A record that says nothing of mail to a provider."""

    kind: str


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A record that cannot be understood, and why."""

    reason: str


Read = Sequence[Event] | Ignored | Unreadable
Reader = Callable[[bytes], Read | None]  # never raises; None: no record at all (the header line of a table)


class Reading(Protocol):
    """Reads the records of one source in their order: what a log says of a mail stands in several of its lines.

    Not for several threads at once. What it keeps of mails that are on their way is bounded.
    """

    def begin(self, written_at: datetime, *, goes_on: bool = False) -> None:
        """Another file or post follows, or more of the same (`goes_on`). `written_at` gives the year of times that have none."""

    def __call__(self, record: bytes) -> Read | None: ...


class Stateless:
    """Records that need no other to be understood."""

    def __init__(self, read: Reader) -> None:
        self._read = read

    def begin(self, written_at: datetime, *, goes_on: bool = False) -> None:
        """Nothing is kept."""

    def __call__(self, record: bytes) -> Read | None:
        return self._read(record)
