"""What Vigie cannot see, and why: its own network, a list, a mailbox, a collector, the clock. Pure.

One cause is one incident: while our own network is at fault, what fails because of it is not judged at all.
These rules suspend nothing: not to see is no proof of harm.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from collectors.contract import Reason
from monitor.rules.model import (
    ClockRule,
    ListUnusableRule,
    MailboxUnreadRule,
    OwnNetworkRule,
    StalenessRule,
)
from monitor.rules.verdict import Answer, CanaryFact, ClockFact, MailboxFact, RunsFact, Verdict

_STALE_TURNS = 3
_STALE_AT_LEAST = timedelta(minutes=15)
_NETWORK = frozenset({Reason.NETWORK, Reason.TIMEOUT})  # reasons that a fault of our own network explains
_WORDS: dict[str, str] = {
    Reason.AUTH: "the server refuses user name or password",
    Reason.TLS: "no secure connection can be made",
    Reason.TIMEOUT: "the server does not answer in time",
    Reason.NETWORK: "the server cannot be reached",
    Reason.NOT_FOUND: "the folder is not there",
    Reason.KEY_MISSING: "its secret is not configured",
    Reason.QUOTA: "the server allows no more",
    Reason.MALFORMED: "the server does not speak IMAP properly",
}


def judge_own_network(rule: OwnNetworkRule, facts: Collection[CanaryFact], now: datetime) -> list[Verdict]:
    """One verdict per collector that has canaries."""
    return [_network_verdict(rule, fact, now) for fact in facts if fact.dnsbl is None]


def judge_lists_unusable(rule: ListUnusableRule, facts: Collection[CanaryFact], now: datetime) -> list[Verdict]:
    """One verdict per list; those of a collector whose own network is at fault are unknown, as are old ones."""
    muted = {fact.collector for fact in facts if fact.dnsbl is None and fact.state.value == 0}
    newest = max((fact.state.checked_at for fact in facts), default=now)
    return [
        _list_verdict(rule, fact, now, muted=fact.collector in muted)
        for fact in facts
        if fact.dnsbl is not None and newest - fact.state.checked_at < rule.forget_after
    ]


def judge_mailboxes(rule: MailboxUnreadRule, facts: Collection[MailboxFact], now: datetime) -> list[Verdict]:
    """One verdict per mailbox."""
    return [_mailbox_verdict(rule, fact, now) for fact in facts]


def judge_staleness(rule: StalenessRule, facts: Collection[RunsFact], now: datetime) -> list[Verdict]:
    """One verdict per configured collector."""
    return [_staleness_verdict(rule, fact, now) for fact in facts]


def judge_clock(rule: ClockRule, facts: Collection[ClockFact], now: datetime) -> list[Verdict]:
    """One verdict, once anything is stored."""
    return [_clock_verdict(rule, fact, now) for fact in facts]


def _network_verdict(rule: OwnNetworkRule, fact: CanaryFact, now: datetime) -> Verdict:
    group = (("collector", fact.collector),)
    if reason := fact.state.unknown(now, rule.max_age):
        return Verdict(group, Answer.UNKNOWN, "the lists were not asked lately", reason)
    if fact.state.value:
        return Verdict(group, Answer.CLEAR, "most lists answer again through every resolver")
    failures = "; ".join(f"{resolver}: {what}" for resolver, what in fact.state.detail.items())
    summary = f"own network or resolver at fault ({failures}); what it hides is not judged"
    return Verdict(group, Answer.BREACH, summary, evidence={"resolvers": dict(fact.state.detail)})


def _list_verdict(rule: ListUnusableRule, fact: CanaryFact, now: datetime, *, muted: bool) -> Verdict:
    group = (("collector", fact.collector), ("dnsbl", str(fact.dnsbl)))
    reason = Reason.NETWORK if muted else fact.state.unknown(now, rule.max_age)
    if reason:
        return Verdict(group, Answer.UNKNOWN, "its test points cannot be asked", reason)
    if fact.state.value:
        return Verdict(group, Answer.CLEAR, "its test points are answered rightly again")
    failures = "; ".join(dict.fromkeys(map(str, fact.state.detail.values())))
    summary = f"{fact.dnsbl} fails its test points ({failures}); nothing it says is believed"
    return Verdict(group, Answer.BREACH, summary, evidence={"resolvers": dict(fact.state.detail)})


def _mailbox_verdict(rule: MailboxUnreadRule, fact: MailboxFact, now: datetime) -> Verdict:
    group = (("mailbox", fact.mailbox),)
    if now - fact.state.checked_at > rule.max_age:
        return Verdict(group, Answer.UNKNOWN, "it was not tried lately", Reason.STALE)
    if fact.state.reason is not None:
        return Verdict(group, Answer.UNKNOWN, "whether it is read is not known", fact.state.reason)
    if fact.state.value:
        return Verdict(group, Answer.CLEAR, "it is read again")
    reason = str(fact.state.detail.get("reason") or "refused")
    if fact.network_fault and reason in _NETWORK:
        return Verdict(group, Answer.UNKNOWN, "our own network is at fault", Reason.NETWORK)
    since = fact.state.since.strftime("%Y-%m-%d %H:%M UTC")
    meaning = _WORDS.get(reason, reason)
    summary = f"mailbox {fact.mailbox} is not read since {since} ({reason}): {meaning}"
    return Verdict(group, Answer.BREACH, summary, evidence={"reason": reason})


def _staleness_verdict(rule: StalenessRule, fact: RunsFact, now: datetime) -> Verdict:
    group, since = (("collector", fact.collector),), fact.good_at or fact.first_at
    limit = rule.max_age or max(fact.every * _STALE_TURNS, _STALE_AT_LEAST)
    if since is None:
        return Verdict(group, Answer.UNKNOWN, "it has not run yet", Reason.NO_DATA)
    if now - since <= limit:
        # without a good run it has only not had its time yet
        return Verdict(group, Answer.CLEAR if fact.good_at else Answer.BETWEEN, f"{fact.collector} gets answers again")
    if fact.network_fault and fact.reason in _NETWORK:
        return Verdict(group, Answer.UNKNOWN, "our own network is at fault", Reason.NETWORK)
    newest = f"; its newest run: {fact.reason}, {fact.text}" if fact.reason else ""
    never = "" if fact.good_at else " (never since it was configured)"
    summary = f"collector {fact.collector} got no answers since {since:%Y-%m-%d %H:%M UTC}{never}{newest}"
    trying = fact.running_since is not None and now - fact.running_since <= limit
    answer = Answer.BETWEEN if trying else Answer.BREACH
    return Verdict(group, answer, summary, evidence={"reason": fact.reason or Reason.STALE})


def _clock_verdict(rule: ClockRule, fact: ClockFact, now: datetime) -> Verdict:
    behind = fact.newest_at - now
    if behind <= rule.tolerance:
        return Verdict((), Answer.CLEAR, "the clock has caught up")
    summary = f"this clock is behind the newest facts stored ({fact.newest_at:%Y-%m-%d %H:%M:%S UTC}): it was stepped back"
    return Verdict((), Answer.BREACH, summary, evidence={"newest_at": fact.newest_at.isoformat()})
