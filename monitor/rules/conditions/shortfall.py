"""Has a feedback loop fallen silent? Pure.

How many reports are to be expected follows from the loop's own history: the median, over days with volume, of
reports ÷ delivered, times what was delivered in the window. So weekends and quiet weeks expect less by themselves,
and one flood of complaints does not raise the bar. Silence is few reports (`at_most` of the expected) that chance
does not explain: P(X ≤ k) under a Poisson law of that mean is below `alpha`.

Reports come in bursts, which Poisson does not know: that is why the share has to be small too, and not only the
probability. May be wrong where complaints truly end, as when the customer most complained of leaves.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from collectors.contract import Reason
from monitor.rules.model import FblSilenceRule
from monitor.rules.verdict import Answer, Verdict


@dataclass(frozen=True, slots=True)
class Day:
    """One day of a loop's history, our own holds left out."""

    delivered: float
    reports: float


@dataclass(frozen=True, slots=True)
class SilenceFact:
    """One provider's loop: its history before the window, the window, and whether we could have heard it.

    `history` begins with the first report ever heard: before, silence was not measured. `unread` says why what
    was reported may lie unread.
    """

    provider: str
    since: datetime
    delivered: float
    reports: float
    history: tuple[Day, ...] = ()
    last_report_at: datetime | None = None
    unread: str | None = None


def judge_silence(rule: FblSilenceRule, facts: Collection[SilenceFact], now: datetime) -> list[Verdict]:
    """One verdict per provider."""
    del now
    return [_verdict(rule, fact) for fact in facts]


def _verdict(rule: FblSilenceRule, fact: SilenceFact) -> Verdict:
    days = [day for day in fact.history if day.delivered >= rule.min_delivered]
    evidence: dict[str, Any] = {
        "reports": round(fact.reports), "delivered": round(fact.delivered), "since": fact.since.isoformat(),
        "days": len(days), "last_report_at": fact.last_report_at.isoformat() if fact.last_report_at else None,
    }
    if not fact.history:
        return _unknown(fact, Reason.NO_DATA, "it was never heard, so nothing is known of how many reports to expect", evidence)
    if len(days) < rule.min_days:
        text = f"{len(days)} days with volume are too few to know how many reports to expect"
        return _unknown(fact, Reason.INSUFFICIENT, text, evidence)
    if fact.delivered <= 0:
        text = f"nothing was delivered in {_span(rule.window)}, so nothing can be complained of"
        return _unknown(fact, Reason.NO_DATA, text, evidence)
    expected = statistics.median(day.reports / day.delivered for day in days) * fact.delivered
    a_day = expected / (rule.window / timedelta(days=1))
    evidence |= {"expected": round(expected, 2), "expected_a_day": round(a_day, 2)}
    return _compared(rule, fact, expected, evidence)


def _compared(rule: FblSilenceRule, fact: SilenceFact, expected: float, evidence: dict[str, Any]) -> Verdict:
    group, k = (("provider", fact.provider),), round(fact.reports)
    counted = f"{_count(k)} in {_span(rule.window)}, expected {_few(evidence['expected_a_day'])} a day"
    if k and k >= rule.clear_above * expected:
        return Verdict(group, Answer.CLEAR, f"it reports: {counted}", evidence=evidence)
    if fact.unread:
        return _unknown(fact, Reason.STALE, f"{counted}, but {fact.unread}", evidence)
    if poisson_at_most(0, expected) >= rule.alpha:
        return _unknown(fact, Reason.INSUFFICIENT, f"{counted}: even none at all would prove nothing", evidence)
    if k <= rule.at_most * expected and (chance := poisson_at_most(k, expected)) < rule.alpha:
        last = f"; the last came {fact.last_report_at:%Y-%m-%d %H:%M UTC}" if fact.last_report_at else ""
        return Verdict(group, Answer.BREACH, f"{counted}{last}", evidence={**evidence, "chance": chance})
    return Verdict(group, Answer.BETWEEN, counted, evidence=evidence)


def _unknown(fact: SilenceFact, reason: Reason, text: str, evidence: dict[str, Any]) -> Verdict:
    return Verdict((("provider", fact.provider),), Answer.UNKNOWN, text, reason, evidence=evidence)


def poisson_at_most(k: int, mean: float) -> float:
    """P(X ≤ k) for a Poisson law: summed in logarithms, so that large means do not underflow on the way."""
    if mean <= 0:
        return 1.0
    logs = [i * math.log(mean) - math.lgamma(i + 1) for i in range(k + 1)]
    most = max(logs)
    return min(1.0, math.exp(most - mean + math.log(math.fsum(math.exp(each - most) for each in logs))))


def _count(k: int) -> str:
    return "no reports" if k == 0 else f"{k:,} report{'s' if k != 1 else ''}"


def _few(number: float) -> str:
    return f"{number:,.0f}" if number >= 10 else f"{number:.1f}"


def _span(window: timedelta) -> str:
    days = window / timedelta(days=1)
    return f"{days:g} days" if days != 1 else "a day"
