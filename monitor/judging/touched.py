"""What news are about: the groups of each rule they touch, and counts of what may be part of those."""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from collectors.observation import Subject
from monitor.facts import Store
from monitor.judging.counters import Counters, Touched
from monitor.rules.conditions.excess_rule import Excess
from monitor.rules.conditions.shortfall import Shortfall
from monitor.rules.evidence import Counts, Span
from monitor.rules.model import Rule
from monitor.rules.verdict import Group

NOTHING: Container[Group] = frozenset()
_CUSTOMER, _PROVIDER = Subject._fields.index("customer"), Subject._fields.index("provider")

def counters_of(store: Store, rules: Iterable[Rule]) -> Counters:
    """Those that rules are judged by, and the traffic that holds are weighed against."""
    enabled = [rule for rule in rules if rule.enabled]
    measures = {"delivered", *(measure for rule in enabled if rule.longest_window for measure in rule.signal.measures)}
    measures |= {measure for rule in enabled if isinstance(rule, Excess) for measure in rule.signal.numerator}
    longest = [timedelta(days=1), *(rule.longest_window for rule in enabled)]
    feeds = [rule for rule in enabled if isinstance(rule, Shortfall)]
    measures |= {measure for rule in feeds for measure in rule.signal.measures}
    return Counters(store, measures, max([*longest, *(rule.window for rule in feeds)]))


@dataclass(frozen=True, slots=True)
class Near:
    """Counters as they are asked about what was touched: only of the groups these subjects may be part of."""

    counters: Counters
    touched: Touched

    def counts(
        self, measures: Collection[str], by: Sequence[str], span: Span, where: Mapping[str, str] | None = None
    ) -> Counts | None:
        near = {subject for name in measures for subject in self.touched.get(name, ())}
        return self.counters.counts(measures, by, span, where, near)


@dataclass(frozen=True, slots=True)
class Families:
    """The groups of these customers at these providers."""

    pairs: frozenset[tuple[str | None, str | None]]

    def __contains__(self, group: object) -> bool:
        labels = dict(group) if isinstance(group, tuple) else {}
        return (labels.get("customer"), labels.get("provider")) in self.pairs


def reached(rule: Rule, touched: Touched, *, others: bool) -> Container[Group] | None:
    """The groups of a rule that news reach; None: all of them. `others`: something came that is no count."""
    subjects = {subject for measure in rule.signal.measures for subject in touched.get(measure, ())}
    if isinstance(rule, Excess):  # who is complained of no more than before is as far above the line as before
        complained = {subject for measure in rule.signal.numerator for subject in touched.get(measure, ())}
        return Families(frozenset((each[_CUSTOMER], each[_PROVIDER]) for each in complained)) if complained else NOTHING
    if not rule.longest_window:
        return None if others else NOTHING
    places = [(name, Subject._fields.index(name)) for name in getattr(rule, "by", ())]
    return {tuple((name, value) for name, place in places if (value := subject[place]) is not None) for subject in subjects} or NOTHING
