"""Decisions about what warms up: how much is left, and hold with where to go instead once nothing is."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from monitor.gate import Effect, Providers, Restriction, build_index, decide, read_request
from monitor.gate.allowances import Allowance
from monitor.gate.explain import explain
from monitor.gate.limits import Left, key_of

NOW = datetime(2026, 1, 2, 3, tzinfo=UTC)
MIDNIGHT = datetime(2026, 1, 2, 8, tzinfo=UTC)
PROVIDERS = Providers({"gmail.com": "gmail"}, {"google": "gmail"})


def limit(left, *, cap=1000, pool="shared", provider="gmail", reserved=False, **scope):
    scope = {**(scope or {"ip": "192.0.2.7"}), "provider": provider}
    allowance = Allowance(f"alw-{'-'.join(scope.values())}", scope, cap, left == 0, pool, MIDNIGHT)
    return {key_of(scope): Left(allowance, left, reserved)}


def ask(limits, *restrictions, now=NOW, **about):
    index = build_index(restrictions, version=1, built_at=now, pools={"192.0.2.7": "new"}, providers=PROVIDERS, allowances=limits)
    fields = {"customer": "acme", "ip": "192.0.2.7", "recipient_domain": "gmail.com"} | about
    return decide(read_request({name: value for name, value in fields.items() if value is not None}), index, now)


def test_what_is_left_is_the_least_of_those_that_apply():
    limits = limit(120) | limit(80, domain="news.example") | limit(5, provider="yahoo")
    assert ask(limits).allowance_left == 120
    assert ask(limits, domain="news.example").allowance_left == 80
    assert ask(limits, recipient_domain="elsewhere.example").allowance_left is None
    assert ask({}).allowance_left is None
    assert (ask(limits).decision, ask(limits).pool) == ("send", "new")


def test_nothing_left_holds_and_says_where_the_mail_may_go_instead():
    decision = ask(limit(0))
    [reason] = decision.reasons
    assert (decision.decision, decision.allowance_left, decision.pool) == ("hold", 0, "shared")
    assert (reason.kind, reason.effect, reason.scope) == ("allowance", "hold", {"ip": "192.0.2.7", "provider": "gmail"})
    assert reason.until == MIDNIGHT
    assert decision.valid_until == NOW + timedelta(minutes=15)
    assert reason.lifts_when
    assert 30 <= decision.retry_after_seconds <= 900
    assert ask(limit(0, pool=None)).pool is None


def test_what_others_have_reserved_may_come_back_soon():
    decision = ask(limit(0, reserved=True))
    assert (decision.decision, decision.retry_after_seconds) == ("hold", 61)
    assert decision.valid_until == NOW + timedelta(seconds=60)


def test_explain_names_what_is_used_up_and_what_of_another_ip_is_not_met():
    index = build_index((), version=1, built_at=NOW, providers=PROVIDERS, allowances=limit(0) | limit(5, ip="192.0.2.8") | limit(0, ip="192.0.2.9"))
    request = read_request({"customer": "acme", "ip": "192.0.2.7", "recipient_domain": "gmail.com"})
    met, other = explain(request, index, NOW)
    assert (met.applies, met.restriction.kind, met.restriction.scope["ip"]) == (True, "allowance", "192.0.2.7")
    assert (other.applies, other.restriction.scope["ip"]) == (False, "192.0.2.9")


def test_the_end_of_the_day_ends_it_also_where_nobody_says_so():
    late = ask(limit(0), now=MIDNIGHT)
    assert (late.decision, late.allowance_left) == ("send", 1000)


def test_another_hold_stands_beside_and_no_pool_is_named_that_would_not_help():
    hold = Restriction("sus-1", {"customer": "acme"}, Effect.HOLD, "unpaid")
    decision = ask(limit(0), hold)
    assert (decision.decision, decision.pool, [reason.kind for reason in decision.reasons]) == ("hold", "new", ["allowance", "suspension"])
    slow = Restriction("sus-2", {"customer": "acme"}, Effect.SLOW, "slowly", rate_per_hour=10)
    slowed = ask(limit(0), slow)
    assert (slowed.decision, slowed.rate_per_hour, slowed.pool) == ("hold", None, "shared")
    assert ask(limit(3), slow).allowance_left == 3


def test_a_request_without_a_provider_is_not_held_and_hears_of_it():
    decision = ask(limit(0), recipient_domain=None)
    assert (decision.decision, decision.allowance_left) == ("send", None)
    assert "only to gmail" in decision.reasons[0].text


def test_a_domain_of_no_known_provider_is_also_one_of_the_others():
    assert ask(limit(0, provider="other"), recipient_domain="small.example").decision == "hold"


def test_new_numbers_are_used_by_what_was_remembered():
    index = build_index((), version=1, built_at=NOW, providers=PROVIDERS, allowances=limit(50))
    request = read_request({"customer": "acme", "ip": "192.0.2.7", "recipient_domain": "gmail.com"})
    assert decide(request, index, NOW).allowance_left == 50
    assert decide(request, replace(index, allowances=limit(0)), NOW).decision == "hold"
    assert decide(request, replace(index, allowances={}), NOW).decision == "send"
