"""Evidence from facts in memory: what a rule test or a simulation states, as one store would answer it. Pure.

Small: every question goes through all the facts. What happened later than `now`, or was learnt later, is not seen.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from collectors.details import UNEXPLAINED, Detail
from monitor.rules.detectors.assess import Mail
from monitor.rules.detectors.book import Book, Stream
from monitor.rules.evidence import (
    Change,
    Counts,
    Day,
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
    Values,
    labels_of,
)
from monitor.rules.lists import KnownList, KnownLists
from monitor.rules.signals import Signal
from monitor.rules.verdict import Group

_DAY = timedelta(days=1)
Labels = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Fact:
    """One reading: of a count a delta, of a state or gauge what it is from then on. `value` None: unknown for `reason`."""

    measure: str
    labels: Labels
    at: datetime
    value: float | None
    reason: str | None = None
    detail: Detail = UNEXPLAINED


@dataclass
class MemoryEvidence:
    """All that is known at `now`. What no fact can say (listings, places, why something is incomplete) is stated as it is."""

    now: datetime
    facts: Sequence[Fact] = ()
    open_listings: Sequence[ListingFact] = ()
    places: Mapping[str, Place] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)  # measure → why a low number of it cannot be believed
    restarted: Mapping[str, Mapping[Group, datetime]] = field(default_factory=dict)  # by rule
    judged: Mapping[str, Sequence[Group]] = field(default_factory=dict)  # by rule: the groups it judged before
    held: Mapping[str, Mapping[Group, Sequence[Hold]]] = field(default_factory=dict)  # by rule
    let_go: Sequence[Change] = ()  # by allow lists
    runs: Sequence[Seen] = ()
    lists: KnownLists = field(default_factory=KnownLists)

    def counts(
        self, measures: Collection[str], by: Sequence[str], span: Span, where: Mapping[str, str] | None = None
    ) -> Counts:
        sums: dict[Values, dict[str, float]] = {}
        for fact in self._of(measures, span):
            if fact.value is not None and all(fact.labels.get(name, value) == value for name, value in (where or {}).items()):
                into = sums.setdefault(tuple(fact.labels.get(name) for name in by), {})
                into[fact.measure] = into.get(fact.measure, 0) + fact.value
        return sums

    def incomplete(self, measures: Collection[str]) -> str | None:
        return next((self.missing[name] for name in measures if name in self.missing), None)

    def restarts(self, rule: str, since: datetime) -> Mapping[Group, datetime]:
        return {group: at for group, at in self.restarted.get(rule, {}).items() if at > since}

    def expected(self, rule: str) -> Sequence[Group]:
        return self.judged.get(rule, ())

    def opened(self, rule: str) -> Collection[Group]:
        return self.judged.get(rule, ())

    def place(self, target: str) -> Place | None:
        return self.places.get(target)

    def states(self, measure: str) -> Sequence[Standing]:
        held: dict[tuple[tuple[str, str], ...], list[Fact]] = {}
        for fact in self._of([measure], None):
            held.setdefault(tuple(sorted(fact.labels.items())), []).append(fact)
        return [Standing(self._labels(facts[-1]), _state(facts), self._list_name(facts[-1])) for facts in held.values()]

    def changes(self, measure: str, since: datetime) -> Sequence[Change]:
        if measure == "allow_listing" and self.let_go:
            return [each for each in self.let_go if each.at > since]
        newest: dict[tuple[tuple[str, str], ...], tuple[Fact, Change | None]] = {}
        for fact in self._of([measure], None):
            key = tuple(sorted(fact.labels.items()))
            before, change = newest.get(key, (None, None))
            if fact.value is not None:
                if before is not None and before.value is not None and before.value != fact.value:
                    change = Change(self._labels(fact), before.value, fact.value, fact.at, self._list_name(fact))
                newest[key] = (fact, change)
        return [change for _, change in newest.values() if change is not None and change.at > since]

    def listings(self) -> Sequence[ListingFact]:
        return self.open_listings

    def seen(self, signal: Signal, by: Sequence[str]) -> Sequence[Seen]:
        if "collector_run" in signal.numerator and self.runs:
            return self.runs
        newest = {tuple(fact.labels.get(name) for name in by): fact for fact in self._of(signal.numerator, None)}
        return [Seen(fact.labels, fact.at) for fact in newest.values()]

    def feeds(self, question: FeedQuestion) -> Sequence[Feed]:
        signal, since = question.signal, self.now - question.window
        until = since.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        history: dict[Group, list[Day]] = {}
        start = until - question.history
        while start < until:
            for group, sums in self._by_group(question, (start, start + _DAY)).items():
                day = Day(*signal.sums(sums))
                if group in history or day.reports > 0:
                    history.setdefault(group, []).append(day)
            start += _DAY
        recent = self._by_group(question, (since, self.now + timedelta(microseconds=1)))
        last = {self._group(question, fact): fact.at for fact in self._of(signal.numerator, None)}
        return [
            Feed(group, since, *signal.sums(recent.get(group, {})), tuple(days), last.get(group), self.incomplete(signal.numerator))
            for group, days in sorted(history.items())
        ]

    def mail(self, signal: Signal, opened: Collection[Group]) -> Sequence[StreamMail]:
        del opened  # every stream is looked at
        book = Book()
        for fact in sorted(self._of(signal.measures, None), key=lambda fact: fact.at):
            book.learn(fact.at.timestamp())
            add_to(book, signal, fact, fact.at)
        book.learn(self.now.timestamp())
        return mail_of(book, book.streams)

    def holds(self, rule: str) -> Mapping[Group, Sequence[Hold]]:
        return self.held.get(rule, {})

    def _by_group(self, question: FeedQuestion, span: Span) -> dict[Group, Mapping[str, float]]:
        sums = self.counts(question.signal.measures, question.by, span)
        return {
            tuple((name, str(value)) for name, value in zip(question.by, values, strict=True)): each
            for values, each in sums.items() if None not in values
        }  # fmt: skip

    def _group(self, question: FeedQuestion, fact: Fact) -> Group:
        return tuple((name, fact.labels.get(name, "")) for name in question.by)

    def _of(self, measures: Collection[str], span: Span | None) -> Iterable[Fact]:
        """By time, those of these measures that are known by now."""
        chosen = (fact for fact in self.facts if fact.measure in measures and fact.at <= self.now)
        return sorted((fact for fact in chosen if span is None or span[0] <= fact.at < span[1]), key=lambda fact: fact.at)

    def _labels(self, fact: Fact) -> dict[str, str]:
        labels = dict(fact.labels)
        place = self.places.get(labels.get("ip") or labels.get("domain") or "")
        return labels if place is None else labels | labels_of(place, self._known(fact))

    def _known(self, fact: Fact) -> KnownList | None:
        return self.lists.of(fact.labels["dnsbl"]) if "dnsbl" in fact.labels else None

    def _list_name(self, fact: Fact) -> str:
        known = self._known(fact)
        return known.title if known else ""


def _state(facts: Sequence[Fact]) -> StateFact:
    """What holds after these readings of one series, the oldest first."""
    value: float | None = None
    reason: str | None = None
    since = facts[0].at
    detail = UNEXPLAINED
    for fact in facts:
        known = fact.value is not None
        if known != (reason is None) or (known and fact.value != value):
            since = fact.at
        reason = None if known else fact.reason
        if known:
            value, detail = fact.value, fact.detail
    return StateFact(value, reason, since, facts[-1].at, detail)


def add_to(book: Book, signal: Signal, fact: Fact, known_at: datetime) -> None:
    """A count of the signal, learnt at `known_at`, into the book of its streams."""
    labels, at = fact.labels, fact.at.timestamp()
    stream = Stream(labels.get("customer"), labels.get("stream"), labels.get("provider"))
    if fact.value and fact.measure in signal.numerator:
        book.complain(stream, labels.get("campaign"), (at, known_at.timestamp()), round(fact.value))
    if fact.value and fact.measure in signal.denominator:
        book.deliver(stream, labels.get("campaign"), at, fact.value)


def mail_of(book: Book, streams: Iterable[Stream]) -> list[StreamMail]:
    """What the book has of these streams."""
    return [
        StreamMail(
            {name: value for name, value in stream._asdict().items() if value is not None},
            Mail(book.streams[stream], book.lag(stream.provider), book.usual(stream)),
        )
        for stream in streams
    ]
