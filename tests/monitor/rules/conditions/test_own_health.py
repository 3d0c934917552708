"""What cannot be seen, and why; one cause is one incident."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from monitor.rules.conditions.own_health import (
    judge_clock,
    judge_lists_unusable,
    judge_mailboxes,
    judge_own_network,
    judge_staleness,
)
from monitor.rules.model import RULE
from monitor.rules.verdict import CanaryFact, ClockFact, MailboxFact, RunsFact, StateFact

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
QUARTER = timedelta(minutes=15)
OLD = 26 * 60 + 1  # minutes: a canary no longer believed


def rule(kind, **changes):
    return RULE.validate_python({"id": "blind", "kind": kind, **changes})


def state(value, reason=None, minutes_old=5, **detail):
    at = NOW - timedelta(minutes=minutes_old)
    return StateFact(value, reason, at, at, detail)


def canary(dnsbl, value, reason=None, minutes_old=5, **detail):
    return CanaryFact("dnsbl", dnsbl, state(value, reason, minutes_old, **detail))


def answers(verdicts):
    return [(verdict.answer.value, verdict.reason) for verdict in verdicts]


# ── network and lists ──


@pytest.mark.parametrize(("fact", "answer"), [
    (canary(None, 0.0), ("breach", None)),
    (canary(None, 1.0), ("clear", None)),
    (canary(None, 0.0, minutes_old=OLD), ("unknown", "stale")),
    (canary(None, 1.0, minutes_old=OLD), ("unknown", "stale")),
])
def test_our_own_network_is_judged_by_what_was_seen_of_it_lately(fact, answer):
    assert answers(judge_own_network(rule("own_network"), [fact, canary("zen", 0.0)], NOW)) == [answer]


def test_every_resolver_at_fault_is_named():
    fact = canary(None, 0.0, **{"192.0.2.53:53": "most lists fail alike: timeout", "[2001:db8::53]:53": "most …"})
    (verdict,) = judge_own_network(rule("own_network"), [fact], NOW)
    assert "192.0.2.53:53: most lists fail alike: timeout; [2001:db8::53]:53: most …" in verdict.summary


@pytest.mark.parametrize(("own", "fact", "answer"), [
    (1.0, canary("zen", 0.0), ("breach", None)),
    (1.0, canary("zen", 1.0), ("clear", None)),
    (1.0, canary("zen", 0.0, "network"), ("unknown", "network")),
    (1.0, canary("zen", 0.0, minutes_old=61), ("unknown", "stale")),
    (0.0, canary("zen", 0.0), ("unknown", "network")),
    (0.0, canary("zen", 1.0), ("unknown", "network")),
])
def test_a_list_is_judged_only_while_our_own_network_is_well(own, fact, answer):
    assert answers(judge_lists_unusable(rule("list_unusable", max_age="1h"), [canary(None, own), fact], NOW)) == [answer]


def test_the_network_of_one_collector_says_nothing_of_anothers_lists():
    facts = [CanaryFact("elsewhere", None, state(0.0)), canary("zen", 0.0)]
    assert answers(judge_lists_unusable(rule("list_unusable"), facts, NOW)) == [("breach", None)]


def test_a_list_not_asked_for_a_day_while_others_were_is_forgotten_and_with_them_it_is_not():
    old, older = canary("zen", 0.0, minutes_old=OLD - 60 * 20), canary("dbl", 0.0, minutes_old=OLD + 60 * 20)
    assert [dict(v.group)["dnsbl"] for v in judge_lists_unusable(rule("list_unusable"), [old, older], NOW)] == ["zen"]
    assert answers(judge_lists_unusable(rule("list_unusable"), [older], NOW)) == [("unknown", "stale")]


# ── mailboxes ──


def unread(reason, minutes_old=0):
    return replace(state(0.0, minutes_old=minutes_old), detail={"reason": reason})


@pytest.mark.parametrize(("reason", "network_fault", "answer"), [
    (state(1.0), False, ("clear", None)),
    (unread("auth"), False, ("breach", None)),
    (unread("tls"), False, ("breach", None)),
    (unread("timeout"), False, ("breach", None)),
    (unread("timeout"), True, ("unknown", "network")),
    (unread("auth"), True, ("breach", None)),  # no network fault refuses a password
    (unread("auth", minutes_old=61), False, ("unknown", "stale")),
    (state(1.0, "internal"), False, ("unknown", "internal")),  # we do not know, so nothing opens or ends
    (state(None, "internal"), False, ("unknown", "internal")),
    (state(1.0, minutes_old=61), False, ("unknown", "stale")),
])
def test_a_mailbox_is_unread_for_a_reason_of_its_own(reason, network_fault, answer):
    assert answers(judge_mailboxes(rule("mailbox_unread"), [MailboxFact("loop", reason, network_fault)], NOW)) == [answer]


# ── collectors ──


def runs(good=None, first=600, running=None, **more):
    def ago(minutes):
        return None if minutes is None else NOW - timedelta(minutes=minutes)

    return RunsFact("dnsbl", QUARTER, ago(first), ago(good), ago(running), **more)


@pytest.mark.parametrize(("fact", "answer"), [
    (runs(good=45), ("clear", None)),
    (runs(good=46), ("breach", None)),
    (runs(good=46, running=1), ("between", None)),       # it is trying
    (runs(good=120, running=46), ("breach", None)),      # it hangs
    (runs(first=45), ("between", None)),                 # never yet, but it had no time
    (runs(first=46), ("breach", None)),
    (runs(first=None), ("unknown", "no_data")),
    (runs(good=46, reason="network", network_fault=True), ("unknown", "network")),
    (runs(good=46, reason="auth", network_fault=True), ("breach", None)),
    (runs(good=-60), ("clear", None)),                   # the clock was stepped back
])
def test_a_collector_is_stale_after_three_turns(fact, answer):
    assert answers(judge_staleness(rule("staleness"), [fact], NOW)) == [answer]


def test_a_quick_collector_is_given_a_quarter_of_an_hour_and_the_rule_may_say_otherwise():
    quick = RunsFact("quick", timedelta(seconds=1), NOW, NOW - timedelta(minutes=14))
    assert answers(judge_staleness(rule("staleness"), [quick], NOW)) == [("clear", None)]
    assert answers(judge_staleness(rule("staleness", max_age="10m"), [quick], NOW)) == [("breach", None)]


# ── the clock ──


@pytest.mark.parametrize(("minutes_ahead", "answer"), [(-60, "clear"), (2, "clear"), (3, "breach")])
def test_facts_from_the_future_show_that_the_clock_is_behind(minutes_ahead, answer):
    (verdict,) = judge_clock(rule("clock_behind"), [ClockFact(NOW + timedelta(minutes=minutes_ahead))], NOW)
    assert verdict.answer == answer
