"""Evidence of a simulation: facts in memory, kept so that a million of them are judged as they come.

The same questions are answered as by the store (`monitor.rules.evidence`), for the same conditions. Counts are summed by the minute.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import accumulate

from collectors.measures import MEASURES, MeasureKind
from monitor.rules.detectors.book import Book, Stream
from monitor.rules.evidence import Counts, Hold, Seen, Span, StreamMail, Values
from monitor.rules.in_memory import Fact, MemoryEvidence, add_to, mail_of
from monitor.rules.signals import Signal
from monitor.rules.verdict import Group

_MINUTE = 60


@dataclass(slots=True)
class _Series:
    """Sums of one measure of one subject by minute; summed up anew only where something came since."""

    labels: Mapping[str, str]
    minutes: dict[int, float] = field(default_factory=dict)
    order: list[int] = field(default_factory=list)
    sums: list[float] | None = None

    def add(self, at: datetime, value: float) -> None:
        minute = int(at.timestamp() // _MINUTE)
        if minute not in self.minutes:
            self.minutes[minute] = 0.0
            if self.order and minute < self.order[-1]:
                insort(self.order, minute)
            else:
                self.order.append(minute)
        self.minutes[minute] += value
        self.sums = None

    def forget(self, before: int) -> None:
        """Minutes before this one."""
        gone = bisect_left(self.order, before)
        for minute in self.order[:gone]:
            del self.minutes[minute]
        if gone:
            del self.order[:gone]
            self.sums = None

    def total(self, since: int, until: int) -> float:
        if self.sums is None:
            self.sums = list(accumulate((self.minutes[minute] for minute in self.order), initial=0.0))
        return self.sums[bisect_left(self.order, until)] - self.sums[bisect_left(self.order, since)]


class SimulatedEvidence(MemoryEvidence):
    """`now` moves with the facts. What was judged before, and what was suspended, the simulation states."""

    def __init__(self, now: datetime) -> None:
        super().__init__(now)
        self.seen_measures: set[str] = set()
        self._stated: list[Fact] = []
        self._series: dict[str, dict[tuple[tuple[str, str], ...], _Series]] = {}
        self.kinds: Mapping[tuple[str, str], str] = {}  # (customer, stream) → class
        self._books: dict[str, tuple[Signal, Book]] = {}
        self._looked: dict[str, tuple[datetime, list[Stream]]] = {}
        self.facts = self._stated

    def watch(self, signal: Signal) -> None:
        """Keep the book of a signal whose streams will be asked for."""
        self._books.setdefault(signal.name, (signal, Book(kinds=self.kinds)))

    def add(self, fact: Fact, known_at: datetime) -> None:
        self.seen_measures.add(fact.measure)
        if MEASURES[fact.measure].kind is not MeasureKind.COUNT:
            self._stated.append(fact)
            return
        for signal, book in self._books.values():
            if fact.measure in signal.measures:
                add_to(book, signal, fact, known_at)
        series = self._series.setdefault(fact.measure, {})
        key = tuple(fact.labels.items())
        if key not in series:
            series[key] = _Series(fact.labels)
        series[key].add(fact.at, fact.value or 0.0)

    @property
    def size(self) -> int:
        """Sums kept: minutes of all series."""
        return sum(len(series.order) for each in self._series.values() for series in each.values())

    def forget(self, before: datetime) -> None:
        """Counts about times before this: for whoever asks for no longer windows, nor when a count was last seen."""
        minute = int(before.timestamp() // _MINUTE)
        for measure, each in self._series.items():
            for series in each.values():
                series.forget(minute)
            self._series[measure] = {key: series for key, series in each.items() if series.order}

    def counts(
        self, measures: Collection[str], by: Sequence[str], span: Span, where: Mapping[str, str] | None = None
    ) -> Counts:
        since, until = int(span[0].timestamp() // _MINUTE), int(span[1].timestamp() // _MINUTE) + 1
        sums: dict[Values, dict[str, float]] = {}
        for measure in measures:
            for series in self._series.get(measure, {}).values():
                if where and any(series.labels.get(name, value) != value for name, value in where.items()):
                    continue
                if total := series.total(since, until):
                    into = sums.setdefault(tuple(series.labels.get(name) for name in by), {})
                    into[measure] = into.get(measure, 0) + total
        return sums

    def seen(self, signal: Signal, by: Sequence[str]) -> Sequence[Seen]:
        if not signal.is_count:
            return super().seen(signal, by)
        newest: dict[Values, int] = {}
        for measure in signal.numerator:
            for series in self._series.get(measure, {}).values():
                values = tuple(series.labels.get(name) for name in by)
                newest[values] = max(series.order[-1], newest.get(values, 0))
        return [
            Seen({name: value for name, value in zip(by, values, strict=True) if value}, _instant(minute, self.now))
            for values, minute in newest.items()
        ]

    def mail(self, signal: Signal, opened: Collection[Group]) -> Sequence[StreamMail]:
        _, book = self._books[signal.name]
        book.learn(self.now.timestamp())
        looked_at, touched = self._looked.get(signal.name, (None, []))
        if looked_at != self.now:  # several rules of one signal ask at the same instant
            touched = book.touched()
            self._looked[signal.name] = (self.now, touched)
        wanted = [*touched, *(stream for group in opened for stream in _streams(book, group))]
        return mail_of(book, book.with_siblings(wanted))

    def holds(self, rule: str) -> Mapping[Group, Sequence[Hold]]:
        return self.held.get(rule, {})


def _streams(book: Book, group: Group) -> Sequence[Stream]:
    labels = dict(group)
    return book.siblings(labels.get("customer"), labels.get("provider"))


def _instant(minute: int, now: datetime) -> datetime:
    return now - timedelta(seconds=now.timestamp() - minute * _MINUTE)
