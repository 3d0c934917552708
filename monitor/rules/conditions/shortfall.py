"""Does a feed report far less than it used to? Feedback loops, DMARC reports, an MTA's records. Pure.

How much is to be expected follows from the feed's own history: with a denominator the median, over days with volume, of
reports ÷ what they are of, times what there was of it in the window; without one the median day. So weekends and quiet
weeks expect less by themselves, and one flood does not raise the bar. A shortfall is few reports (`at_most` of the
expected) that chance does not explain: P(X ≤ k) under a Poisson law of that mean is below `alpha`.

Reports come in bursts, which Poisson does not know: that is why the share has to be small too, and not only the
probability. May be wrong where reports truly end, as when the customer most complained of leaves.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, model_validator

from collectors.contract import Reason
from monitor.config.quantities import Duration, Share
from monitor.rules.effect import Dimension
from monitor.rules.evidence import Evidence, Feed, FeedQuestion
from monitor.rules.model import Rule, Strict, needs, not_empty
from monitor.rules.numbers import Numbers
from monitor.rules.texts import filled
from monitor.rules.verdict import Answer, Verdict, unknown


class AtLeast(Strict):
    """How much history it takes: `days`, each of them with at least `denominator` of what the reports are of."""

    days: Annotated[int, Field(ge=3)] = 7
    denominator: Annotated[int, Field(ge=0)] = 1000


class Shortfall(Rule):
    """Fires while a feed that used to report reports far less, though what it reports of goes on."""

    TEXTS: ClassVar[frozenset[str]] = frozenset({"count", "expected", "expected_a_day", "last_at"})
    GONE: ClassVar[str] = "its enrolment has ended"

    condition: Literal["shortfall"]
    by: Annotated[tuple[Dimension, ...], AfterValidator(not_empty)] = ("provider",)
    window: Duration = timedelta(days=3)
    history: Duration = timedelta(days=28)
    alpha: Annotated[float, Field(gt=0, le=0.1)] = 0.001
    at_most: Share = 0.1
    clear_above: Share = 0.3
    at_least: AtLeast = AtLeast()

    @model_validator(mode="after")
    def _hangs_together(self) -> Shortfall:
        needs(self, counts=True)
        if self.clear_above <= self.at_most:
            raise ValueError("clear_above must be higher than at_most")
        if self.history < self.at_least.days * timedelta(days=1):
            raise ValueError("history must hold at_least.days days")
        if self.effect:
            raise ValueError("condition shortfall only notifies: not to see is no proof of harm; leave effect out")
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class ShortfallNumbers(Numbers):
    """What a feed reported since `since`, and what its `days` of history lead to expect; `chance` (0-1) of so few if it reports."""

    STATED: ClassVar[frozenset[str]] = frozenset({"last_report_at"})
    reports: int
    delivered: int
    since: datetime
    days: int
    last_report_at: datetime | None = None
    expected: float | None = None
    expected_a_day: float | None = None
    chance: float | None = None


def judge(rule: Shortfall, evidence: Evidence, now: datetime) -> list[Verdict]:
    """One verdict per feed."""
    del now
    question = FeedQuestion(rule.signal, rule.by, rule.window, rule.history)
    return [
        judge_feed(rule, feed) for feed in evidence.feeds(question)
        if all(chosen.takes(dict(feed.group).get(name)) for name, chosen in rule.where.items())
    ]  # fmt: skip


def judge_feed(rule: Shortfall, feed: Feed) -> Verdict:
    """Its reports against those expected of it."""
    has_denominator = bool(rule.signal.denominator)
    days = [day for day in feed.history if not has_denominator or day.expected_of >= rule.at_least.denominator]
    numbers = ShortfallNumbers(
        reports=round(feed.reports), delivered=round(feed.expected_of), since=feed.since, days=len(days), last_report_at=feed.last_at
    )
    if not feed.history:
        return unknown(feed.group, Reason.NO_DATA, "it was never heard, so nothing is known of how many reports to expect", numbers)
    if len(days) < rule.at_least.days:
        text = f"{len(days)} days with volume are too few to know how many reports to expect"
        return unknown(feed.group, Reason.INSUFFICIENT, text, numbers)
    if has_denominator and feed.expected_of <= 0:
        text = f"nothing was delivered in {_span(rule.window)}, so nothing can be complained of"
        return unknown(feed.group, Reason.NO_DATA, text, numbers)
    in_days = rule.window / timedelta(days=1)
    if has_denominator:
        expected = statistics.median(day.reports / day.expected_of for day in days) * feed.expected_of
    else:
        expected = statistics.median(day.reports for day in days) * in_days
    numbers = replace(numbers, expected=round(expected, 2), expected_a_day=round(expected / in_days, 2))
    return _compared(rule, feed, expected, numbers)


def _compared(rule: Shortfall, feed: Feed, expected: float, numbers: ShortfallNumbers) -> Verdict:
    group, k, events = feed.group, round(feed.reports), rule.signal.events
    counted = f"{_count(k, events)} in {_span(rule.window)}, expected {_few(numbers.expected_a_day or 0.0)} a day"
    if k and k >= rule.clear_above * expected:
        return Verdict(group, Answer.CLEAR, f"it reports: {counted}", evidence=numbers)
    if feed.unread:
        return unknown(group, Reason.STALE, f"{counted}, but {feed.unread}", numbers)
    if poisson_at_most(0, expected) >= rule.alpha:
        return unknown(group, Reason.INSUFFICIENT, f"{counted}: even none at all would prove nothing", numbers)
    if k <= rule.at_most * expected and (chance := poisson_at_most(k, expected)) < rule.alpha:
        last = f"; the last came {feed.last_at:%Y-%m-%d %H:%M UTC}" if feed.last_at else ""
        text = f"{counted}{last}"
        if rule.summary:
            text = filled(rule.summary, {**dict(group), **numbers.encode(), "count": k, "last_at": feed.last_at, "text": text})
        return Verdict(group, Answer.BREACH, text, evidence=replace(numbers, chance=chance))
    return Verdict(group, Answer.BETWEEN, counted, evidence=numbers)


def poisson_at_most(k: int, mean: float) -> float:
    """P(X ≤ k) for a Poisson law: summed in logarithms, so that large means do not underflow on the way."""
    if mean <= 0:
        return 1.0
    logs = [i * math.log(mean) - math.lgamma(i + 1) for i in range(k + 1)]
    most = max(logs)
    return min(1.0, math.exp(most - mean + math.log(math.fsum(math.exp(each - most) for each in logs))))


def _count(k: int, events: str) -> str:
    if k == 0:
        return f"no {events}"
    return f"{k:,} {events.removesuffix('s') if k == 1 else events}"


def _few(number: float) -> str:
    return f"{number:,.0f}" if number >= 10 else f"{number:.1f}"


def _span(window: timedelta) -> str:
    days = window / timedelta(days=1)
    return f"{days:g} days" if days != 1 else "a day"
