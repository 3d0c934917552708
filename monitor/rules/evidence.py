"""What rules are judged by: the questions a condition may ask, and the shapes of the answers. Pure.

Two answer them: the store (monitor.judging.evidence), and facts in memory, so that a rule that runs, a rule test and a
simulation are judged by the same code.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from collectors.contract import Reason
from collectors.details import UNEXPLAINED, Detail, ListAnswer
from collectors.freshness import is_stale
from monitor.rules.detectors.assess import Mail
from monitor.rules.lists import KnownList, Phase
from monitor.rules.numbers import NOTHING, Numbers
from monitor.rules.signals import Signal
from monitor.rules.verdict import Group

Span = tuple[datetime, datetime]  # since, until; until not included
Values = tuple[str | None, ...]  # of the dimensions asked by, None where a fact does not know one
Counts = Mapping[Values, Mapping[str, float]]  # sums by measure; not measured is absent, not zero


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
    phase: Phase
    baseline: bool
    codes: tuple[str, ...]
    first_seen_at: datetime
    confirmed_at: datetime | None
    answer: ListAnswer
    known: KnownList
    unknown_reason: str | None = None
    cleared_at: datetime | None = None

    @property
    def target(self) -> str:
        return self.place.target

    @property
    def labels(self) -> dict[str, str]:
        """What is known of it, by dimension."""
        return labels_of(self.place, self.known)


def labels_of(place: Place, known: KnownList | None) -> dict[str, str]:
    """The dimensions of something about a target of ours, perhaps on a list."""
    values = {
        "customer": place.customer, "pool": place.pool, "dnsbl": known and known.id, "operator": known and known.operator,
        "target": place.target, "ip" if place.is_ip else "domain": place.target,
    }  # fmt: skip
    return {name: str(value) for name, value in values.items() if value}


@dataclass(frozen=True, slots=True)
class StateFact:
    """What holds of a state or gauge: a row of `tables.Latest`. `reason`: the newest answer is unknown, why."""

    value: float | None
    reason: str | None
    since: datetime  # that it holds, or is unknown
    checked_at: datetime
    detail: Detail = UNEXPLAINED

    def unknown(self, now: datetime, max_age: timedelta) -> str | None:
        """Why it cannot be judged by now; None where it can."""
        return Reason.STALE if is_stale(self.checked_at, now, max_age) else self.reason


@dataclass(frozen=True, slots=True)
class Standing:
    """One series of a state or gauge that is still watched. `labels`: its dimensions and those the inventory adds.

    `list_name`: what the list it is about is called.
    """

    labels: Mapping[str, str]
    state: StateFact
    list_name: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """A state that was `before` and is `after` since `at`. `meaning`: of what it was before, where it is about a list."""

    labels: Mapping[str, str]
    before: float
    after: float
    at: datetime
    list_name: str = ""
    meaning: str = ""


@dataclass(frozen=True, slots=True)
class Seen:
    """When something was last heard. `first_at`: where it never was, since when that could have been.

    `every`: how often it is due, where that is known; `running_since`: it is at it now.
    """

    labels: Mapping[str, str]
    last_at: datetime | None
    first_at: datetime | None = None
    every: timedelta | None = None
    running_since: datetime | None = None
    reason: str | None = None  # of its newest attempt, where that failed
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Day:
    """One day of a feed's history, our own holds left out. `expected_of`: what its reports are set against."""

    reports: float
    expected_of: float


@dataclass(frozen=True, slots=True)
class Feed:
    """One feed: its history before the window, the window, and whether we could have heard it.

    `history` begins with the first report ever heard: before, absence was not measured. `unread` says why what
    was reported may lie unread.
    """

    group: Group
    since: datetime
    reports: float
    expected_of: float
    history: tuple[Day, ...] = ()
    last_at: datetime | None = None
    unread: str | None = None


@dataclass(frozen=True, slots=True)
class FeedQuestion:
    """Which feeds: those of a signal by these dimensions, over a window and the history before it."""

    signal: Signal
    by: tuple[str, ...]
    window: timedelta
    history: timedelta


@dataclass(frozen=True, slots=True)
class StreamMail:
    """What was sent and complained of, of one stream at one provider. `labels`: those of the three that the facts say."""

    labels: Mapping[str, str]
    mail: Mail


@dataclass(frozen=True, slots=True)
class Hold:
    """A suspension a rule put on for a group. `until`: when it ended, None while it is in force; `timed_out`: by itself."""

    since: datetime
    until: datetime | None
    evidence: Numbers = NOTHING
    timed_out: bool = False
    scope: Mapping[str, str] = field(default_factory=dict)


class Evidence(Protocol):
    """All that is known at one instant."""

    def counts(
        self, measures: Collection[str], by: Sequence[str], span: Span, where: Mapping[str, str] | None = None
    ) -> Counts:
        """Sums of readings in the span; with `where` of what has these values, or does not know them."""

    def incomplete(self, measures: Collection[str]) -> str | None:
        """Why a low number of these cannot be believed; None: it can."""

    def restarts(self, rule: str, since: datetime) -> Mapping[Group, datetime]:
        """From when on the groups of a rule are counted, whose suspension ended after `since`."""

    def expected(self, rule: str) -> Sequence[Group]:
        """The groups a rule has judged before, so that they are judged though nothing is known of them now."""

    def opened(self, rule: str) -> Collection[Group]:
        """Those of them that have an open incident."""

    def place(self, target: str) -> Place | None:
        """Where the inventory has an IP or a domain."""

    def states(self, measure: str) -> Sequence[Standing]:
        """What holds of every series of a state or gauge that is still watched."""

    def changes(self, measure: str, since: datetime) -> Sequence[Change]:
        """The newest change after `since` of each of its series."""

    def listings(self) -> Sequence[ListingFact]:
        """Every open interval of a target of ours on a list."""

    def seen(self, signal: Signal, by: Sequence[str]) -> Sequence[Seen]:
        """When each group of a signal was last heard."""

    def feeds(self, question: FeedQuestion) -> Sequence[Feed]:
        """Feeds with their history."""

    def mail(self, signal: Signal, opened: Collection[Group]) -> Sequence[StreamMail]:
        """Streams at providers of which something of the signal became known since it was asked last, and those of these groups;
        each with all other streams of its customer at its provider.
        """

    def holds(self, rule: str) -> Mapping[Group, Sequence[Hold]]:
        """The suspensions a rule put on lately, of each group the oldest first."""
