from datetime import UTC, datetime, timedelta

from monitor.gate import Providers, Request, Restriction, build_index, decide
from monitor.gate.explain import explain

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
MAIL = Request(customer="acme", stream="news", ip="192.0.2.7", recipient_domain="small.example")


def explained(*scopes, until=None, now=NOW):
    rows = [Restriction(str(number), scope, "hold", "x", until=until) for number, scope in enumerate(scopes)]
    index = build_index(rows, version=1, built_at=NOW, pools={"192.0.2.7": "shared"}, providers=Providers({"gmail.com": "gmail"}))
    return explain(MAIL, index, now), decide(MAIL, index, now)


def test_every_restriction_is_considered_and_those_that_apply_are_those_the_decision_names():
    scopes = [{"customer": "bolt"}, {"customer": "acme"}, {"pool": "shared"}, {"provider": "other"}, {"provider": "gmail"},
              {"kind": "marketing"}, {"customer": "acme", "campaign": "spring"}, {"customer": "bolt", "ip": "192.0.2.8"}]
    considered, decision = explained(*scopes)
    assert len(considered) == len(scopes)
    applying = [dict(each.restriction.scope) for each in considered if each.applies]
    assert sorted(map(str, applying)) == sorted(str(dict(reason.scope)) for reason in decision.reasons)
    assert applying == [{"customer": "acme"}, {"pool": "shared"}, {"provider": "other"}, {"kind": "marketing"}]


def test_what_does_not_apply_says_what_it_misses_or_what_the_request_does_not_say_the_nearest_first():
    considered, _ = explained({"customer": "bolt", "ip": "192.0.2.8"}, {"customer": "acme", "campaign": "spring"}, {"customer": "bolt"})
    assert [(each.misses, each.asks) for each in considered] == [((), ("campaign",)), (("customer",), ()), (("customer", "ip"), ())]


def test_one_whose_time_is_over_does_not_apply():
    considered, decision = explained({"customer": "acme"}, until=NOW + timedelta(minutes=1), now=NOW + timedelta(minutes=1))
    assert [(each.ended, each.applies) for each in considered] == [(True, False)]
    assert decision.decision == "send"
