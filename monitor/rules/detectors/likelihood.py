"""How likely are the complaints of a cluster at one mean rate, and at another?

A cluster's own rate varies about the mean p as a gamma law of shape p/rho, its complaints are Poisson given that rate and the
matured exposure x. The likelihood of k complaints is then, but for what depends on neither p nor rho,

    G(p/rho + k)/G(p/rho) · rho^k · (1 + rho x)^-(p/rho + k)

(G: the gamma function; a negative binomial law) and in the limit rho → 0: p^k · e^-px.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

_MORE = 64


class Laws:
    """Log likelihoods for some mean rates at one rho. The gamma functions of k are sums of logarithms, kept."""

    __slots__ = ("_logs", "correlation", "rates", "shapes")

    def __init__(self, rates: tuple[float, ...], correlation: float) -> None:
        self.rates, self.correlation = rates, correlation
        self.shapes = tuple(rate / correlation for rate in rates)
        self._logs: list[tuple[float, ...]] = [(0.0,) * len(rates)]

    def of(self, k: int, x: float) -> list[float]:
        while k >= len(self._logs):
            self._lengthen()
        log = math.log1p(self.correlation * x)
        return [gain - shape * log - k * log for gain, shape in zip(self._logs[k], self.shapes, strict=True)]

    def _lengthen(self) -> None:
        for _ in range(_MORE):
            k, last = len(self._logs) - 1, self._logs[-1]
            self._logs.append(tuple(
                log + math.log((shape + k) * self.correlation) for shape, log in zip(self.shapes, last, strict=True)
            ))


@lru_cache(maxsize=256)
def laws(rates: tuple[float, ...], correlation: float) -> Laws:
    return Laws(rates, correlation)


def mixture(k: int, x: float, line: float, alternatives: Sequence[float]) -> float:
    """Log of the e-value of one campaign: the mean over the alternatives of (q/line)^k · e^-(q-line)x.

    It does not grow in the mean where mails draw complaints with any chance p up to the line, however those of other mails
    turned out: (1 - p + p·q/line) · e^-(q-line) ≤ 1. So the chance that it ever reaches log(1/alpha) is at most alpha,
    however often it is looked at (J. Ville 1939; H. Robbins, Ann. Math. Stat. 41, 1970).
    """
    logs = [k * math.log(q / line) - (q - line) * x for q in alternatives]
    most = max(logs)
    return most + math.log(math.fsum(math.exp(each - most) for each in logs) / len(logs))
