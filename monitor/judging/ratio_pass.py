"""A rate judged for all its groups at once: which of them the plain judge has to look at, and what it says of those.

Looked at is what breaches, what only a bound worked out decides, whose answer is another than before, what has an open incident, and some
at a time whose words are old. Of all others the numbers say that everything stays as it is. What is answers is what `ratio.judge` would find.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np

from monitor.database.tables import to_micros
from monitor.judging.counters import Counters
from monitor.judging.groups import Groups, Ints
from monitor.judging.rate_screen import (
    ABSENT,
    BETWEEN,
    CLEAR,
    HEARD,
    INSUFFICIENT,
    LOOK,
    Codes,
    Counted,
    Lines,
    Mask,
    codes,
    together,
)
from monitor.judging.rule_rows import RuleRows
from monitor.rules.conditions import ratio
from monitor.rules.conditions.ratio import Ratio
from monitor.rules.evidence import Evidence, Span
from monitor.rules.model import Chosen
from monitor.rules.verdict import Group, Verdict

WORDS_EVERY = timedelta(minutes=10)  # how often the words are written anew of what is well: its window moves every minute
MOST_WORDS = 2_000  # groups a pass whose words are written anew for their age alone, of all rules together


@dataclass(frozen=True, slots=True)
class Extent:
    """What beside the columns says which groups are looked at. `all`: every one; `words`: at most so many for their age.

    `only`: no others; then none is forgotten either.
    """

    words: int = 0
    all: bool = False
    only: Container[Group] | None = None


@dataclass(slots=True)
class Rates:
    """What counters say of rates, for one pass: rules that differ in their lines ask for the same counts."""

    counters: Counters
    _counted: dict[object, Counted | None] = field(default_factory=dict)

    def of(self, rule: Ratio, window: timedelta, now: datetime) -> Counted | None:
        """None: the database has to be asked."""
        beside = tuple((name, chosen) for name, chosen in rule.where.items() if name not in rule.by)
        question = (rule.signal.name, rule.by, window, beside)
        if question not in self._counted:
            self._counted[question] = self._count(rule, (now - window, now + timedelta(microseconds=1)), beside)
        return self._counted[question]

    def _count(self, rule: Ratio, span: Span, beside: Sequence[tuple[str, Chosen]]) -> Counted | None:
        upper = self.counters.totals(rule.signal.numerator, rule.by, span, beside)
        lower = self.counters.totals(rule.signal.denominator, rule.by, span, beside)
        if upper is None or lower is None:
            return None
        groups = self.counters.grouping(rule.by)
        (k, k_perhaps), (n, n_perhaps) = groups.parted(upper[0]), groups.parted(lower[0])
        return Counted(n, n + n_perhaps, k, k + k_perhaps, upper[1] | lower[1])


@dataclass(slots=True)
class RatioPass:
    """One rule in one pass."""

    rule: Ratio
    rates: Rates
    rows: RuleRows
    evidence: Evidence
    now: datetime

    def judge(self, extent: Extent) -> tuple[list[Verdict], list[Group]] | None:
        """The verdicts of what was looked at, and the groups that are no more; None: the database has to be asked."""
        by_window = [self.rates.of(self.rule, window, self.now) for window in self.rule.window]
        if self.rows.brief is None or None in by_window:
            return None
        groups = self.rows.brief.groups
        groups.numbers([*self.rows.whole, *self.evidence.restarts(self.rule.id, self.now - self.rule.longest_window)])  # all have one
        count = self.rows.brief.reach()
        counted = [each.wide(count) for each in by_window if each is not None]
        exists = self._existing(groups, counted)
        stale = self.evidence.incomplete(self.rule.signal.numerator)
        answers = [_codes(each, here, Lines.of(self.rule), stale=stale is not None) for each, here in zip(counted, exists, strict=True)]
        codes_now = together(answers)
        look = self._to_look_at(extent, codes_now, answers, counted)
        gone = [groups.groups[number] for number in np.flatnonzero((codes_now == ABSENT) & (self._before != ABSENT)).tolist()] if extent.only is None else []
        facts = [self._facts(np.flatnonzero(look & here), each, window, stale)
                 for each, here, window in zip(counted, exists, self.rule.window, strict=True)]
        verdicts = ratio.judge_counted(self.rule, facts, self.evidence, self.now)
        if extent.only is None:
            self._stay(codes_now, look)
        return verdicts, gone

    @property
    def _before(self) -> Codes:
        assert self.rows.brief is not None
        return self.rows.brief.code[: len(self.rows.brief.groups)]

    def _existing(self, groups: Groups, counted: Sequence[Counted]) -> list[Mask]:
        """By window: the groups it has something to do with."""
        brief = self.rows.brief
        assert brief is not None
        expected = brief.expected(self.now)[: len(groups)]
        expected[groups.numbers(self.rows.whole_expected(self.now))] = True
        chosen = np.ones(len(groups), np.bool_)
        for place, name in enumerate(self.rule.by):
            if name in self.rule.where:
                takes = self.rule.where[name].takes
                chosen &= np.array([takes(values[place]) for values in groups.values], np.bool_)
        return [(each.known | expected) & chosen for each in counted]

    def _to_look_at(self, extent: Extent, codes_now: Codes, answers: Sequence[Codes], counted: Sequence[Counted]) -> Mask:
        brief = self.rows.brief
        assert brief is not None
        here = codes_now != ABSENT
        groups = brief.groups
        look = (codes_now == LOOK) | (codes_now != self._before)
        lazy = look & np.isin(codes_now, (BETWEEN, CLEAR)) & np.isin(self._before, (BETWEEN, CLEAR))  # well, as it was
        brief.written[: len(groups)][lazy] = 0
        look &= ~lazy
        look[groups.numbers(self.rows.whole)] = True
        look[groups.numbers(self.evidence.restarts(self.rule.id, self.now - self.rule.longest_window))] = True
        if self.rule.roll_up:
            for each, of_window in zip(answers, counted, strict=True):
                look |= (each == INSUFFICIENT) & (of_window.n > 0)
        if extent.all:
            look[:] = True
        if extent.only is not None:
            assert isinstance(extent.only, set)  # of a rate they are named
            chosen = np.zeros(len(look), np.bool_)
            chosen[groups.numbers(extent.only)] = True
            if any(len(group) < len(self.rule.by) for group in extent.only):
                chosen |= codes_now == LOOK  # what is within explains a wider group
            return np.asarray(look & chosen & here)
        old = np.isin(codes_now, HEARD) & ~look & (brief.written[: len(groups)] <= to_micros(self.now - WORDS_EVERY))
        oldest = np.flatnonzero(old)
        if oldest.size > extent.words:
            oldest = oldest[np.argpartition(brief.written[oldest], extent.words)[: extent.words]] if extent.words else oldest[:0]
        look[oldest] = True
        return np.asarray(look & here)

    def _facts(self, numbers: Ints, counted: Counted, window: timedelta, stale: str | None) -> list[ratio.Counted]:
        assert self.rows.brief is not None
        since, groups = self.now - window, self.rows.brief.groups.groups
        restarts = self.evidence.restarts(self.rule.id, since)
        facts = []
        columns = zip(numbers.tolist(), *(column[numbers].tolist() for column in counted[:4]), strict=True)
        for number, n, n_most, k, k_most in columns:
            group = groups[number]
            if group in restarts:
                facts.append(ratio.counted_anew(self.rule, self.evidence, self.now, group, restarts[group], stale))
            else:
                facts.append(ratio.Counted(group, since, n, k, stale, n_most - n, k_most - k))
        return facts

    def _stay(self, codes_now: Codes, look: Mask) -> None:
        """Of what was not looked at: it was heard, and perhaps it is well in the other way."""
        brief = self.rows.brief
        assert brief is not None
        stays = ~look & (codes_now != ABSENT)
        count = len(codes_now)
        brief.code[:count][stays] = codes_now[stays]
        brief.heard[:count][stays & np.isin(codes_now, HEARD)] = to_micros(self.now)


def _codes(counted: Counted, here: Mask, lines: Lines, *, stale: bool) -> Codes:
    answers = np.full(len(here), ABSENT, np.int8)
    numbers = np.flatnonzero(here)
    answers[numbers] = codes(counted.of(numbers).rounded(), lines, stale=stale)
    return answers
