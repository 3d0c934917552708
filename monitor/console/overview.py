"""What the console shows: the rows of one snapshot, put together for people. Reads only."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import Session

from collectors.details import ListAnswer, ListKind
from collectors.freshness import is_stale, runs_limit
from monitor.config.severity import worst
from monitor.database.tables import Incident, Listing, Outbox, Run, Suspension, Transition
from monitor.database.transitions import newest_transitions
from monitor.facts.runs import Outcome, Runs, last_runs
from monitor.incidents.causes import runbook_of
from monitor.incidents.rows import members_of_any, open_by_gravity
from monitor.incidents.states import State
from monitor.listings.find import count_listings, newest_listings, standing_findings
from monitor.notify.message import next_steps
from monitor.notify.outbox import newest_notifications
from monitor.restrictions.rows import count_in_force, newest_restriction, newest_suspensions, of_incidents
from monitor.rules.conditions.listing import ListedTarget, ListingNumbers
from monitor.rules.conditions.ratio import RatioNumbers
from monitor.rules.conditions.table import numbers_of
from monitor.rules.lists import KnownLists, is_grave
from monitor.rules.member_numbers import MemberNumbers, WholeNumbers
from monitor.rules.model import Rule
from monitor.rules.numbers import Numbers

MOST_ROWS = 100
FEW_ROWS = 12


@dataclass(frozen=True, slots=True)
class Bounds:
    """A rate with what is certain about it, and the line it must not cross; all shares from 0 to 1."""

    rate: float
    lower: float
    upper: float
    count: int
    of: int
    confidence: float
    line: float | None

    @property
    def scale(self) -> float:
        """The share at the right edge of the drawing."""
        return max(self.upper, (self.line or 0) * 1.5, 1e-6) * 1.08


@dataclass(frozen=True, slots=True)
class Trouble:
    """An open incident, what was done about it and what to do next."""

    incident: Incident
    numbers: Numbers
    bounds: Bounds | None
    suspensions: Sequence[Suspension]
    steps: Sequence[str]
    follows: Sequence[str] = ()

    @property
    def listed(self) -> Sequence[ListedTarget]:
        """What of ours is on block lists."""
        return self.numbers.listed if isinstance(self.numbers, ListingNumbers | WholeNumbers) else ()

    @property
    def members(self) -> Sequence[MemberNumbers]:
        """Of an incident that has some, the gravest."""
        return self.numbers.members if isinstance(self.numbers, WholeNumbers) else ()


class Freshness(enum.StrEnum):
    """How a collector fares: as its newest run went, or that it got no answers for too long, or has not run yet."""

    RUNNING = Outcome.RUNNING.value
    OK = Outcome.OK.value
    PARTIAL = Outcome.PARTIAL.value
    FAILED = Outcome.FAILED.value
    STALE = "stale"
    WAITING = "waiting"


@dataclass(frozen=True, slots=True)
class Source:
    """A collector and how fresh what it says is."""

    name: str
    state: Freshness
    last: Run | None
    good_at: datetime | None
    every: timedelta | None


@dataclass(frozen=True, slots=True)
class Standing:
    """A listing that stands: what the list is called, and what it says."""

    row: Listing
    name: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Picture:
    """All of the first page. `grave`: how many listings, of the newest on block lists, are bad by themselves."""

    now: datetime
    version: int
    troubles: Sequence[Trouble]
    pending: Sequence[Incident]
    suspensions: Sequence[Suspension]
    suspended_count: int  # how many there are; the page shows the newest
    listings: Sequence[Standing]
    listed: int
    grave: int
    sources: Sequence[Source]
    messages: Sequence[Outbox]
    changes: Sequence[Transition]

    @property
    def worst(self) -> str:
        """The worst severity that fires; else `listed` while a bad listing stands that no rule makes an incident of; else
        `blind` while a source says nothing to rely on; else `ok`.
        """
        severities = [trouble.incident.severity for trouble in self.troubles]
        if severities:
            return worst(severities)
        if self.grave:
            return "listed"
        return "blind" if not self.sources or self.unseen else "ok"

    @property
    def unseen(self) -> Sequence[str]:
        """The collectors that say nothing to rely on now."""
        return [source.name for source in self.sources if source.state in {Freshness.STALE, Freshness.FAILED} or source.good_at is None]


def take_picture(
    session: Session, now: datetime, rules: Mapping[str, Rule], collectors: Mapping[str, timedelta], lists: KnownLists
) -> Picture:
    """What is so now."""
    incidents = open_by_gravity(session, MOST_ROWS * 2)
    firing = [row for row in incidents if row.state != State.PENDING][:MOST_ROWS]
    theirs = suspensions_of(session, firing, now, MOST_ROWS * 10)
    return Picture(
        now=now,
        version=newest_restriction(session),
        troubles=[trouble(row, theirs.get(row.id, ()), rules.get(row.rule)) for row in firing],
        pending=[row for row in incidents if row.state == State.PENDING][:MOST_ROWS],
        suspensions=newest_suspensions(session, now, MOST_ROWS),
        suspended_count=count_in_force(session, now),
        listings=_listings(session, lists),
        listed=count_listings(session),
        grave=_grave(session, lists),
        sources=_sources(session, now, collectors),
        messages=newest_notifications(session, FEW_ROWS),
        changes=newest_transitions(session, FEW_ROWS),
    )


def suspensions_of(session: Session, incidents: Sequence[Incident], now: datetime, limit: int) -> dict[str, list[Suspension]]:
    """By incident: its own, and of one with members those of its members."""
    members = members_of_any(session, [row.id for row in incidents if row.member_count is not None])
    rows = of_incidents(session, [*(row.id for row in incidents), *members], now, limit)
    made: dict[str, list[Suspension]] = {}
    for row in rows:
        if row.incident_id is not None:
            made.setdefault(members.get(row.incident_id, row.incident_id), []).append(row)
    return made


def trouble(incident: Incident, suspensions: Sequence[Suspension], rule: Rule | None, follows: Sequence[str] = ()) -> Trouble:
    """An incident with its suspensions, the steps its rule advises, and what it followed from."""
    in_force = [suspension.id for suspension in suspensions if suspension.lifted_at is None]
    numbers = numbers_of(incident.evidence)
    steps = next_steps(numbers, rule.runbook if rule else runbook_of(incident.rule), in_force)
    return Trouble(incident, numbers, _bounds(numbers), suspensions, steps, follows)


def _bounds(numbers: Numbers) -> Bounds | None:
    if not isinstance(numbers, RatioNumbers):
        return None
    rate, lower, upper, confidence = numbers.rate, numbers.lower, numbers.upper, numbers.confidence
    if rate is None or lower is None or upper is None or confidence is None:
        return None
    return Bounds(rate, lower, upper, numbers.numerator, numbers.denominator, confidence, line=numbers.line)


def _listings(session: Session, lists: KnownLists) -> list[Standing]:
    """Those that stand and were confirmed first, then those waiting for a second answer."""
    rows = sorted(newest_listings(session, MOST_ROWS), key=lambda row: row.confirmed_at is None)
    return [Standing(row, lists.of(row.dnsbl).title, ListAnswer.decode(row.detail).meaning) for row in rows]


def _grave(session: Session, lists: KnownLists) -> int:
    others = lists.ids(ListKind.ALLOW) | lists.ids(ListKind.SCORE)
    rows = standing_findings(session, others, MOST_ROWS)
    return sum(is_grave(ListAnswer.decode(row.detail), lists.of(row.dnsbl)) for row in rows)


def _sources(session: Session, now: datetime, collectors: Mapping[str, timedelta]) -> list[Source]:
    runs = last_runs(session)
    return [source_of(name, runs.get(name), collectors.get(name), now) for name in sorted(runs.keys() | collectors.keys())]


def source_of(name: str, runs: Runs | None, every: timedelta | None, now: datetime) -> Source:
    last, good = (runs.last, runs.good) if runs else (None, None)
    good_at = good.ended_at if good else None
    seen_at = good_at or (last.started_at if last else None)
    state = Freshness(last.outcome) if last else Freshness.WAITING
    if state is not Freshness.FAILED and every and seen_at and is_stale(seen_at, now, runs_limit(every)):
        state = Freshness.STALE
    return Source(name, state, last, good_at, every)
