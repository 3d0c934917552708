"""Has the complaint rate of a stream left where it belongs, and since when?

A Shiryaev-Roberts e-detector. For every hour s in which the change may have come, L(s) says how much more likely the mail
since then is at a raised rate than at the innocent one; the evidence is

    M = sum over s of w(s) · mean over the raised rates of L(s),    where w adds up to 1 a day

and it is enough at M ≥ c. Where the mean stays at or below the innocent rate, the mean time to a false alarm is at least c
days (J. Shin, A. Ramdas, A. Rinaldo, NEJSDS 2(2), 2024, arXiv 2203.03532; G. Lorden, Ann. Math. Stat. 42, 1971), whatever
happens and however often it is looked at, where campaigns differ as assumed. Both likelihoods are means over how much
campaigns may differ (`clustering`), weighed by the campaigns before s. Half of w is given to the hours in which a campaign
begins, for lists and contents change with campaigns; the other half to all hours alike.

Computed from the counts as they are by now, not carried along: a complaint that comes late counts in its own hour.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from monitor.rules.detectors.clustering import CORRELATIONS, Spreads, Weights, exposed
from monitor.rules.detectors.counts import DAY_HOURS, HOUR, Campaign, Cell, ClusterKey, MailCounts
from monitor.rules.detectors.likelihood import Laws, laws
from monitor.rules.detectors.reporting import ReportingLag

LONGEST_SPAN = 35 * DAY_HOURS  # a change is looked for no further back
_NOTHING = 1e-5  # of a weight
_HOPELESS = -25.0  # what is so much less likely adds nothing to the evidence
_NO_MAIL: Mapping[Campaign, Cell] = {}
_ENOUGH_MAIL, _ENOUGH_CLUSTERS = 30_000, 20  # and no further than these say more than enough


@dataclass(frozen=True, slots=True)
class Raised:
    """What is asked: is it above `innocent`, at one of these rates? `shares`: how much each of them weighs, 1 in all."""

    innocent: float
    rates: tuple[float, ...]
    shares: tuple[float, ...]

    def laws(self) -> tuple[Laws, ...]:
        return tuple(laws((self.innocent, *self.rates), rho) for rho in CORRELATIONS)


@dataclass(frozen=True, slots=True)
class Change:
    """`evidence`: M; `since`: where the change most likely came (seconds since 1970), and what was counted from then on.

    `most`: complaints of one campaign among them.
    """

    evidence: float
    since: float
    complaints: int
    exposed: float
    delivered: float
    most: int = 0

    @property
    def rate(self) -> float:
        """Complaints ÷ matured exposure since the change."""
        return self.complaints / self.exposed if self.exposed else 0.0


class Likelihoods:
    """Clusters summed up from their newest hours backwards. `totals`: per rho, log likelihoods of all by rate.

    A rho that weighs next to nothing at both ends of the span is left out.
    """

    def __init__(self, raised: Raised, ends: Sequence[Weights]) -> None:
        self._places = [place for place in range(len(CORRELATIONS)) if any(weights[place] > _NOTHING for weights in ends)]
        every = raised.laws()
        self._laws = [every[place] for place in self._places]
        self._rates, self._shares = len(raised.rates), raised.shares
        self._sums: dict[ClusterKey, tuple[int, float, list[list[float]]]] = {}
        self.totals = [[0.0] * (self._rates + 1) for _ in self._laws]
        self.most = 0  # complaints of one cluster

    def __len__(self) -> int:
        return len(self._sums)

    def add(self, key: ClusterKey, complaints: int, mails: float) -> None:
        before = self._sums.get(key)
        k, x = (before[0] + complaints, before[1] + mails) if before else (complaints, mails)
        logs = [law.of(k, x) for law in self._laws]
        for place, total in enumerate(self.totals):
            new, old = logs[place], before[2][place] if before else None
            for rate in range(self._rates + 1):
                total[rate] += new[rate] - old[rate] if old else new[rate]
        self._sums[key] = k, x, logs
        self.most = max(self.most, k)

    def ratio(self, weights: Weights) -> float:
        """The mean over the raised rates of L, with these weights of the rho."""
        least = max(total[0] for total in self.totals)
        innocent = raised = 0.0
        for place, total in zip(self._places, self.totals, strict=True):
            weight = weights[place] + _NOTHING
            innocent += weight * math.exp(max(total[0] - least, -600.0))
            if max(total) - least > _HOPELESS:
                for share, each in zip(self._shares, total[1:], strict=True):
                    raised += weight * share * math.exp(min(each - least, 600.0))
        return raised / innocent


@dataclass(frozen=True, slots=True)
class Sent:
    """What is looked at: counts but for some campaigns."""

    counts: MailCounts
    lag: ReportingLag
    without: frozenset[Campaign] = frozenset()

    def cells(self, hour: int) -> Iterator[tuple[Campaign, Cell]]:
        for campaign, cell in self.counts.hours.get(hour, _NO_MAIL).items():
            if campaign not in self.without:
                yield campaign, cell


def find_change(sent: Sent, raised: Raised, span: tuple[float, float], spreads: Spreads) -> Change:
    """`span`: from where evidence begins to now."""
    counts = sent.counts
    last, first = _hours(counts, span)
    everywhere, at_begins = _weights(counts, last)
    likelihoods = Likelihoods(raised, (spreads.before(first).weights, spreads.before(last).weights))
    counted, mails, most, evidence = Cell(), 0.0, -1.0, 0.0
    best = Change(0.0, span[1], 0, 0.0, 0.0)
    for hour in range(last, first - 1, -1):
        weight = everywhere
        for campaign, cell in sent.cells(hour):
            if (hour - counts.first_hours[campaign]) % DAY_HOURS == 0:
                weight += at_begins
            exposure = exposed(cell, sent.lag, span[1])
            likelihoods.add(counts.key(campaign, hour), cell.complaints, exposure)
            counted.add(cell)
            mails += exposure
        term = weight * likelihoods.ratio(spreads.before(hour).weights)
        evidence += term
        if term > most:
            most = term
            best = Change(0.0, hour * HOUR, counted.complaints, mails, counted.delivered, likelihoods.most)
        if mails > _ENOUGH_MAIL and len(likelihoods) >= _ENOUGH_CLUSTERS:
            break
    return replace(best, evidence=evidence)


def worth_looking(sent: Sent, span: tuple[float, float], line: float, least: int) -> bool:
    """Whether there is an hour since which the rate is above the line, on so many complaints; without one there is no alarm."""
    last, first = _hours(sent.counts, span)
    complaints, mails = 0, 0.0
    for hour in range(last, first - 1, -1):
        for _, cell in sent.cells(hour):
            complaints += cell.complaints
            mails += exposed(cell, sent.lag, span[1])
        if complaints >= least and complaints > line * mails:
            return True
        if mails > 10 * _ENOUGH_MAIL:
            break
    return False


def _hours(counts: MailCounts, span: tuple[float, float]) -> tuple[int, int]:
    """The newest hour and the oldest; one that began before the evidence does is left out."""
    last = int(span[1] // HOUR)
    oldest = last if counts.oldest is None else counts.oldest
    return last, math.ceil(max(span[0] / HOUR, last - LONGEST_SPAN, min(oldest, last)))


def _weights(counts: MailCounts, last: int) -> tuple[float, float]:
    """What a start in any hour weighs, and what it weighs besides where a cluster begins."""
    days = max(1.0, (last - (last if counts.oldest is None else counts.oldest)) / DAY_HOURS)
    begins = max(1.0, len(counts.clusters) / days)
    return 0.5 / DAY_HOURS, 0.5 / begins
