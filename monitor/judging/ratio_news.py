"""Of which rates do news change nothing? Asked of all rules together, about the few groups that news are of.

With 200 rules a fact is about hundreds of groups, and hardly ever changes what one of them comes to. What is not certain here is
judged by its rule (monitor.judging.ratio_pass): a group that is new or open, and any other answer than before.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np

from monitor.database.tables import to_micros
from monitor.judging.rate_screen import ABSENT, HEARD, Codes, Counted, Lines, codes, together
from monitor.judging.ratio_pass import Rates
from monitor.judging.rule_rows import RuleRows
from monitor.judging.tails import Floats
from monitor.rules.conditions.ratio import Ratio
from monitor.rules.evidence import Evidence
from monitor.rules.model import Chosen
from monitor.rules.verdict import Group

_Counted = tuple[float, float, float, float]  # as the columns of Counted, of one group


@dataclass(frozen=True, slots=True)
class _Asked:
    """One group of a rule: its number, and what was counted of it in each window."""

    rule: Ratio
    rows: RuleRows
    number: int
    counted: tuple[_Counted, ...]
    stale: bool


@dataclass(slots=True)
class RatioNews:
    rates: Rates
    evidence: Evidence
    now: datetime
    _sums: dict[object, _Counted | None] = field(default_factory=dict)

    def settled(self, touched: Iterable[tuple[Ratio, RuleRows, Collection[Group]]]) -> set[str]:
        """The rules, by id, of which all that was touched stays as it is; that it was heard is noted."""
        every: list[_Asked] = []
        ids = set()
        for rule, rows, groups in touched:
            of_rule = self._of(rule, rows, groups)
            if of_rule is not None:
                every += of_rule
                ids.add(rule.id)
        for above in (True, False):
            alike = [each for each in every if (each.rule.above is not None) == above]
            for each, code in zip(alike, _codes(alike, above=above).tolist(), strict=True):
                assert each.rows.brief is not None
                if code != each.rows.brief.code[each.number]:
                    ids.discard(each.rule.id)
                elif code in HEARD:
                    each.rows.brief.heard[each.number] = to_micros(self.now)
        return ids

    def _of(self, rule: Ratio, rows: RuleRows, groups: Collection[Group]) -> list[_Asked] | None:
        """None: the rule has to be asked itself."""
        brief = rows.brief
        if brief is None or rule.roll_up:
            return None
        restarts = self.evidence.restarts(rule.id, self.now - rule.longest_window)
        stale = self.evidence.incomplete(rule.signal.numerator) is not None
        count, every = brief.reach(), []
        for group in groups:
            number = brief.groups.of(group)
            if number is None or number >= count or group in restarts:
                return None
            if brief.code[number] == ABSENT:
                if all(chosen.takes(dict(group).get(name)) for name, chosen in rule.where.items() if name in rule.by):
                    return None  # new, or kept as a row
                continue
            counted = [self._counted(rule, window, number) for window in rule.window]
            if None in counted:
                return None
            every.append(_Asked(rule, rows, number, tuple(each for each in counted if each is not None), stale))
        return every

    def _counted(self, rule: Ratio, window: timedelta, number: int) -> _Counted | None:
        beside = tuple((name, chosen) for name, chosen in rule.where.items() if name not in rule.by)
        question = (rule.signal.name, rule.by, window, beside, number)
        if question not in self._sums:
            self._sums[question] = self._count(rule, window, number, beside)
        return self._sums[question]

    def _count(self, rule: Ratio, window: timedelta, number: int, beside: Sequence[tuple[str, Chosen]]) -> _Counted | None:
        counters = self.rates.counters
        if not counters.grouping(rule.by).all_alike:  # others may be of it too
            whole = self.rates.of(rule, window, self.now)
            if whole is None or number >= len(whole.n):
                return None
            return float(whole.n[number]), float(whole.n_most[number]), float(whole.k[number]), float(whole.k_most[number])
        span = (self.now - window, self.now + timedelta(microseconds=1))
        k, n = (counters.total(measures, rule.by, span, number, beside) for measures in (rule.signal.numerator, rule.signal.denominator))
        return None if k is None or n is None else (n, n, k, k)


def _codes(every: list[_Asked], *, above: bool) -> Codes:
    """Of each, all windows together."""
    if not every:
        return np.zeros(0, np.int8)
    windows = max(len(each.rule.window) for each in every)
    of_rules = {each.rule.id: Lines.of(each.rule) for each in every}
    lines = [of_rules[each.rule.id] for each in every]

    def column(name: str) -> Floats:
        return np.array([getattr(each, name) for each in lines], np.float64)

    all_lines = Lines(column("bad"), column("end"), column("alpha"), column("least_n"), column("least_k"), above)
    stale = np.array([each.stale for each in every])
    by_window = []
    for window in range(windows):
        has = np.array([window < len(each.counted) for each in every])
        columns = np.rint(np.array([each.counted[window] if window < len(each.counted) else (0.0,) * 4 for each in every]).T)
        n, n_most, k, k_most = columns
        of_window = codes(Counted(n, n_most, k, k_most, has), all_lines, stale=stale)
        by_window.append(np.where(has, of_window, ABSENT).astype(np.int8))
    return together(by_window)
