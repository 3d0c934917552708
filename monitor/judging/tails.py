"""Is an exact bound of a rate beyond a line? Of many counts at once, without working out one bound. Pure.

The upper Clopper-Pearson bound of k in n lies below a line p where P(X ≤ k) < alpha for X ~ binomial(n, p), alpha = 1 - confidence. That
sum lies between its first term, the largest, and a geometric series from it; adding terms brings the two together. The lower
bound is that of what did not happen. Answers are NO, YES or, where alpha is too near, UNSURE: then the bound itself is worked out
(monitor.rules.bounds), so that what is said here is never another than what it says.

The first term is taken as C. Loader writes it (Fast and accurate computation of binomial probabilities, 2000): no large
numbers are subtracted from each other.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Answers = NDArray[np.int8]
Line = float | Floats  # one for all counts, or one for each

NO, YES, UNSURE = 0, 1, 2
_NEAR = 1e-5  # relative, of alpha: far more than rounding makes of a sum
_MOST_TERMS = 300
_HALF_LOG_2_PI = 0.5 * math.log(2 * math.pi)
_EXACT = np.array([0.0] + [
    math.lgamma(x + 1) - (x + 0.5) * math.log(x) + x - _HALF_LOG_2_PI for x in range(1, 16)
])  # fmt: skip


def upper_below(k: Floats, n: Floats, line: Line, alpha: Line) -> Answers:
    """Whether the upper bound of each is below the line; `k`, `n`: whole numbers, 0 ≤ k ≤ n, n > 0."""
    answers = np.zeros(len(k), np.int8)
    lines, alphas = np.broadcast_to(line, k.shape), np.broadcast_to(alpha, k.shape)
    answers[lines >= 1] = UNSURE
    places = np.flatnonzero((k < n * lines) & (k < n) & (lines < 1))  # the bound is above the rate itself
    if places.size:
        answers[places] = _tail_below(k[places], n[places], lines[places], alphas[places])
    return answers


def lower_above(k: Floats, n: Floats, line: Line, alpha: Line) -> Answers:
    """Whether the lower bound of each is above the line."""
    return upper_below(n - k, n, 1 - np.asarray(line), alpha)


def _tail_below(k: Floats, n: Floats, p: Floats, alpha: Floats) -> Answers:
    """Whether P(X ≤ k) < alpha, for 0 ≤ k < np."""
    answers = np.full(len(k), UNSURE, np.int8)
    term = np.exp(_log_probability(k, n, p))
    total, odds, left = term.copy(), (1 - p) / p, np.arange(len(k))
    for number in range(_MOST_TERMS):
        ratio = (k - number) / (n - k + 1 + number) * odds  # of the next term to this one; it only falls
        most = total + term * ratio / (1 - ratio)
        sure_yes, sure_no = most < alpha * (1 - _NEAR), total > alpha * (1 + _NEAR)
        answers[left[sure_yes]], answers[left[sure_no]] = YES, NO
        goes_on = ~(sure_yes | sure_no) & (term > 0)
        if not goes_on.any():
            break
        left = left[goes_on]
        k, n, odds, alpha = k[goes_on], n[goes_on], odds[goes_on], alpha[goes_on]
        term = (term * ratio)[goes_on]
        total = total[goes_on] + term
    return answers


def _log_probability(k: Floats, n: Floats, p: Floats) -> Floats:
    """Log of P(X = k), for k < n."""
    with np.errstate(divide="ignore", invalid="ignore"):
        inside = (
            _stirling_rest(n) - _stirling_rest(k) - _stirling_rest(n - k) - _deviance(k, n * p) - _deviance(n - k, n * (1 - p))
            - _HALF_LOG_2_PI - 0.5 * np.log(k / n * (n - k))
        )
    return np.where(k == 0, n * np.log1p(-p), inside)


def _deviance(x: Floats, mean: Floats) -> Floats:
    return x * np.log(x / mean) + mean - x


def _stirling_rest(x: Floats) -> Floats:
    """What Stirling's formula leaves out of log x! (DLMF 5.11.1)."""
    inverse = 1 / np.maximum(x, 1)
    square = inverse * inverse
    series = inverse * (1 / 12 - square * (1 / 360 - square * (1 / 1260 - square / 1680)))
    small: Any = x < len(_EXACT)
    return np.where(small, _EXACT[np.where(small, x, 0).astype(np.int64)], series)
