"""Complaints ÷ delivered of the same mails, by exact bounds. Pure, as everything that judges."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, NamedTuple

from collectors.contract import Reason
from monitor.rules.bounds import Rate, rate
from monitor.rules.model import ComplaintRateRule
from monitor.rules.verdict import Answer, Group, Member, RateFacts, Verdict


def judge_rates(rule: ComplaintRateRule, facts: Iterable[RateFacts], now: datetime) -> list[Verdict]:
    """One verdict per group. A wider group is no finding where groups within it, that are, explain its rate."""
    known = {fact.group: fact for fact in facts}
    verdicts = {group: judge_rate(rule, fact, now) for group, fact in known.items()}
    breaches = {group for group, verdict in verdicts.items() if verdict.answer is Answer.BREACH}
    for group in breaches:
        inside = _outermost(each for each in breaches if set(group) < set(each)) if len(group) < len(rule.by) else []
        if inside and judge_rate(rule, _without(known[group], [known[each] for each in inside]), now).answer is not Answer.BREACH:
            summary = f"{verdicts[group].summary}, as {len(inside)} of its parts {'is' if len(inside) == 1 else 'are'} in breach"
            verdicts[group] = replace(verdicts[group], answer=Answer.BETWEEN, summary=summary, members=())
    return list(verdicts.values())


def judge_rate(rule: ComplaintRateRule, facts: RateFacts, now: datetime) -> Verdict:
    """A complaint rate against its threshold, by exact bounds.

    What is known only in part counts for the mildest case before it is a breach (no complaint more, all the mail), and
    for the worst before it is clear. Unknown: nothing delivered; complaints without the mails they are about; too few
    messages to say anything; complaints not being collected (then few complaints prove nothing, many still do).
    """
    counts = _Counts.of(facts)
    n, k = counts.n_most, counts.k
    if n == 0 or k > n:
        text = "no delivered messages" if n == 0 else "more complaints than delivered messages are known"
        reason = Reason.NO_DATA if n == 0 else Reason.INSUFFICIENT
        return _unknown(facts, reason, f"{text} ({k} of {n})", counts.evidence(facts))
    bounds = rate(k, n, rule.confidence)
    evidence = counts.evidence(facts) | {
        "rate": bounds.value, "lower": bounds.lower, "upper": bounds.upper, "confidence": rule.confidence,
    }
    summary = f"complaint rate {rate_text(bounds)} since {_minute(facts.since)}"
    if k >= rule.min_complaints and n >= rule.min_delivered and bounds.lower > rule.above:
        scope = _scope(rule, facts.group)
        members = (Member(_key(facts.group), scope, summary, now, evidence),) if scope else ()
        return Verdict(facts.group, Answer.BREACH, summary, members=members, evidence=evidence)
    return _no_breach(rule, facts, counts, Verdict(facts.group, Answer.BETWEEN, summary + counts.more(), evidence=evidence))


def _no_breach(rule: ComplaintRateRule, facts: RateFacts, counts: _Counts, between: Verdict) -> Verdict:
    """Clear, where that is sure also of the worst case; else `between`, or unknown and why."""
    if facts.stale:
        return _unknown(facts, Reason.STALE, f"{between.summary}, but {facts.stale}", between.evidence)
    if counts.n > 0 and counts.k_most <= counts.n:
        worst = rate(counts.k_most, counts.n, rule.confidence)
        if worst.upper < rule.clear.below:
            text = f"complaint rate {rate_text(worst, upper=True)} since {_minute(facts.since)}"
            return Verdict(facts.group, Answer.CLEAR, text, evidence=between.evidence)
    if counts.n < rule.min_delivered:
        return _unknown(facts, Reason.INSUFFICIENT, f"{between.summary}: too few messages to say", between.evidence)
    return between


class _Counts(NamedTuple):
    """Messages and complaints of a group, without and with what may be of it."""

    n: int
    n_most: int
    k: int
    k_most: int

    @classmethod
    def of(cls, facts: RateFacts) -> _Counts:
        n, k = facts.delivered, facts.complaints
        return cls(round(n), round(n + facts.delivered_perhaps), round(k), round(k + facts.complaints_perhaps))

    def evidence(self, facts: RateFacts) -> dict[str, Any]:
        perhaps = {"delivered_perhaps": self.n_most - self.n, "complaints_perhaps": self.k_most - self.k}
        certain = {"complaints": self.k, "delivered": self.n, "since": facts.since.isoformat()}
        return certain | {name: count for name, count in perhaps.items() if count}

    def more(self) -> str:
        return f"; {self.k_most - self.k:,} complaints more may be of it" if self.k_most > self.k else ""


def _outermost(groups: Iterable[Group]) -> list[Group]:
    """Those that lie in none of the others; what overlaps and is neither within the other is left out."""
    chosen: list[Group] = []
    for group in sorted(groups, key=len):
        if all(_apart(group, each) for each in chosen):
            chosen.append(group)
    return chosen


def _apart(first: Group, second: Group) -> bool:
    values = dict(second)
    return any(values.get(name, value) != value for name, value in first)


def _without(facts: RateFacts, parts: Iterable[RateFacts]) -> RateFacts:
    """The group without these parts of it, of which no two share a fact."""
    parts = list(parts)
    return replace(
        facts,
        delivered=facts.delivered - sum(part.delivered for part in parts),
        complaints=facts.complaints - sum(part.complaints for part in parts),
    )


def rate_text(bounds: Rate, *, upper: bool = False) -> str:
    """`0.41 % (82 of 20,000; at least 0.33 %)`, or with the other bound: `… at most 0.50 %)`."""
    bound = f"at most {percent(bounds.upper)}" if upper else f"at least {percent(bounds.lower)}"
    return f"{percent(bounds.value)} ({bounds.k:,} of {bounds.n:,}; {bound})"


def percent(share: float) -> str:
    """A share as people read it; two significant places below one percent."""
    value = share * 100
    return f"{value:.2f} %" if value >= 0.1 or value == 0 else f"{value:.2g} %"


def _unknown(facts: RateFacts, reason: Reason, text: str, evidence: Mapping[str, Any]) -> Verdict:
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
