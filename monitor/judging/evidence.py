"""What the rules are judged by: rows of the store as the pure shapes of `monitor.rules.verdict`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from sqlmodel import Session

from collectors.contract import Reason
from collectors.measures import MEASURES
from monitor.database.tables import Latest, Listing, Series
from monitor.facts import Store
from monitor.facts.batches import newest_known_at
from monitor.facts.coverage import complaints_incomplete
from monitor.facts.runs import Outcome, Runs, first_runs
from monitor.inventory.rows import addresses_among, domains_among, mailboxes
from monitor.judging.feed_evidence import FeedEvidence
from monitor.listings.find import lost_allow_listings, open_listings
from monitor.restrictions.rows import lifted_since
from monitor.rules.conditions.table import FactsName
from monitor.rules.in_part import CountsInPart, Parted
from monitor.rules.model import AllowListingLostRule, AnyRule, ComplaintRateRule, ListScoreRule
from monitor.rules.verdict import (
    CanaryFact,
    ClockFact,
    Group,
    ListingFact,
    MailboxFact,
    Place,
    RateFacts,
    RunsFact,
    ScoreFact,
    StateFact,
)

LISTING_STALE_AFTER = MEASURES["listing"].max_age
CANARY_STALE_AFTER = MEASURES["canary"].max_age
_COUNTED = ("delivered", "complaint")


class Facts:
    """The facts of one pass at `now`; what several rules need is read once.

    `intervals` says how often each configured collector runs; `feeds` keeps what feedback loops reported.
    """

    def __init__(self, store: Store, now: datetime, intervals: Mapping[str, timedelta], feeds: FeedEvidence) -> None:
        self.store, self.now, self.feeds = store, now, feeds
        self._intervals = intervals

    def of(self, name: FactsName, rule: AnyRule, open_groups: Sequence[Group]) -> Sequence[Any]:
        """What `rule` is judged by; `open_groups` are the groups of its open incidents."""
        return _FACTS[name](self, rule, open_groups)

    @cached_property
    def listings(self) -> list[ListingFact]:
        """Every open interval of a target that is still in the inventory."""
        with self.store.reading_session() as session:
            return self._listing_facts(session, open_listings(session))

    @cached_property
    def canaries(self) -> list[CanaryFact]:
        return [
            CanaryFact(series.collector or "", series.dnsbl, _state(latest))
            for series, latest in self.store.latest("canary")
        ]

    @cached_property
    def network_fault(self) -> bool:
        """Whether the canaries say now that our own network or resolver is at fault."""
        own = (fact.state for fact in self.canaries if fact.dnsbl is None)
        return any(state.value == 0 and state.unknown(self.now, CANARY_STALE_AFTER) is None for state in own)

    def lost_listings(self, rule: AllowListingLostRule) -> list[ListingFact]:
        """The newest confirmed interval of every (target, list) that an allow list let go within `forget_after`."""
        with self.store.reading_session() as session:
            return self._listing_facts(session, lost_allow_listings(session, self.now - rule.forget_after))

    def scores(self, rule: ListScoreRule) -> list[ScoreFact]:
        held = [row for dnsbl in rule.lists for row in self.store.latest("list_score", dnsbl=dnsbl)]
        with self.store.reading_session() as session:
            places = _places(session, {_target(series) for series, _ in held})
        return [
            ScoreFact(places[_target(series)], str(series.dnsbl), _state(latest))
            for series, latest in held
            if _target(series) in places
        ]

    def mailboxes(self) -> list[MailboxFact]:
        """Those in the inventory that were tried at least once."""
        with self.store.reading_session() as session:
            known = {box.name for box in mailboxes(session)}
        return [
            MailboxFact(str(series.mailbox), _state(latest), self.network_fault)
            for series, latest in self.store.latest("mailbox_read")
            if series.mailbox in known
        ]

    def runs(self) -> list[RunsFact]:
        known = self._last_runs
        # only a collector that never got an answer is measured by when it began to try: few, and briefly
        never = [name for name, runs in known.items() if runs.good is None]
        with self.store.reading_session() as session:
            first = first_runs(session, never)
        return [
            _runs_fact(name, every, first.get(name), known.get(name), network_fault=self.network_fault)
            for name, every in self._intervals.items()
        ]

    @cached_property
    def _last_runs(self) -> dict[str, Runs]:
        return self.store.last_runs()

    def clock(self) -> list[ClockFact]:
        with self.store.reading_session() as session:
            newest = newest_known_at(session)
        return [] if newest is None else [ClockFact(newest)]

    def counts(self, rule: ComplaintRateRule, expected: Sequence[Group]) -> list[RateFacts]:
        stale = complaints_incomplete(self._last_runs, self._intervals, self.now)
        return rate_facts(self.store, rule, self.now, stale, expected)

    def _listing_facts(self, session: Session, rows: Iterable[Listing]) -> list[ListingFact]:
        rows = list(rows)
        places = _places(session, {row.target for row in rows})
        return [_listing_fact(row, places[row.target], self.now) for row in rows if row.target in places]


_FACTS: dict[FactsName, Callable[[Facts, Any, Sequence[Group]], Sequence[Any]]] = {
    "counts": Facts.counts,
    "listings": lambda facts, _rule, _groups: facts.listings,
    "lost_listings": lambda facts, rule, _groups: facts.lost_listings(rule),
    "scores": lambda facts, rule, _groups: facts.scores(rule),
    "loops": lambda facts, rule, _groups: facts.feeds.facts(rule, facts.now),
    "canaries": lambda facts, _rule, _groups: facts.canaries,
    "mailboxes": lambda facts, _rule, _groups: facts.mailboxes(),
    "runs": lambda facts, _rule, _groups: facts.runs(),
    "clock": lambda facts, _rule, _groups: facts.clock(),
}


def rate_facts(
    store: Store, rule: ComplaintRateRule, now: datetime, stale: str | None, expected: Sequence[Group]
) -> list[RateFacts]:
    """Counts per group of the rule's `by` over its window, plus the `expected` groups that counted nothing.

    A group that only facts known in part name (a complaint of a customer, of no stream) is one of them, with all that
    is within it. Where one of the rule's suspensions was lifted inside the window, the group is counted from then on: it
    was judged for what came before, and is not judged for it twice.
    """
    since, until = now - rule.window, now + timedelta(microseconds=1)
    restarts = _restarts(store, rule.id, since)
    counts = CountsInPart(rule.by, store.window_counts(_COUNTED, rule.by, since, until))
    facts: list[RateFacts] = []
    for group in dict.fromkeys([*counts.groups(), *(each for each in expected if set(dict(each)) <= set(rule.by))]):
        began, counted = restarts.get(group, since), counts
        if began != since:
            where = dict(group)
            counted = CountsInPart(
                rule.by, store.window_counts(_COUNTED, rule.by, began, until, where=where, or_unknown=True)
            )
        facts.append(_group_facts(group, began, counted.of(group), stale))
    return facts


def _group_facts(group: Group, since: datetime, counts: Parted, stale: str | None) -> RateFacts:
    certain, perhaps = counts
    return RateFacts(
        group, since, certain.get("delivered", 0), certain.get("complaint", 0), stale,
        delivered_perhaps=perhaps.get("delivered", 0), complaints_perhaps=perhaps.get("complaint", 0),
    )


def _restarts(store: Store, rule: str, since: datetime) -> dict[Group, datetime]:
    restarts: dict[Group, datetime] = {}
    with store.reading_session() as session:
        for subject, lifted_at in lifted_since(session, rule, since):
            group = tuple(subject.items())
            restarts[group] = max(lifted_at, restarts.get(group, since))
    return restarts


def _places(session: Session, targets: set[str]) -> dict[str, Place]:
    """Where the inventory has these targets; those it does not have are left out."""
    addresses, domains = addresses_among(session, targets), domains_among(session, targets)
    places = {name: Place(name, True, pool, customer) for name, (pool, customer) in addresses.items()}
    return places | {name: Place(name, False, None, customer) for name, customer in domains.items()}


def _target(series: Series) -> str:
    return series.ip or series.domain or ""


def _listing_fact(row: Listing, place: Place, now: datetime) -> ListingFact:
    reason = row.unknown_reason
    if reason is None and now - row.checked_at > LISTING_STALE_AFTER:
        reason = Reason.STALE
    return ListingFact(
        place=place, dnsbl=row.dnsbl, phase=row.phase, baseline=row.baseline, codes=tuple(row.codes),
        first_seen_at=row.first_seen_at, confirmed_at=row.confirmed_at, detail=row.detail, unknown_reason=reason,
        cleared_at=row.cleared_at,
    )


def _state(latest: Latest) -> StateFact:
    since = latest.unknown_since if latest.reason else latest.since
    return StateFact(latest.value, latest.reason, since or latest.checked_at, latest.checked_at, latest.detail)


def _runs_fact(
    name: str, every: timedelta, first_at: datetime | None, runs: Runs | None, *, network_fault: bool
) -> RunsFact:
    if runs is None:
        return RunsFact(name, every, None, None)
    last, good = runs.last, runs.good
    return RunsFact(
        name, every, first_at, good.ended_at if good else None,
        running_since=last.started_at if last.outcome == Outcome.RUNNING else None,
        reason=last.reason, text=last.text, network_fault=network_fault,
    )
