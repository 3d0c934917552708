"""Counts in a window → rates with exact bounds. Pure.

Complaints are rare: one complaint in fifty mails is 2 %, and says almost nothing. So a rate is judged by
the Clopper-Pearson bound, which never promises more than its confidence (Wilson's does, for rare events:
one in fifty would pass 0.3 % at 95 %). Bounds are one-sided and hold per look; complaints are assumed
independent, which bursts are not. Source: C. J. Clopper, E. S. Pearson, Biometrika 26 (1934).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

_TINY = 1e-300
_EPSILON = 1e-15
_STIRLING_FROM = 100.0  # from here its series is exact to the last digits
_MOST_STEPS = 200_000  # the fraction needs about sqrt(max(a, b)) steps; this serves 10^10 messages


@dataclass(frozen=True, slots=True)
class Rate:
    """`k` events in `n` trials with one-sided bounds at `confidence` (all 0-1)."""

    k: int
    n: int
    lower: float
    upper: float
    confidence: float

    @property
    def value(self) -> float:
        return self.k / self.n


def rate(k: int, n: int, confidence: float) -> Rate:
    """The rate k/n with its exact bounds. Raises ValueError unless 0 ≤ k ≤ n and n > 0."""
    return Rate(k, n, lower_bound(k, n, confidence), upper_bound(k, n, confidence), confidence)


def lower_bound(k: int, n: int, confidence: float) -> float:
    """The rate that is exceeded with `confidence`; 0 for k = 0."""
    _check(k, n, confidence)
    return 0.0 if k == 0 else beta_quantile(1 - confidence, k, n - k + 1)


def upper_bound(k: int, n: int, confidence: float) -> float:
    """The rate that is not reached with `confidence`; 1 for k = n."""
    _check(k, n, confidence)
    return 1.0 if k == n else beta_quantile(confidence, k + 1, n - k)


def _check(k: int, n: int, confidence: float) -> None:
    if not (0 <= k <= n and n > 0):
        raise ValueError(f"{k} of {n} is no rate")
    if not 0.5 <= confidence < 1:
        raise ValueError(f"confidence {confidence} is not in [0.5, 1)")


@lru_cache(maxsize=100_000)  # from pass to pass, and of rules that differ in their line, most counts are the same
def beta_quantile(p: float, a: float, b: float) -> float:
    """The x with I_x(a, b) = p, by Newton steps kept inside a shrinking bracket."""
    low, high = 0.0, 1.0
    x = a / (a + b)
    log_beta = _log_beta(a, b)
    for _ in range(200):
        miss = beta_cdf(x, a, b, log_beta) - p
        if miss > 0:
            high = x
        else:
            low = x
        step = _newton(x, a, b, log_beta, miss)
        following = x - step
        if not low < following < high:
            following = (low + high) / 2
        if abs(following - x) <= 1e-13 * x:
            return following
        x = following
    return x


def _log_beta(a: float, b: float) -> float:
    """Log B(a, b); by Stirling's series where the difference of two large log-gammas would lose the digits."""
    small, large = sorted((a, b))
    if large < _STIRLING_FROM:
        return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
    total = a + b
    tail = (large - 0.5) * math.log1p(-small / total) + _remainder(large) - _remainder(total)
    if small < _STIRLING_FROM:
        return math.lgamma(small) + small - small * math.log(total) + tail
    return (small - 0.5) * math.log(small / total) + 0.5 * math.log(2 * math.pi / total) + _remainder(small) + tail


def _remainder(x: float) -> float:
    """What Stirling's formula leaves out of log-gamma (DLMF 5.11.1)."""
    return 1 / (12 * x) - 1 / (360 * x**3)


def _newton(x: float, a: float, b: float, log_beta: float, miss: float) -> float:
    log_density = (a - 1) * math.log(x) + (b - 1) * math.log1p(-x) - log_beta
    return miss / math.exp(log_density) if log_density > -700 else math.inf


def beta_cdf(x: float, a: float, b: float, log_beta: float | None = None) -> float:
    """The regularised incomplete beta function I_x(a, b) for 0 ≤ x ≤ 1."""
    if x <= 0:
        return 0.0
    if x >= 1:
        return 1.0
    if log_beta is None:
        log_beta = _log_beta(a, b)
    front = math.exp(a * math.log(x) + b * math.log1p(-x) - log_beta)
    if x < (a + 1) / (a + b + 2):
        return front * _fraction(x, a, b) / a
    return 1 - front * _fraction(1 - x, b, a) / b


def _fraction(x: float, a: float, b: float) -> float:
    """The continued fraction of I_x(a, b) (DLMF 8.17.22) by Lentz's method."""
    c, d = 1.0, 1 - (a + b) * x / (a + 1)
    d = 1 / (d if abs(d) > _TINY else _TINY)
    total = d
    for m in range(1, _MOST_STEPS):
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 + term * d
            d = 1 / (d if abs(d) > _TINY else _TINY)
            c = 1 + term / (c if abs(c) > _TINY else _TINY)
            total *= c * d
        if abs(c * d - 1) < _EPSILON:
            return total
    raise ArithmeticError(f"incomplete beta of {x}, {a}, {b} did not converge")
