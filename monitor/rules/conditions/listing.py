"""What our targets on block lists, allow lists and score lists amount to. Pure.

An unknown answer is kept with its interval by `monitor.listings.intervals`, so nothing here is raised or cleared by one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from monitor.config.severity import Severity, worst
from monitor.rules.model import AllowListingLostRule, Baseline, ListingDimension, ListingRule, ListScoreRule
from monitor.rules.verdict import Answer, Group, ListingFact, Member, Place, ScoreFact, Verdict

_GRAVITY = {"critical": 1.0, "high": 0.8, "medium": 0.5, "low": 0.25}  # of a code, in the catalogue's words
_CRITICAL, _WARNING = 0.6, 0.3  # weight times gravity, from which a listing is that
_MOST_NAMED = 3
_MOST_PROVIDERS = 5


def judge_listings(rule: ListingRule, facts: Iterable[ListingFact], now: datetime) -> list[Verdict]:
    """One verdict per group that has an open interval on one of the rule's lists.

    A group is in breach while a member is confirmed; between while one is clearing or merely suspected; gone
    when none is left. A group all of whose open intervals cannot be asked any more is unknown, for that reason.
    """
    del now
    known = list(facts)
    counted = {(fact.target, fact.dnsbl) for fact in known}
    groups: dict[Group, list[ListingFact]] = {}
    for fact in known:
        # a list that is part of another one that says the same is not a second finding
        if _watched(rule, fact) and (fact.target, fact.detail.get("included_in")) not in counted:
            by = ("operator",) if fact.detail.get("collateral") or fact.baseline else rule.by
            groups.setdefault(_group(by, fact), []).append(fact)
    return [_listing_verdict(rule, group, members) for group, members in groups.items()]


def judge_allow_lost(rule: AllowListingLostRule, facts: Iterable[ListingFact], now: datetime) -> list[Verdict]:
    """One verdict per group in which an allow listing ended lately: in breach until all are regained.

    `facts` are the newest confirmed intervals on allow lists; one without `cleared_at` stands (again).
    """
    groups: dict[Group, list[ListingFact]] = {}
    for fact in facts:
        forgotten = fact.cleared_at is not None and now - fact.cleared_at >= rule.forget_after
        if not forgotten and (rule.lists is None or fact.dnsbl in rule.lists):
            groups.setdefault(_group(rule.by, fact), []).append(fact)
    return [_lost_verdict(group, members) for group, members in groups.items()]


def judge_scores(rule: ListScoreRule, facts: Iterable[ScoreFact], now: datetime) -> list[Verdict]:
    """One verdict per group: in breach while one score is bad; clear when all are known to be good."""
    groups: dict[Group, list[ScoreFact]] = {}
    for fact in facts:
        groups.setdefault(_group(rule.by, fact), []).append(fact)
    return [_score_verdict(rule, group, members, now) for group, members in groups.items()]


def severity_of(fact: ListingFact) -> Severity:
    """How bad a listing is by itself: the weight of the list times the gravity of its code.

    Critical only where a mailbox provider is known to act upon the list; who blames the neighbours says little.
    """
    gravity = _gravity(fact.detail)
    if fact.detail.get("collateral") or gravity < _WARNING:
        return Severity.INFO
    return Severity.CRITICAL if gravity >= _CRITICAL and fact.detail.get("isps") else Severity.WARNING


def is_grave(detail: Mapping[str, Any]) -> bool:
    """Whether a listing of this detail is more than information by itself."""
    return bool(detail.get("finding", True)) and not detail.get("collateral") and _gravity(detail) >= _WARNING


def _gravity(detail: Mapping[str, Any]) -> float:
    return float(detail.get("weight", 0.5)) * _GRAVITY.get(detail.get("severity", "medium"), 0)


# ── block lists ──


def _watched(rule: ListingRule, fact: ListingFact) -> bool:
    if fact.baseline and rule.baseline is Baseline.IGNORE:
        return False
    if fact.detail.get("kind", "block") != "block" or not fact.detail.get("finding", True):
        return False
    if fact.detail.get("collateral") and not rule.collateral:
        return False
    if rule.lists is not None:
        return fact.dnsbl in rule.lists
    return rule.min_weight <= _weight(fact) and (rule.below_weight is None or _weight(fact) < rule.below_weight)


def _weight(fact: ListingFact) -> float:
    return float(fact.detail.get("weight", 0.5))


def _listing_verdict(rule: ListingRule, group: Group, facts: Sequence[ListingFact]) -> Verdict:
    listed = [fact for fact in facts if fact.phase == "listed"]
    if not listed:
        waiting = [fact for fact in facts if fact.confirmed_at is not None] or list(facts)
        return Verdict(group, Answer.BETWEEN, f"{_named(waiting)}: waiting for confirmation", labels=_labels(waiting))
    members = tuple(_listed_member(rule, fact) for fact in facts if fact.confirmed_at is not None)
    reasons = {fact.unknown_reason for fact in listed}
    reason = None if None in reasons else min(str(each) for each in reasons)
    return Verdict(
        group, Answer.UNKNOWN if reason else Answer.BREACH, _listed_summary(listed), reason, members,
        evidence={"listed": [_listing_evidence(fact) for fact in listed]},
        severity=worst(member.severity or Severity.INFO for member in members), labels=_labels(listed),
    )


def _listed_summary(facts: Sequence[ListingFact]) -> str:
    """`192.0.2.7 and 3 more listed on Spamhaus ZEN (SBL), acted upon by Gmail`, the gravest meaning first."""
    gravest = sorted(facts, key=lambda fact: -_gravity(fact.detail))
    meanings = list(dict.fromkeys(map(_meaning, gravest)))
    providers = list(dict.fromkeys(each for fact in gravest for each in fact.detail.get("isps", ())))
    acted = f", acted upon by {_some(providers, _MOST_PROVIDERS)}" if providers else ""
    lists = ", ".join(sorted({_list_name(fact) for fact in facts}))
    before = ", already when first seen" if all(fact.baseline for fact in facts) else ""
    return f"{_named(facts)} listed on {lists} ({_some(meanings, _MOST_NAMED)}){acted}{before}"


def _listed_member(rule: ListingRule, fact: ListingFact) -> Member:
    text = f"{fact.target} is on {_list_name(fact)} ({_meaning(fact)})"
    at = fact.confirmed_at or fact.first_seen_at
    own = rule.severity == "auto" or fact.detail.get("collateral")
    severity = severity_of(fact) if own else Severity(rule.severity)
    holds = not fact.baseline or rule.baseline is Baseline.HOLD
    return Member(_key(fact), _scope(fact.place), text, at, _listing_evidence(fact), severity, holds)


def _listing_evidence(fact: ListingFact) -> dict[str, Any]:
    return {
        "target": fact.target,
        "customer": fact.place.customer,
        "dnsbl": fact.dnsbl,
        "name": _list_name(fact),
        "codes": list(fact.codes),
        "meaning": _meaning(fact),
        "first_seen_at": fact.first_seen_at.isoformat(),
        "baseline": fact.baseline,
        "text": fact.detail.get("text"),
        "delist_url": fact.detail.get("delist_url"),
        "sells_removal": bool(fact.detail.get("paid_delist")),
        "isps": list(fact.detail.get("isps", ()))[:_MOST_PROVIDERS],
    }


# ── allow lists ──


def _lost_verdict(group: Group, facts: Sequence[ListingFact]) -> Verdict:
    lost = [fact for fact in facts if fact.cleared_at is not None]
    if not lost:
        return Verdict(group, Answer.CLEAR, f"{_named(facts)}: on the allow list again", labels=_labels(facts))
    names = ", ".join(sorted({_list_name(fact) for fact in lost}))
    rows = [{"target": fact.target, "customer": fact.place.customer, "dnsbl": fact.dnsbl, "name": _list_name(fact), "meaning": _meaning(fact),
             "cleared_at": str(fact.cleared_at)} for fact in lost]
    return Verdict(
        group, Answer.BREACH, f"{_named(lost)} no longer on the allow list {names}",
        members=tuple(_lost_member(fact) for fact in lost), evidence={"lost": rows}, labels=_labels(lost),
    )


def _lost_member(fact: ListingFact) -> Member:
    text = f"{fact.target} is no longer on {_list_name(fact)} (was: {_meaning(fact)})"
    return Member(_key(fact), _scope(fact.place), text, fact.cleared_at or fact.first_seen_at)


# ── scores ──


def _score_verdict(rule: ListScoreRule, group: Group, facts: Sequence[ScoreFact], now: datetime) -> Verdict:
    answers: dict[Answer, list[ScoreFact]] = {}
    for fact in facts:
        answers.setdefault(_score_answer(rule, fact, now), []).append(fact)
    if bad := answers.get(Answer.BREACH):
        line = f"below {rule.below:g}" if rule.below is not None else f"above {rule.above:g}"
        return _bad_scores(group, bad, line)
    if between := answers.get(Answer.BETWEEN):
        summary = f"{_some(_score_texts(between), _MOST_NAMED)}, better but not clear yet"
        return Verdict(group, Answer.BETWEEN, summary, labels=_labels(between))
    if unknown := answers.get(Answer.UNKNOWN):
        reason = min(str(fact.state.unknown(now, rule.max_age)) for fact in unknown)
        return Verdict(group, Answer.UNKNOWN, f"the score is not known: {reason}", reason, labels=_labels(unknown))
    return Verdict(group, Answer.CLEAR, f"{_named(facts)}: the score is good again", labels=_labels(facts))


def _bad_scores(group: Group, bad: Sequence[ScoreFact], line: str) -> Verdict:
    texts = _score_texts(bad)
    members = tuple(
        Member(_key(fact), _scope(fact.place), text, fact.state.since) for fact, text in zip(bad, texts, strict=True)
    )
    evidence = {"scores": {_key(fact): fact.state.value for fact in bad}}
    return Verdict(
        group, Answer.BREACH, f"{_some(texts, _MOST_NAMED)}, {line}", members=members, evidence=evidence,
        labels=_labels(bad),
    )


def _score_texts(facts: Iterable[ScoreFact]) -> list[str]:
    return [f"{fact.place.target} has {fact.state.value:g} on {_list_name(fact)}" for fact in facts]


def _score_answer(rule: ListScoreRule, fact: ScoreFact, now: datetime) -> Answer:
    value = fact.state.value
    if value is None or fact.state.unknown(now, rule.max_age):
        return Answer.UNKNOWN
    if rule.below is not None:
        bad = value < rule.below
        good = value > rule.clear.above if rule.clear.above is not None else not bad
    else:
        bad = rule.above is not None and value > rule.above
        good = value < rule.clear.below if rule.clear.below is not None else not bad
    return Answer.BREACH if bad else Answer.CLEAR if good else Answer.BETWEEN


# ── who and what ──


def _group(by: Iterable[ListingDimension], fact: ListingFact | ScoreFact) -> Group:
    values = _values(fact)
    # a list whose operator nobody knows stands for itself
    wanted = list(dict.fromkeys("dnsbl" if name == "operator" and name not in values else name for name in by))
    known = tuple((name, values[name]) for name in wanted if name in values)
    # what stands in no pool (or belongs to no customer) is judged by itself
    return known if len(known) == len(wanted) else (*known, ("target", fact.place.target))


def _values(fact: ListingFact | ScoreFact) -> dict[str, str]:
    """What is known of a fact, by dimension."""
    values: Mapping[str, str | None] = {
        "customer": fact.place.customer,
        "pool": fact.place.pool,
        "dnsbl": fact.dnsbl,
        "operator": fact.detail.get("operator"),
        "target": fact.place.target,
        **_scope(fact.place),
    }
    return {name: value for name, value in values.items() if value}


def _labels(facts: Iterable[ListingFact | ScoreFact]) -> dict[str, str]:
    """What all of them have in common."""
    return dict(sorted(set.intersection(*(set(_values(fact).items()) for fact in facts))))


def _key(fact: ListingFact | ScoreFact) -> str:
    return f"{fact.place.target}@{fact.dnsbl}"


def _scope(place: Place) -> dict[str, str]:
    return {"ip" if place.is_ip else "domain": place.target}


def _named(facts: Iterable[ListingFact | ScoreFact]) -> str:
    return _some(sorted({fact.place.target for fact in facts}), _MOST_NAMED)


def _some(names: Sequence[str], most: int) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _list_name(fact: ListingFact | ScoreFact) -> str:
    return str(fact.detail.get("name") or fact.dnsbl)


def _meaning(fact: ListingFact) -> str:
    return ", ".join(fact.detail.get("meanings", ())) or ", ".join(fact.codes) or "listed"
