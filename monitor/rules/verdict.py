"""What a rule says of one group of facts, and the facts it is asked about. Pure shapes."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from collectors.contract import Reason
from monitor.config.severity import Severity

Group = tuple[tuple[str, str], ...]  # (dimension, value) in the rule's order


class Answer(enum.StrEnum):
    """Breach; ok but not yet clear (the hysteresis band); clear; or unknown, for a reason."""

    BREACH = "breach"
    BETWEEN = "between"
    CLEAR = "clear"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Member:
    """One thing inside the group that may be suspended.

    `evidence_at` is when the newest evidence against it arose: a suspension lifted later than that is not put
    on again. Without `holds` people are notified of it, and nothing is suspended.
    """

    key: str
    scope: Mapping[str, str]
    text: str
    evidence_at: datetime
    evidence: Mapping[str, Any] = field(default_factory=dict)
    severity: Severity | None = None  # None: the rule's
    holds: bool = True


@dataclass(frozen=True, slots=True)
class Verdict:
    """A rule's answer for one group now. `evidence` holds the numbers a person would want to check.

    `labels`: the dimensions beside those of the group that all it speaks of have in common; silences match on them.
    """

    group: Group
    answer: Answer
    summary: str
    reason: str | None = None  # only with unknown; a collectors.contract.Reason
    members: tuple[Member, ...] = ()
    evidence: Mapping[str, Any] = field(default_factory=dict)
    severity: Severity | None = None  # None: the rule's
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def word(self) -> str:
        """ok, breach or unknown."""
        return "ok" if self.answer in {Answer.BETWEEN, Answer.CLEAR} else self.answer.value


@dataclass(frozen=True, slots=True)
class RateFacts:
    """Complaints and delivered messages of one group, for the same mails, since `since`.

    `stale` says why the complaints cannot be believed to be complete (None: they can). The counts `…_perhaps` are of
    facts known only in part, that may be the group's (monitor.rules.in_part).
    """

    group: Group
    since: datetime
    delivered: float
    complaints: float
    stale: str | None = None
    delivered_perhaps: float = 0
    complaints_perhaps: float = 0


@dataclass(frozen=True, slots=True)
class Place:
    """A target of ours, and where the inventory has it."""

    target: str
    is_ip: bool
    pool: str | None = None
    customer: str | None = None


@dataclass(frozen=True, slots=True)
class ListingFact:
    """How one target stands on one list: a row of `tables.Listing` with what the inventory knows of it."""

    place: Place
    dnsbl: str
    phase: str
    baseline: bool
    codes: tuple[str, ...]
    first_seen_at: datetime
    confirmed_at: datetime | None
    detail: Mapping[str, Any]
    unknown_reason: str | None = None
    cleared_at: datetime | None = None

    @property
    def target(self) -> str:
        return self.place.target


@dataclass(frozen=True, slots=True)
class StateFact:
    """What holds of a state or gauge: a row of `tables.Latest`. `reason`: the newest answer is unknown, why."""

    value: float | None
    reason: str | None
    since: datetime  # that it holds, or is unknown
    checked_at: datetime
    detail: Mapping[str, Any] = field(default_factory=dict)

    def unknown(self, now: datetime, max_age: timedelta) -> str | None:
        """Why it cannot be judged by now; None where it can."""
        return Reason.STALE if now - self.checked_at > max_age else self.reason


@dataclass(frozen=True, slots=True)
class ScoreFact:
    """A list's score of one target."""

    place: Place
    dnsbl: str
    state: StateFact

    @property
    def detail(self) -> Mapping[str, Any]:
        return self.state.detail


@dataclass(frozen=True, slots=True)
class CanaryFact:
    """Whether a list answers its test points rightly; `dnsbl` None: whether our own network and resolvers do."""

    collector: str
    dnsbl: str | None
    state: StateFact


@dataclass(frozen=True, slots=True)
class MailboxFact:
    """Whether a mailbox can be read. `network_fault`: our own network is at fault anyway."""

    mailbox: str
    state: StateFact
    network_fault: bool = False


@dataclass(frozen=True, slots=True)
class RunsFact:
    """How a configured collector fares. `good_at`: its newest run with answers ended.

    `first_at`: where it never had one, when its first run began.
    """

    collector: str
    every: timedelta
    first_at: datetime | None
    good_at: datetime | None
    running_since: datetime | None = None
    reason: str | None = None  # of its newest run, where that failed
    text: str | None = None
    network_fault: bool = False


@dataclass(frozen=True, slots=True)
class ClockFact:
    """When the newest facts were taken, by whatever clock the process had that took them."""

    newest_at: datetime
