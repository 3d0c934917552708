"""rule + facts + now → verdicts. Pure; the same function runs live, in backtests and in rule tests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from monitor.rules.model import ComplaintRateRule, ListingRule
from monitor.rules.verdict import Answer, Group, ListingFact, Member, RateFacts, Verdict
from monitor.series import Rate, rate


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
    found = rate(k, n, rule.confidence)
    evidence |= {"rate": found.value, "lower": found.lower, "upper": found.upper, "confidence": rule.confidence}
    summary = f"complaint rate {rate_text(found)} since {_minute(facts.since)}"
    if k >= rule.min_complaints and n >= rule.min_delivered and found.lower > rule.above:
        scope = _scope(rule, facts.group)
        members = (Member(_key(facts.group), scope, summary, now, evidence),) if scope else ()
        return Verdict(facts.group, Answer.BREACH, summary, members=members, evidence=evidence)
    if facts.stale:
        return _unknown(facts, "stale", f"{summary}, but {facts.stale}", evidence)
    if found.upper < rule.clear.below:
        healed = f"complaint rate {rate_text(found, upper=True)} since {_minute(facts.since)}"
        return Verdict(facts.group, Answer.CLEAR, healed, evidence=evidence)
    if n < rule.min_delivered:
        return _unknown(facts, "insufficient", f"{summary}: too few messages to say", evidence)
    return Verdict(facts.group, Answer.BETWEEN, summary, evidence=evidence)


def rate_text(found: Rate, *, upper: bool = False) -> str:
    """`0.41 % (82 of 20,000; at least 0.33 %)`, or with the other bound: `… at most 0.50 %)`."""
    bound = f"at most {percent(found.upper)}" if upper else f"at least {percent(found.lower)}"
    return f"{percent(found.value)} ({found.k:,} of {found.n:,}; {bound})"


def percent(share: float) -> str:
    """A share as people read it; two significant places below one percent."""
    value = share * 100
    return f"{value:.2f} %" if value >= 0.1 or value == 0 else f"{value:.2g} %"


def judge_listings(rule: ListingRule, facts: Iterable[ListingFact]) -> list[Verdict]:
    """One verdict per group that has an open interval on one of the rule's lists.

    A group is in breach while a member is confirmed; between while one is clearing or merely suspected;
    clear when none is left, which shows by its absence (see `absent`). Unknown answers keep an interval as
    it is, so they neither raise nor clear; a group all of whose open intervals cannot be asked any more is
    unknown, for the reason given.
    """
    groups: dict[Group, list[ListingFact]] = {}
    known = list(facts)
    counted = {(fact.target, fact.dnsbl) for fact in known}
    for fact in known:
        # a list that is part of another one that says the same is not a second finding
        if _watched(rule, fact) and (fact.target, fact.detail.get("included_in")) not in counted:
            groups.setdefault(_group(rule, fact), []).append(fact)
    return [_listing_verdict(group, found) for group, found in groups.items()]


def absent(group: Group) -> Verdict:
    """The verdict for a listing group that has no open interval any more."""
    return Verdict(group, Answer.CLEAR, "no longer listed")


def _watched(rule: ListingRule, fact: ListingFact) -> bool:
    if fact.baseline and not rule.baseline:
        return False
    if fact.detail.get("kind", "block") != "block" or not fact.detail.get("finding", True):
        return False
    if fact.detail.get("collateral") and not rule.collateral:
        return False
    if rule.lists is not None:
        return fact.dnsbl in rule.lists
    return float(fact.detail.get("weight", 0.5)) >= rule.min_weight


def _group(rule: ListingRule, fact: ListingFact) -> Group:
    said: Mapping[str, str | None] = {
        "dnsbl": str(fact.detail.get("operator") or fact.dnsbl),
        "pool": fact.pool,
        "customer": fact.customer,
        "target": fact.target,
    }
    known = tuple((name, value) for name in rule.by if (value := said[name]) is not None)
    # what stands in no pool (or belongs to no customer) is judged by itself
    return known if len(known) == len(rule.by) else (*known, ("target", fact.target))


def _listing_verdict(group: Group, facts: Sequence[ListingFact]) -> Verdict:
    listed = [fact for fact in facts if fact.phase == "listed"]
    if not listed:
        waiting = [fact for fact in facts if fact.confirmed_at is not None] or list(facts)
        return Verdict(group, Answer.BETWEEN, f"{_named(waiting)}: waiting for confirmation")
    blind = {fact.unknown_reason for fact in listed}
    members = tuple(_listed_member(fact) for fact in facts if fact.confirmed_at is not None)
    summary = f"{_named(listed)} listed on {', '.join(sorted({_list_name(fact) for fact in listed}))}"
    evidence = {"listed": [_listing_evidence(fact) for fact in listed]}
    if None not in blind:
        reason = min(str(each) for each in blind)
        return Verdict(group, Answer.UNKNOWN, summary, reason, members, evidence)
    return Verdict(group, Answer.BREACH, summary, members=members, evidence=evidence)


def _listed_member(fact: ListingFact) -> Member:
    scope = {"ip" if fact.is_ip else "domain": fact.target}
    text = f"{fact.target} is on {_list_name(fact)} ({_meaning(fact)})"
    at = fact.confirmed_at or fact.first_seen_at
    return Member(f"{fact.target}@{fact.dnsbl}", scope, text, at, _listing_evidence(fact))


def _listing_evidence(fact: ListingFact) -> dict[str, Any]:
    return {
        "target": fact.target,
        "dnsbl": fact.dnsbl,
        "name": _list_name(fact),
        "codes": list(fact.codes),
        "meaning": _meaning(fact),
        "first_seen_at": fact.first_seen_at.isoformat(),
        "text": fact.detail.get("text"),
        "delist_url": fact.detail.get("delist_url"),
        "isps": list(fact.detail.get("isps", ()))[:5],
    }


def _named(facts: Sequence[ListingFact]) -> str:
    names = sorted({fact.target for fact in facts})
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _list_name(fact: ListingFact) -> str:
    return str(fact.detail.get("name") or fact.dnsbl)


def _meaning(fact: ListingFact) -> str:
    return ", ".join(fact.detail.get("meanings", ())) or ", ".join(fact.codes) or "listed"


def _unknown(facts: RateFacts, reason: str, text: str, evidence: Mapping[str, Any]) -> Verdict:
    return Verdict(facts.group, Answer.UNKNOWN, text, reason, evidence=evidence)


def _scope(rule: ComplaintRateRule, group: Group) -> dict[str, str]:
    wanted: tuple[str, ...] = rule.suspend.scope if rule.suspend else ()
    scope: dict[str, str] = {name: value for name, value in group if name in wanted}
    # a brake wider than what was judged would hold mail nobody complained of
    return scope if len(scope) == len(wanted) else {}


def _key(group: Group) -> str:
    return "|".join(f"{name}={value}" for name, value in group)


def _minute(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M UTC")
