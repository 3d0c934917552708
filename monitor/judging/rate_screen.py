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
    found = np.full(len(n), BETWEEN, np.int8)
    found[n < lines.least_n] = INSUFFICIENT
    found[np.broadcast_to(stale, n.shape)] = STALE
    measured = (n > 0) & (k_most <= n) & (n_most > 0) & (k <= n_most)
    clearing = measured & ~np.asarray(stale) if lines.above else measured
    _put(found, clearing, _clear(counted, lines, clearing), CLEAR)
    bad = measured & (n_most >= lines.least_n) & ~np.asarray(stale)
    if lines.above:
        bad = (n_most >= lines.least_n) & (k >= lines.least_k) & (k <= n_most)
    answers = _breach(counted, lines, bad)
    found[np.flatnonzero(bad)[answers != NO]] = LOOK
    found[(n_most == 0)] = NO_DATA
    found[(k > n_most) & (n_most != 0)] = INSUFFICIENT
    found[(k < 0) | (n_most < 0) | (n < 0)] = LOOK  # no rate at all: the plain judge says so
    return found


def _put(found: Codes, where: Mask, answers: Codes, code: int) -> None:
    places = np.flatnonzero(where)
    found[places[answers == YES]] = code
    found[places[answers == UNSURE]] = LOOK


def _clear(counted: Counted, lines: Lines, asked: Mask) -> Codes:
    k = counted.k_most if lines.above else counted.k
    test = upper_below if lines.above else lower_above
    return test(k[asked], counted.n[asked], _chosen(lines.end, asked), _chosen(lines.alpha, asked))


def _breach(counted: Counted, lines: Lines, asked: Mask) -> Codes:
    alpha, bad = _chosen(lines.alpha, asked), _chosen(lines.bad, asked)
    if lines.above:
        return lower_above(counted.k[asked], counted.n_most[asked], bad, alpha)
    return upper_below(counted.k_most[asked], counted.n[asked], bad, alpha)


def _chosen(line: Line, asked: Mask) -> Line:
    return line[asked] if isinstance(line, np.ndarray) else line


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
