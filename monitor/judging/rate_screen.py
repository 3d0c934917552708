"""What a rate comes to, for all groups of a rule at once: the answers of `ratio.judge_rate` without its bounds and words. Pure.

It says of each group what the plain judge would say of it, or LOOK: a breach, and what only a bound worked out decides. So the
plain judge is asked about few groups, and is the only one that says why.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from collectors.contract import Reason
from monitor.judging.tails import NO, UNSURE, YES, Floats, Line, lower_above, upper_below
from monitor.rules.conditions.ratio import Ratio
from monitor.rules.verdict import Answer

Codes = NDArray[np.int8]
Mask = NDArray[np.bool_]

ABSENT, LOOK, BETWEEN, CLEAR, STALE, INSUFFICIENT, NO_DATA = range(7)
CODES: dict[tuple[str, str | None], int] = {
    (Answer.BETWEEN.value, None): BETWEEN, (Answer.CLEAR.value, None): CLEAR,
    (Answer.UNKNOWN.value, Reason.STALE.value): STALE, (Answer.UNKNOWN.value, Reason.INSUFFICIENT.value): INSUFFICIENT,
    (Answer.UNKNOWN.value, Reason.NO_DATA.value): NO_DATA,
}  # fmt: skip
ANSWERS = {code: pair for pair, code in CODES.items()}
HEARD = (BETWEEN, CLEAR, INSUFFICIENT)  # something is known of the group


class Counted(NamedTuple):
    """Numbers by group, without and with what may be of it. `known`: whether anything was counted of the group."""

    n: Floats
    n_most: Floats
    k: Floats
    k_most: Floats
    known: Mask

    def of(self, groups: NDArray[np.int64]) -> Counted:
        return Counted(self.n[groups], self.n_most[groups], self.k[groups], self.k_most[groups], self.known[groups])

    def rounded(self) -> Counted:
        return Counted(np.rint(self.n), np.rint(self.n_most), np.rint(self.k), np.rint(self.k_most), self.known)

    def wide(self, count: int) -> Counted:
        """With a place for groups that came since it was counted."""
        more = count - len(self.n)
        if more <= 0:
            return self
        n, n_most, k, k_most = (np.pad(column, (0, more)) for column in (self.n, self.n_most, self.k, self.k_most))
        return Counted(n, n_most, k, k_most, np.pad(self.known, (0, more)))


@dataclass(frozen=True, slots=True)
class Lines:
    """What rates are set against: of one rule, or in columns of a rule for each group."""

    bad: Line
    end: Line
    alpha: Line
    least_n: Line
    least_k: Line
    above: bool  # bad above the line; else below it

    @classmethod
    def of(cls, rule: Ratio) -> Lines:
        end = rule.clear.below if rule.above is not None else rule.clear.above
        assert end is not None  # Ratio._hangs_together
        least = rule.at_least
        return cls(rule.line, end, 1 - rule.confidence, least.denominator, least.numerator, rule.above is not None)


def codes(counted: Counted, lines: Lines, *, stale: bool | Mask = False) -> Codes:
    """One for each group, of one window. Groups of which nothing is known are judged too: whether they are asked about is not known here."""
    n, n_most, k, k_most, _ = counted
    result = np.full(len(n), BETWEEN, np.int8)
    result[n < lines.least_n] = INSUFFICIENT
    result[np.broadcast_to(stale, n.shape)] = STALE
    measured = (n > 0) & (k_most <= n) & (n_most > 0) & (k <= n_most)
    clearing = measured & ~np.asarray(stale) if lines.above else measured
    _put(result, clearing, _clear(counted, lines, clearing), CLEAR)
    bad = measured & (n_most >= lines.least_n) & ~np.asarray(stale)
    if lines.above:
        bad = (n_most >= lines.least_n) & (k >= lines.least_k) & (k <= n_most)
    breaching = _breach(counted, lines, bad)
    result[np.flatnonzero(bad)[breaching != NO]] = LOOK
    result[(n_most == 0)] = NO_DATA
    result[(k > n_most) & (n_most != 0)] = INSUFFICIENT
    result[(k < 0) | (n_most < 0) | (n < 0)] = LOOK  # no rate at all: the plain judge says so
    return result


def _put(result: Codes, where: Mask, answers: Codes, code: int) -> None:
    places = np.flatnonzero(where)
    result[places[answers == YES]] = code
    result[places[answers == UNSURE]] = LOOK


def _clear(counted: Counted, lines: Lines, chosen: Mask) -> Codes:
    k = counted.k_most if lines.above else counted.k
    test = upper_below if lines.above else lower_above
    return test(k[chosen], counted.n[chosen], _line(lines.end, chosen), _line(lines.alpha, chosen))


def _breach(counted: Counted, lines: Lines, chosen: Mask) -> Codes:
    alpha, bad = _line(lines.alpha, chosen), _line(lines.bad, chosen)
    if lines.above:
        return lower_above(counted.k[chosen], counted.n_most[chosen], bad, alpha)
    return upper_below(counted.k_most[chosen], counted.n[chosen], bad, alpha)


def _line(line: Line, chosen: Mask) -> Line:
    return line[chosen] if isinstance(line, np.ndarray) else line


def together(by_window: Sequence[Codes]) -> Codes:
    """Of several windows, as `ratio.judge` puts them together; ABSENT where a window has nothing to do with a group."""
    if len(by_window) == 1:
        return by_window[0]
    end = np.full(len(by_window[0]), ABSENT, np.int8)
    for each in by_window:
        end = np.where(each != ABSENT, each, end)
    for code in (CLEAR, BETWEEN, STALE, LOOK):
        end[np.any([each == code for each in by_window], axis=0)] = code
    return end
