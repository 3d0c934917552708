"""The counts of all streams at all providers, kept up with facts as they become known: what the detectors are asked about.

A look is only taken at what may have changed: streams with new complaints, their siblings (other streams of the customer at the
provider, with which small ones are judged), and whatever is asked for besides.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from monitor.rules.detectors.clustering import CORRELATIONS, USUAL, Spreads, Weights
from monitor.rules.detectors.counts import MailCounts
from monitor.rules.detectors.reporting import DAY, ReportingLag

KEPT = 40 * DAY  # older mail is forgotten
_ENOUGH_CLUSTERS = 20  # a stream says something of what is usual once it had so many
_MOST_STREAMS = 200
_KIND = "marketing"  # of a stream that nobody has classed
_STRENGTH = 10  # what is assumed to be usual counts as so many streams


class Stream(NamedTuple):
    """None where the facts do not say."""

    customer: str | None
    stream: str | None
    provider: str | None


@dataclass(slots=True)
class Book:
    """Everything is a function of the facts added and of the day, whatever order they came in."""

    streams: dict[Stream, MailCounts] = field(default_factory=dict)
    lags: dict[str | None, ReportingLag] = field(default_factory=dict)
    kinds: Mapping[tuple[str, str], str] = field(default_factory=dict)  # (customer, stream) → class
    _usual: dict[str, Weights] = field(default_factory=dict)  # by class
    _siblings: dict[tuple[str | None, str | None], set[Stream]] = field(default_factory=dict)
    _touched: set[Stream] = field(default_factory=set)
    _day: int = -1

    def deliver(self, stream: Stream, campaign: str | None, at: float, count: float) -> None:
        self.counts(stream).deliver(campaign, at, count)

    def complain(self, stream: Stream, campaign: str | None, times: tuple[float, float], count: int = 1) -> None:
        """`times`: when the mail was sent, and when the complaint became known."""
        self.counts(stream).complain(campaign, times[0], count)
        self.lag(stream.provider).add(*times, count)
        self._touched.add(stream)

    def counts(self, stream: Stream) -> MailCounts:
        counts = self.streams.get(stream)
        return self.put(stream, MailCounts()) if counts is None else counts

    def put(self, stream: Stream, counts: MailCounts) -> MailCounts:
        """All that is known of a stream, in the place of what was."""
        self.streams[stream] = counts
        self._siblings.setdefault((stream.customer, stream.provider), set()).add(stream)
        return counts

    def lag(self, provider: str | None) -> ReportingLag:
        return self.lags.setdefault(provider, ReportingLag())

    def siblings(self, customer: str | None, provider: str | None) -> Sequence[Stream]:
        return sorted(self._siblings.get((customer, provider), ()), key=str)

    def touched(self) -> list[Stream]:
        """Those with complaints that became known since this was asked last."""
        touched, self._touched = sorted(self._touched, key=str), set()
        return touched

    def with_siblings(self, streams: Iterable[Stream]) -> list[Stream]:
        """These and the others of their customers at their providers."""
        families = dict.fromkeys((each.customer, each.provider) for each in streams)
        return [stream for family in families for stream in self.siblings(*family)]

    def learn(self, now: float) -> None:
        """Once a day: how late complaints come, how much campaigns differ; and what is old is forgotten."""
        day = int(now // DAY)
        if day == self._day:
            return
        self._day = day
        for lag in self.lags.values():
            lag.learn(now)
        for counts in self.streams.values():
            counts.forget(now - KEPT)
        self._usual = {kind: self._pooled(kind, now) for kind in {self._kind(stream) for stream in self.streams}}

    def usual(self, stream: Stream) -> Weights:
        """How much campaigns differ in streams of its class, as far as they are known."""
        return self._usual.get(self._kind(stream), USUAL)

    def _kind(self, stream: Stream) -> str:
        return self.kinds.get((stream.customer or "", stream.stream or ""), _KIND)

    def _pooled(self, kind: str, now: float) -> Weights:
        known = [
            stream for stream, counts in self.streams.items()
            if len(counts.clusters) >= _ENOUGH_CLUSTERS and self._kind(stream) == kind
        ]
        sums = [_STRENGTH * weight for weight in USUAL]
        for stream in known[:_MOST_STREAMS]:
            spread = Spreads(self.streams[stream], self.lag(stream.provider), now).before(int(now // 3600))
            sums = [before + weight for before, weight in zip(sums, spread.weights, strict=True)]
        return tuple(each / sum(sums) for each in sums[: len(CORRELATIONS)])
