"""How much do the campaigns of a stream differ? The intra-campaign correlation rho of its complaints.

With rho = 0.001 and a mean of 0.08 % a campaign's own rate has a standard deviation of 0.09 %: forty campaigns say more than
forty thousand mails of one. A detector that takes complaints to be independent accuses healthy streams, most of all large
ones. Of a small stream nobody can know its rho; so it is never taken as one number: a few values are weighed by how well
they explain the campaigns so far (a gamma law of campaigns' rates with Poisson complaints), starting from what is usual.
A few complaints in one campaign then prove little as long as clustering may explain them, and the same complaints spread
over campaigns prove what they do.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from monitor.rules.detectors.counts import DAY_HOURS, HOUR, Cell, MailCounts
from monitor.rules.detectors.reporting import LONGEST, ReportingLag

CORRELATIONS = (0.00001, 0.0001, 0.0004, 0.0012, 0.004, 0.012)
CLUSTERS = 60  # as many campaigns say how much they differ
_FEWEST = 3
_LITTLE, _DOUBT = 0.0005, 0.1

Weights = tuple[float, ...]  # of CORRELATIONS, in their order; they add up to 1
USUAL: Weights = (0.12, 0.23, 0.35, 0.23, 0.06, 0.01)


@dataclass(frozen=True, slots=True)
class Spread:
    """`clusters`: from how many campaigns it was learnt."""

    weights: Weights
    clusters: int

    @property
    def correlation(self) -> float:
        """The mean rho."""
        return sum(rho * weight for rho, weight in zip(CORRELATIONS, self.weights, strict=True))

    @property
    def alike(self) -> bool:
        """Whether its campaigns are known to differ little."""
        return sum(weight for rho, weight in zip(CORRELATIONS, self.weights, strict=True) if rho > _LITTLE) <= _DOUBT


class Spreads:
    """The weights as the clusters that ended before an hour's UTC day show them by now. `bad`: spans left out."""

    def __init__(
        self, counts: MailCounts, lag: ReportingLag, now: float, usual: Weights = USUAL,
        bad: Sequence[tuple[float, float]] = (),
    ) -> None:
        began = sorted(
            (each.first_hour, each.complaints, exposed(each, lag, now))
            for each in counts.clusters.values()
            if each.delivered and not any(since <= each.first_hour * HOUR < until for since, until in bad)
        )
        self._ends = [hour + DAY_HOURS for hour, _, _ in began]
        self._counted = [(complaints, mails) for _, complaints, mails in began]
        self._usual = usual
        self._known: dict[int, Spread] = {}

    def before(self, hour: int) -> Spread:
        day = hour // DAY_HOURS
        if day not in self._known:
            last = bisect_right(self._ends, day * DAY_HOURS)
            self._known[day] = spread(self._counted[max(last - CLUSTERS, 0) : last], self._usual)
        return self._known[day]


def spread(clusters: Sequence[tuple[int, float]], usual: Weights = USUAL) -> Spread:
    """What clusters, each (complaints, exposed mails), say of rho."""
    if not clusters:
        return Spread(usual, 0)
    # half a complaint in 500 mails besides: a stream without complaints has a rate too
    rate = (sum(k for k, _ in clusters) + 0.5) / (sum(x for _, x in clusters) + 500)
    logs = [sum(_log_likelihood(k, x, rate, rho) for k, x in clusters) for rho in CORRELATIONS]
    most = max(logs)
    weights = [before * math.exp(log - most) for before, log in zip(usual, logs, strict=True)]
    return Spread(tuple(weight / sum(weights) for weight in weights), len(clusters))


def exposed(cell: Cell, lag: ReportingLag, now: float) -> float:
    """Matured exposure: what was delivered, by the share of its complaints that is known by now."""
    if not cell.delivered:
        return 0.0
    age = now - cell.at
    return cell.delivered if age >= LONGEST else cell.delivered * lag.share(age)


def _log_likelihood(k: int, x: float, rate: float, rho: float) -> float:
    """Of k complaints in x mails at this mean rate, but for what does not depend on rho."""
    shape = rate / rho
    return math.lgamma(shape + k) - math.lgamma(shape) + k * math.log(rho) - (shape + k) * math.log1p(rho * x)


def words(spread: Spread, mails_a_cluster: float) -> str:
    """What it means, for people."""
    if spread.clusters < _FEWEST:
        return "too few campaigns to know how much they differ: taken as usual"
    worth = mails_a_cluster / (1 + spread.correlation * mails_a_cluster)
    if worth > 0.8 * mails_a_cluster:
        return f"its last {spread.clusters} campaigns differ little: every mail counts"
    return (
        f"its last {spread.clusters} campaigns differ: {mails_a_cluster:,.0f} mails of one say as much as "
        f"{worth:,.0f} of a stream whose campaigns are alike"
    )
