"""What cannot be seen, and why: states and absence, as the shipped rules ask for them."""

from datetime import UTC, datetime, timedelta

import pytest

from collectors.details import UNEXPLAINED, CanaryFailures, ReadFailure
from monitor.config.load import read_rules
from monitor.rules.conditions.table import RULE, judge
from monitor.rules.evidence import Seen
from monitor.rules.in_memory import Fact, MemoryEvidence
from monitor.rules.load import SHIPPED
from monitor.rules.unless import unevaluated
from monitor.rules.verdict import Answer

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
QUARTER = timedelta(minutes=15)
OLD = 26 * 60 + 1  # minutes: a canary no longer believed
OWN_NETWORK_FIRES = {"own-network": [(("collector", "dnsbl"),)]}
RULES = {source.data["id"]: source.data for source in read_rules(SHIPPED)}


def fact(measure, value, reason=None, minutes_old=5, detail=UNEXPLAINED, **labels):
    return Fact(measure, labels, NOW - timedelta(minutes=minutes_old), value, reason, detail)


def canary(value, reason=None, minutes_old=5, dnsbl="zen", collector="dnsbl"):
    return fact("canary", value, reason, minutes_old, dnsbl=dnsbl, collector=collector)


def judged(rule_id, *facts, firing=None, runs=(), **changes):
    rule = RULE.validate_python({**RULES[rule_id], **changes})
    return unevaluated(rule, judge(rule, MemoryEvidence(NOW, facts, runs=runs), NOW), firing or {})


def answers(verdicts):
    return [(verdict.answer.value, verdict.reason) for verdict in verdicts]


# ── network and lists ──


@pytest.mark.parametrize(("value", "minutes_old", "answer"), [
    (0.0, 5, ("breach", None)), (1.0, 5, ("clear", None)), (0.0, OLD, ("unknown", "stale")), (1.0, OLD, ("unknown", "stale")),
])
def test_our_own_network_is_judged_by_what_was_seen_of_it_lately(value, minutes_old, answer):
    assert answers(judged("own-network", fact("own_network", value, minutes_old=minutes_old, collector="dnsbl"))) == [answer]


def test_every_resolver_at_fault_is_named():
    detail = CanaryFailures({"192.0.2.53:53": "most lists fail alike: timeout", "[2001:db8::53]:53": "most …"})
    (verdict,) = judged("own-network", fact("own_network", 0.0, collector="dnsbl", detail=detail))
    assert "192.0.2.53:53: most lists fail alike: timeout; [2001:db8::53]:53: most …" in verdict.summary


@pytest.mark.parametrize(("firing", "canary", "answer"), [
    ({}, canary(0.0), ("breach", None)),
    ({}, canary(1.0), ("clear", None)),
    ({}, canary(None, "network"), ("unknown", "network")),
    ({}, canary(0.0, minutes_old=OLD), ("unknown", "stale")),
    (OWN_NETWORK_FIRES, canary(0.0), ("unevaluated", "own-network")),
    (OWN_NETWORK_FIRES, canary(1.0), ("unevaluated", "own-network")),
    (OWN_NETWORK_FIRES, canary(0.0, collector="elsewhere"), ("breach", None)),
])
def test_a_list_is_judged_only_while_the_network_of_its_collector_is_well(firing, canary, answer):
    assert answers(judged("list-unusable", canary, firing=firing)) == [answer]


def test_a_list_not_asked_for_a_day_while_others_were_is_forgotten_and_with_them_it_is_not():
    old, older = canary(0.0, minutes_old=OLD - 60 * 20), canary(0.0, minutes_old=OLD + 60 * 20, dnsbl="dbl")
    assert [dict(v.group)["dnsbl"] for v in judged("list-unusable", old, older)] == ["zen"]
    assert answers(judged("list-unusable", older)) == [("unknown", "stale")]


# ── mailboxes ──


def box(value, why=None, reason=None, minutes_old=5):
    return fact("mailbox_read", value, reason, minutes_old, ReadFailure(why), mailbox="loop")


@pytest.mark.parametrize(("reading", "firing", "answer"), [
    (box(1.0), {}, ("clear", None)),
    (box(0.0, "auth"), {}, ("breach", None)),
    (box(0.0, "tls"), {}, ("breach", None)),
    (box(0.0, "timeout"), {}, ("breach", None)),
    (box(0.0, "timeout"), OWN_NETWORK_FIRES, ("unevaluated", "own-network")),
    (box(0.0, "auth"), OWN_NETWORK_FIRES, ("breach", None)),  # no network fault refuses a password
    (box(1.0), OWN_NETWORK_FIRES, ("clear", None)),
    (box(0.0, "auth", minutes_old=61), {}, ("unknown", "stale")),
    (box(None, reason="internal"), {}, ("unknown", "internal")),
    (box(1.0, minutes_old=61), {}, ("unknown", "stale")),
])
def test_a_mailbox_is_unread_for_a_reason_of_its_own(reading, firing, answer):
    assert answers(judged("mailbox-unread", reading, firing=firing)) == [answer]


# ── collectors ──


def runs(good=None, first=600, running=None, **more):
    def ago(minutes):
        return None if minutes is None else NOW - timedelta(minutes=minutes)

    return Seen({"collector": "dnsbl"}, ago(good), ago(first), QUARTER, ago(running), **more)


@pytest.mark.parametrize(("seen", "firing", "answer"), [
    (runs(good=45), {}, ("clear", None)),
    (runs(good=46), {}, ("breach", None)),
    (runs(good=46, running=1), {}, ("between", None)),       # it is trying
    (runs(good=120, running=46), {}, ("breach", None)),      # it hangs
    (runs(first=45), {}, ("between", None)),                 # never yet, but it had no time
    (runs(first=46), {}, ("breach", None)),
    (runs(first=None), {}, ("unknown", "no_data")),
    (runs(good=46, reason="network"), OWN_NETWORK_FIRES, ("unevaluated", "own-network")),
    (runs(good=46, reason="auth"), OWN_NETWORK_FIRES, ("breach", None)),
    (runs(good=-60), {}, ("clear", None)),                   # the clock was stepped back
])
def test_a_collector_is_stale_after_three_turns(seen, firing, answer):
    assert answers(judged("collector-stale", runs=[seen], firing=firing)) == [answer]


def test_a_quick_collector_is_given_a_quarter_of_an_hour_and_the_rule_may_say_otherwise():
    quick = Seen({"collector": "quick"}, NOW - timedelta(minutes=14), NOW, timedelta(seconds=1))
    assert answers(judged("collector-stale", runs=[quick])) == [("clear", None)]
    assert answers(judged("collector-stale", runs=[quick], max_age="10m")) == [("breach", None)]


@pytest.mark.parametrize(("hours", "answer"), [(47, Answer.CLEAR), (49, Answer.BREACH)])
def test_whatever_was_heard_before_can_be_absent(hours, answer):
    rule = RULE.validate_python({"id": "quiet", "condition": "absence", "signal": "mta_records", "by": ["customer"], "max_age": "2d"})
    heard = [Fact("delivered", {"customer": "acme"}, NOW - timedelta(hours=hours + extra), 1.0) for extra in (5, 0)]
    (verdict,) = judge(rule, MemoryEvidence(NOW, heard), NOW)
    assert (verdict.group, verdict.answer) == ((("customer", "acme"),), answer)
