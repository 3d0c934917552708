"""Complaints ÷ delivered of the same mails, by exact bounds. Pure, as everything that judges."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from monitor.rules.bounds import Rate, rate
from monitor.rules.model import ComplaintRateRule
from monitor.rules.verdict import Answer, Group, Member, RateFacts, Verdict


def judge_rates(rule: ComplaintRateRule, facts: Iterable[RateFacts], now: datetime) -> list[Verdict]:
    """One verdict per group."""
    return [judge_rate(rule, fact, now) for fact in facts]


def judge_rate(rule: ComplaintRateRule, facts: RateFacts, now: datetime) -> Verdict:
    """A complaint rate against its threshold, by exact bounds.

    Unknown: nothing delivered; complaints without the mails they are about; too few messages to say
    anything; complaints not being collected (then few complaints prove nothing, many still do).
    """
    n, k = round(facts.delivered), round(facts.complaints)
    evidence: dict[str, Any] = {"complaints": k, "delivered": n, "since": facts.since.isoformat()}
    if n == 0 or k > n:
        text = "no delivered messages" if n == 0 else "more complaints than delivered messages are known"
        return _unknown(facts, "no_data" if n == 0 else "insufficient", f"{text} ({k} of {n})", evidence)
    bounds = rate(k, n, rule.confidence)
    evidence |= {"rate": bounds.value, "lower": bounds.lower, "upper": bounds.upper, "confidence": rule.confidence}
    summary = f"complaint rate {rate_text(bounds)} since {_minute(facts.since)}"
    if k >= rule.min_complaints and n >= rule.min_delivered and bounds.lower > rule.above:
        scope = _scope(rule, facts.group)
        members = (Member(_key(facts.group), scope, summary, now, evidence),) if scope else ()
        return Verdict(facts.group, Answer.BREACH, summary, members=members, evidence=evidence)
    if facts.stale:
        return _unknown(facts, "stale", f"{summary}, but {facts.stale}", evidence)
    if bounds.upper < rule.clear.below:
        summary = f"complaint rate {rate_text(bounds, upper=True)} since {_minute(facts.since)}"
        return Verdict(facts.group, Answer.CLEAR, summary, evidence=evidence)
    if n < rule.min_delivered:
        return _unknown(facts, "insufficient", f"{summary}: too few messages to say", evidence)
    return Verdict(facts.group, Answer.BETWEEN, summary, evidence=evidence)


def rate_text(bounds: Rate, *, upper: bool = False) -> str:
    """`0.41 % (82 of 20,000; at least 0.33 %)`, or with the other bound: `… at most 0.50 %)`."""
    bound = f"at most {percent(bounds.upper)}" if upper else f"at least {percent(bounds.lower)}"
    return f"{percent(bounds.value)} ({bounds.k:,} of {bounds.n:,}; {bound})"


def percent(share: float) -> str:
    """A share as people read it; two significant places below one percent."""
    value = share * 100
    return f"{value:.2f} %" if value >= 0.1 or value == 0 else f"{value:.2g} %"


def _unknown(facts: RateFacts, reason: str, text: str, evidence: Mapping[str, Any]) -> Verdict:
    return Verdict(facts.group, Answer.UNKNOWN, text, reason, evidence=evidence)


def _scope(rule: ComplaintRateRule, group: Group) -> dict[str, str]:
    wanted: tuple[str, ...] = rule.suspend.scope if rule.suspend else ()
    scope: dict[str, str] = {name: value for name, value in group if name in wanted}
    # a suspension wider than what was judged would hold mail nobody complained of
    return scope if len(scope) == len(wanted) else {}


def _key(group: Group) -> str:
    return "|".join(f"{name}={value}" for name, value in group)


def _minute(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M UTC")
