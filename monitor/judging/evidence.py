"""What the rules are judged by, from the store: rows as the pure shapes of `monitor.rules.evidence`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cached_property

from sqlmodel import Session

from collectors.contract import Reason
from collectors.details import ListAnswer, ListKind, WarmUpNeed
from collectors.freshness import is_stale, measure_limit
from collectors.measures import MEASURES
from collectors.observation import Subject
from monitor.database.tables import Latest, Listing, Series
from monitor.facts import Store
from monitor.facts.batches import newest_known_at
from monitor.facts.coverage import incomplete
from monitor.facts.readings import newest_by, value_before
from monitor.facts.runs import Outcome, Runs, first_runs
from monitor.inventory.rows import addresses_among, domains_among, mailboxes
from monitor.judging.counters import Counters
from monitor.judging.feed_evidence import FeedEvidence
from monitor.judging.mail_evidence import MailEvidence
from monitor.judging.touched import Near
from monitor.judging.unasked import Configured
from monitor.listings.find import lost_allow_listings, open_listings
from monitor.restrictions.rows import lifted_since
from monitor.rules.evidence import (
    Change,
    Counts,
    Feed,
    FeedQuestion,
    Hold,
    ListingFact,
    Place,
    Seen,
    Span,
    Standing,
    StateFact,
    StreamMail,
    labels_of,
)
from monitor.rules.lists import KnownList, KnownLists, Phase
from monitor.rules.signals import Signal
from monitor.rules.verdict import Group
from monitor.warmup.rows import followed, scope_of

NO_LISTS = KnownLists()
_LONGEST = timedelta(days=60)  # no rule looks for a suspension that ended before


def _none(_: str) -> tuple[Group, ...]:
    return ()


class StoreEvidence:
    """The evidence of one pass at `now`; what several rules need is read once.

    `counters` answer for the store where they can. `intervals` says how often each configured collector runs; `feeds` keeps what feeds
    reported, `mails` what streams sent. `expected`: rule →
    the groups it judged before. Of DNS lists that are not among `watched_lists` (None: not known) nothing is evidence any more.
    """

    def __init__(  # noqa: PLR0913 - each named at the call
        self, store: Store, now: datetime, intervals: Mapping[str, timedelta], feeds: FeedEvidence,
        expected: Callable[[str], Sequence[Group]] = _none, lists: KnownLists = NO_LISTS,
        watched_lists: Collection[str] | None = None, *, mails: MailEvidence | None = None,
        opened: Callable[[str], Collection[Group]] = _none, counters: Counters | Near | None = None,
    ) -> None:
        self.store, self.now, self.lists = store, now, lists
        self._mails, self._opened = mails or MailEvidence(store), opened
        self._intervals, self._feeds = intervals, feeds
        self._expected, self._configured = expected, Configured(lists=watched_lists)
        self._counted: dict[object, Counts] = {}
        self._counters = counters

    def counts(
        self, measures: Collection[str], by: Sequence[str], span: Span, where: Mapping[str, str] | None = None
    ) -> Counts:
        question = (frozenset(measures), tuple(by), span, tuple((where or {}).items()))
        if question not in self._counted:
            counted = self._counters.counts(measures, by, span, where) if self._counters else None
            if counted is None:
                counted = self.store.window_counts(measures, by, *span, where=where, or_unknown=where is not None)
            self._counted[question] = counted
        return self._counted[question]

    def incomplete(self, measures: Collection[str]) -> str | None:
        feeders = [name for name, fed in self._feeds.fed_by.items() if fed & set(measures)]
        return incomplete(feeders, self._last_runs, self._intervals, self.now)

    def restarts(self, rule: str, since: datetime) -> Mapping[Group, datetime]:
        return {group: at for group, at in self._lifted.get(rule, {}).items() if at > since}

    @cached_property
    def _lifted(self) -> dict[str, dict[Group, datetime]]:
        """By rule: when the last suspension of each group ended, as far back as any is judged by."""
        lifted: dict[str, dict[Group, datetime]] = {}
        with self.store.reading_session() as session:
            for rule, subject, at in lifted_since(session, self.now - _LONGEST):
                of_rule, group = lifted.setdefault(rule, {}), tuple(subject.items())
                of_rule[group] = max(at, of_rule.get(group, at))
        return lifted

    def expected(self, rule: str) -> Sequence[Group]:
        return self._expected(rule)

    def opened(self, rule: str) -> Collection[Group]:
        return self._opened(rule)

    def place(self, target: str) -> Place | None:
        if target not in self._places:
            with self.store.reading_session() as session:
                self._places[target] = _places(session, {target}).get(target)
        return self._places[target]

    @cached_property
    def _places(self) -> dict[str, Place | None]:
        return {}

    def states(self, measure: str) -> Sequence[Standing]:
        read = _STATES.get(measure)
        return read(self) if read else self.stored(measure)

    def stored(self, measure: str) -> list[Standing]:
        """Every series of a measure; of those about an IP or a domain only what is in the inventory."""
        held = self._latest(measure)
        with self.store.reading_session() as session:
            places = _places(session, {_target(series) for series, _ in held} - {""})
        return [
            Standing(self._labels(series, places.get(_target(series))), state_fact(measure, latest), self._list_name(series))
            for series, latest in held
            if not _target(series) or _target(series) in places
        ]

    def _latest(self, measure: str) -> list[tuple[Series, Latest]]:
        return [(series, latest) for series, latest in self.store.latest(measure)
                if not (series.dnsbl or measure == "canary") or self._configured.asks(series.dnsbl)]

    def changes(self, measure: str, since: datetime) -> Sequence[Change]:
        if measure == "allow_listing":
            allow = self.lists.ids(ListKind.ALLOW)
            with self.store.reading_session() as session:
                return [_let_go(fact) for fact in self._listing_facts(session, lost_allow_listings(session, allow, since))
                        if self._configured.asks(fact.dnsbl)]
        changed = [(series, latest) for series, latest in self._latest(measure) if latest.since and latest.since > since]
        changes = []
        with self.store.reading_session() as session:
            places = _places(session, {_target(series) for series, _ in changed} - {""})
            for series, latest in changed:
                before = value_before(session, series.id or 0, latest.since or since)
                if before is not None and latest.value is not None:
                    labels = self._labels(series, places.get(_target(series)))
                    changes.append(Change(labels, before, latest.value, latest.since or since, self._list_name(series)))
        return changes

    def listings(self) -> Sequence[ListingFact]:
        return self._listings

    @cached_property
    def _listings(self) -> list[ListingFact]:
        """Every open interval of a target that is still in the inventory."""
        with self.store.reading_session() as session:
            return self._listing_facts(session, open_listings(session))

    def seen(self, signal: Signal, by: Sequence[str]) -> Sequence[Seen]:
        if "collector_run" in signal.numerator:
            return self._runs()
        if not signal.is_count:
            return [Seen(each.labels, each.state.checked_at) for name in signal.numerator for each in self.states(name)]
        with self.store.reading_session() as session:
            newest = newest_by(session, signal.numerator, by)
        return [Seen({name: value for name, value in zip(by, values, strict=True) if value}, at) for values, at in newest.items()]

    def feeds(self, question: FeedQuestion) -> Sequence[Feed]:
        return self._feeds.feeds(question, self.now)

    def mail(self, signal: Signal, opened: Collection[Group]) -> Sequence[StreamMail]:
        return self._mails.mail(signal, opened, self.now)

    def holds(self, rule: str) -> Mapping[Group, Sequence[Hold]]:
        return self._mails.holds(rule, self.now)

    def _runs(self) -> list[Seen]:
        known = self._last_runs
        # only a collector that never got an answer is measured by when it began to try: few, and briefly
        never = [name for name, runs in known.items() if runs.good is None]
        with self.store.reading_session() as session:
            first = first_runs(session, never)
        return [_seen(name, every, first.get(name), known.get(name)) for name, every in self._intervals.items()]

    @cached_property
    def _last_runs(self) -> dict[str, Runs]:
        return self.store.last_runs()

    def _listing_facts(self, session: Session, rows: Iterable[Listing]) -> list[ListingFact]:
        rows = list(rows)
        places = _places(session, {row.target for row in rows})
        return [
            listing_fact(row, places[row.target], self.lists.of(row.dnsbl), self.now) for row in rows if row.target in places
        ]

    def _labels(self, series: Series, place: Place | None) -> dict[str, str]:
        labels = {name: str(value) for name in Subject._fields if (value := getattr(series, name)) is not None}
        return labels if place is None else labels | labels_of(place, self.lists.of(series.dnsbl) if series.dnsbl else None)

    def _list_name(self, series: Series) -> str:
        return self.lists.of(series.dnsbl).title if series.dnsbl else ""


def _canaries(evidence: StoreEvidence) -> list[Standing]:
    return [each for each in evidence.stored("canary") if "dnsbl" in each.labels]


def _own_network(evidence: StoreEvidence) -> list[Standing]:
    return [each for each in evidence.stored("canary") if "dnsbl" not in each.labels]


def _mailboxes(evidence: StoreEvidence) -> list[Standing]:
    """Those in the inventory that were tried at least once."""
    with evidence.store.reading_session() as session:
        known = {box.name for box in mailboxes(session)}
    return [each for each in evidence.stored("mailbox_read") if each.labels.get("mailbox") in known]


def _warm_ups(evidence: StoreEvidence) -> list[Standing]:
    """Those that go on: 0 where a person is needed."""
    with evidence.store.reading_session() as session:
        rows = followed(session)
    return [
        Standing(scope_of(row.ip, row.domain, row.provider), StateFact(
            0.0 if row.needs else 1.0, None, row.needs_at or row.started_at, evidence.now, WarmUpNeed(row.needs),
        ))
        for row in rows
    ]  # fmt: skip


def _clock(evidence: StoreEvidence) -> list[Standing]:
    with evidence.store.reading_session() as session:
        newest = newest_known_at(session)
    if newest is None:
        return []
    return [Standing({}, StateFact((newest - evidence.now).total_seconds(), None, newest, evidence.now))]


# measures that are read in another way than from their own series
_STATES: dict[str, Callable[[StoreEvidence], Sequence[Standing]]] = {
    "canary": _canaries,
    "own_network": _own_network,
    "mailbox_read": _mailboxes,
    "clock_behind": _clock,
    "warm_up": _warm_ups,
}


def _places(session: Session, targets: set[str]) -> dict[str, Place]:
    """Where the inventory has these targets; those it does not have are left out."""
    if not targets:
        return {}
    addresses, domains = addresses_among(session, targets), domains_among(session, targets)
    places = {name: Place(name, True, pool, customer) for name, (pool, customer) in addresses.items()}
    return places | {name: Place(name, False, None, customer) for name, customer in domains.items()}


def _target(series: Series) -> str:
    return series.ip or series.domain or ""


def listing_fact(row: Listing, place: Place, known: KnownList, now: datetime) -> ListingFact:
    reason = row.unknown_reason
    if reason is None and is_stale(row.checked_at, now, measure_limit("listing")):
        reason = Reason.STALE
    return ListingFact(
        place=place, dnsbl=row.dnsbl, phase=Phase(row.phase), baseline=row.baseline, codes=tuple(row.codes),
        first_seen_at=row.first_seen_at, confirmed_at=row.confirmed_at, answer=ListAnswer.decode(row.detail), known=known, unknown_reason=reason,
        cleared_at=row.cleared_at,
    )


def _let_go(fact: ListingFact) -> Change:
    """An interval on an allow list that ended, or one that stands again after it."""
    at = fact.cleared_at or fact.first_seen_at
    return Change(fact.labels, 1.0, 0.0 if fact.cleared_at else 1.0, at, fact.known.title, fact.answer.meaning)


def state_fact(measure: str, latest: Latest) -> StateFact:
    since = latest.unknown_since if latest.reason else latest.since
    return StateFact(latest.value, latest.reason, since or latest.checked_at, latest.checked_at, MEASURES[measure].detail.decode(latest.detail))


def _seen(name: str, every: timedelta, first_at: datetime | None, runs: Runs | None) -> Seen:
    labels = {"collector": name}
    if runs is None:
        return Seen(labels, None, every=every)
    last, good = runs.last, runs.good
    return Seen(
        labels, good.ended_at if good else None, first_at, every,
        running_since=last.started_at if last.outcome == Outcome.RUNNING else None, reason=last.reason, text=last.text,
    )
