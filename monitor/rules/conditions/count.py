"""How many in a window, against a line: reports that match no mail, bounces of mail that is not ours. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from collectors.contract import Reason
from collectors.dimensions import Use, names
from monitor.config.quantities import Duration
from monitor.rules.evidence import Evidence
from monitor.rules.model import Lined, Rule, needs
from monitor.rules.numbers import Numbers
from monitor.rules.texts import filled, minute
from monitor.rules.verdict import Answer, Group, Verdict, group_of, unknown

_SUBJECT = names(Use.SUBJECT)


class Count(Rule, Lined):
    """Fires while more (or fewer) than a line are counted in the window. Without `by` all is one group.

    A number that is low is believed only where all that feeds it was collected.
    """

    TEXTS: ClassVar[frozenset[str]] = frozenset({"count", "line", "since"})

    condition: Literal["count"]
    by: tuple[str, ...] = ()
    window: Duration = timedelta(hours=24)
    quiet_for: Annotated[Duration | None, Field()] = timedelta(days=3)

    @property
    def longest_window(self) -> timedelta:
        return self.window

    @model_validator(mode="after")
    def _is_counted(self) -> Count:
        needs(self, counts=True)
        if strange := set(self.by) - set(_SUBJECT):
            raise ValueError(f"by has {', '.join(sorted(strange))}; counts know {', '.join(_SUBJECT)}")
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class CountNumbers(Numbers):
    """How many since when, against the line."""

    count: int
    line: float
    since: datetime

    @property
    def figure(self) -> float | None:
        return self.count


def judge(rule: Count, evidence: Evidence, now: datetime) -> list[Verdict]:
    """One verdict per group that was counted, now or before."""
    since = now - rule.window
    beside = tuple(name for name in rule.where if name not in rule.by)
    counts = evidence.counts(rule.signal.numerator, (*rule.by, *beside), (since, now + timedelta(microseconds=1)))
    groups: dict[Group, float | None] = dict.fromkeys(evidence.expected(rule.id))
    for values, sums in counts.items():
        labels = {name: value for name, value in zip((*rule.by, *beside), values, strict=True) if value is not None}
        if all(chosen.takes(labels.get(name)) for name, chosen in rule.where.items()) and set(rule.by) <= set(labels):
            group = group_of(rule.by, labels)
            groups[group] = (groups.get(group) or 0) + rule.signal.sums(sums)[0]
    stale = evidence.incomplete(rule.signal.numerator)
    return [_verdict(rule, group, count, since, stale) for group, count in groups.items()]


def _verdict(rule: Count, group: Group, count: float | None, since: datetime, stale: str | None) -> Verdict:
    # of a rate its events are counted: "30 complaints", not "30 complaint rate"
    what = rule.signal.events if rule.signal.unit == "share" else rule.signal.words
    if count is None and stale is None and rule.above is None:
        return unknown(group, Reason.NO_DATA, f"no {what} since {minute(since)}")
    number = round(count or 0)
    text = f"{number:,} {what} since {minute(since)}"
    evidence = CountNumbers(count=number, line=rule.line, since=since)
    low_matters = rule.above is None
    if stale and low_matters == rule.is_bad(number):  # the answer rests upon the number being so low
        return unknown(group, Reason.STALE, f"{text}, but {stale}", evidence)
    if rule.is_bad(number):
        shown = filled(rule.summary, {**dict(group), **evidence.encode(), "since": minute(since), "text": text}) if rule.summary else text
        return Verdict(group, Answer.BREACH, shown, evidence=evidence)
    return Verdict(group, Answer.CLEAR if rule.is_good(number) else Answer.BETWEEN, text, evidence=evidence)
