from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.gate import (
    DIMENSIONS,
    Providers,
    ReasonKind,
    Request,
    Restriction,
    as_wire,
    build_index,
    decide,
)

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
PROVIDERS = Providers({"gmail.com": "gmail", "orange.fr": "orange"}, {"google": "gmail"})
ACME = Request(customer="acme", stream="news", ip="192.0.2.7", domain="example.com", recipient_domain="gmail.com")


def restriction(effect="hold", /, *, until=None, rate=None, **scope):
    name = "-".join(scope.values()) or "all"
    return Restriction(
        id=name, scope=scope, effect=effect, text=f"because of {name}", rate_per_hour=rate, until=until
    )


def index(*restrictions, **given):
    return build_index(restrictions, **({"version": 7, "built_at": NOW, "providers": PROVIDERS} | given))


def answer(request, *restrictions, now=NOW, **given):
    return decide(request, index(*restrictions, **given), now)


def test_nothing_in_force_lets_everything_through():
    decision = answer(ACME)
    assert (decision.decision, decision.reasons, decision.version) == ("send", (), 7)
    assert decision.valid_until == NOW + timedelta(minutes=15)


@pytest.mark.parametrize(
    "scope",
    [
        {},
        {"customer": "acme"},
        {"customer": "acme", "stream": "news"},
        {"ip": "192.0.2.7"},
        {"pool": "shared"},
        {"domain": "example.com"},
        {"provider": "gmail"},
        {"customer": "acme", "provider": "gmail", "ip": "192.0.2.7"},
        {"customer": "acme", "kind": "marketing"},
    ],
)
def test_a_restriction_applies_when_every_dimension_of_its_scope_is_met(scope):
    assert answer(ACME, restriction(**scope), pools={"192.0.2.7": "shared"}).decision == "hold"


@pytest.mark.parametrize(
    "scope",
    [
        {"customer": "bolt"},
        {"customer": "acme", "stream": "receipts"},
        {"customer": "acme", "campaign": "spring"},
        {"ip": "192.0.2.8"},
        {"pool": "other"},
        {"provider": "orange"},
        {"customer": "acme", "provider": "gmail", "ip": "192.0.2.8"},
        {"customer": "acme", "kind": "transactional"},
    ],
)
def test_a_restriction_with_one_dimension_not_met_does_not_apply(scope):
    assert answer(ACME, restriction(**scope), pools={"192.0.2.7": "shared"}).decision == "send"


def test_hold_beats_slow_and_both_are_explained():
    decision = answer(ACME, restriction("slow", rate=100, ip="192.0.2.7"), restriction(customer="acme"))
    assert decision.decision == "hold"
    assert [reason.effect for reason in decision.reasons] == ["hold", "slow"]
    assert decision.rate_per_hour is None


def test_of_several_slows_the_lowest_rate_counts():
    decision = answer(
        ACME,
        restriction("slow", rate=500, customer="acme"),
        restriction("slow", rate=100, ip="192.0.2.7"),
        restriction("slow", rate=900, provider="gmail"),
    )
    assert (decision.decision, decision.rate_per_hour, decision.retry_after_seconds) == ("slow", 100, None)


def test_of_several_slows_the_fewest_connections_count_and_a_hold_names_none():
    slow = restriction("slow", rate=500, customer="acme")
    few = [replace(slow, id=f"few-{number}", connections=number) for number in (5, 2)]
    assert answer(ACME, slow, *few).connections == 2
    assert "connections" not in as_wire(answer(ACME, slow))
    assert as_wire(answer(ACME, *few))["connections"] == 2
    assert answer(ACME, *few, restriction(ip="192.0.2.7")).connections is None


def test_every_restriction_that_meets_the_request_is_a_reason_and_says_what_ends_it():
    held = [replace(restriction(customer="acme"), id=str(number), text=f"hold {number}") for number in range(300)]
    slow = replace(restriction("slow", rate=5, customer="acme"), until=NOW + timedelta(hours=1))
    reasons = answer(ACME, slow, *held).reasons
    assert len(reasons) == 301
    assert {reason.text for reason in reasons} == {*(f"hold {number}" for number in range(300)), slow.text}
    assert [reasons[0].lifts_when, reasons[-1].lifts_when] == ["an operator lifts it", "its time is over"]


@pytest.mark.parametrize("kind", [kind for kind in ReasonKind if kind is not ReasonKind.STALE])
def test_a_restriction_of_any_kind_says_its_kind_and_what_lifts_it(kind):
    (reason,) = answer(ACME, replace(restriction(customer="acme"), kind=kind.value)).reasons
    assert reason.kind is kind
    assert reason.lifts_when


def test_what_is_remembered_of_a_request_changes_no_later_answer():
    soon, later = NOW + timedelta(minutes=1), NOW + timedelta(hours=1)
    rows = (restriction("slow", rate=7, customer="acme", until=later), restriction(customer="acme", ip="192.0.2.7", until=soon))
    held = index(*rows)
    for now in (NOW, NOW, soon, NOW, later, NOW):  # clocks are set back, too
        assert decide(ACME, held, now) == decide(ACME, index(*rows), now)


def test_an_expired_restriction_no_longer_counts_though_the_index_is_old():
    held = index(restriction(customer="acme", until=NOW + timedelta(seconds=60)))
    assert decide(ACME, held, NOW + timedelta(seconds=59)).decision == "hold"
    assert decide(ACME, held, NOW + timedelta(seconds=60)).decision == "send"


def test_an_answer_holds_no_longer_than_the_earliest_end_among_its_reasons():
    soon, later = NOW + timedelta(minutes=4), NOW + timedelta(minutes=40)
    decision = answer(ACME, restriction(customer="acme", until=later), restriction("slow", provider="gmail", until=soon))
    assert decision.valid_until == soon
    assert answer(ACME, restriction(customer="acme", until=later)).valid_until == NOW + timedelta(minutes=15)


@pytest.mark.parametrize(("ends_in", "retry"), [(1, 30), (299, 300), (7200, 900), (None, 600)])
def test_a_hold_says_when_asking_again_is_worth_it(ends_in, retry):
    until = NOW + timedelta(seconds=ends_in) if ends_in else None
    assert answer(ACME, restriction(customer="acme", until=until)).retry_after_seconds == retry


def test_the_pool_of_an_ip_comes_from_the_inventory_unless_the_sender_names_one():
    pools = {"192.0.2.7": "shared"}
    assert answer(ACME, pools=pools).pool == "shared"
    assert answer(replace(ACME, pool="named"), restriction(pool="shared"), pools=pools).decision == "send"


def test_a_restriction_on_marketing_spares_a_transactional_stream_and_stops_an_unknown_one():
    marketing = restriction(customer="acme", kind="marketing")
    kinds = {("acme", "receipts"): "transactional"}
    assert answer(replace(ACME, stream="receipts"), marketing, kinds=kinds).decision == "send"
    assert answer(replace(ACME, stream="new"), marketing, kinds=kinds).decision == "hold"
    assert answer(replace(ACME, stream=None), marketing, kinds=kinds).decision == "hold"


def test_a_request_without_provider_gets_restrictions_on_some_providers_as_reasons_but_is_not_stopped_by_them():
    request = replace(ACME, recipient_domain=None)
    decision = answer(request, restriction(customer="acme", provider="gmail"), restriction(customer="bolt", provider="gmail"))
    assert decision.decision == "send"
    assert [(reason.effect, dict(reason.scope)) for reason in decision.reasons] == [
        ("hold", {"customer": "acme", "provider": "gmail"})
    ]
    assert decision.reasons[0].text.startswith("only to gmail: ")


def test_a_recipient_domain_of_no_known_provider_is_its_own_provider_and_one_of_the_others():
    request = replace(ACME, recipient_domain="small.example.net")
    assert answer(request, restriction(provider="small.example.net")).decision == "hold"
    assert answer(request, restriction(provider="other", customer="acme")).decision == "hold"
    assert answer(request, restriction(provider="gmail")).decision == "send"
    assert answer(ACME, restriction(provider="other")).decision == "send"


def test_a_provider_is_recognised_by_any_of_its_names_and_a_domain_named_as_provider_is_one_of_the_others():
    request = replace(ACME, recipient_domain=None)
    for name in ("gmail", "google", "gmail.com"):
        assert answer(replace(request, provider=name), restriction(provider="gmail")).decision == "hold"
        assert answer(replace(request, provider=name), restriction(provider="other")).decision == "send"
    for scope in ("small.example.net", "other"):
        assert answer(replace(request, provider="small.example.net"), restriction(provider=scope)).decision == "hold"
    assert answer(replace(request, provider="unknown"), restriction(provider="other")).decision == "send"


def test_an_index_the_database_no_longer_confirms_says_so_and_still_decides():
    decision = answer(ACME, restriction(customer="acme"), now=NOW + timedelta(minutes=3))
    assert decision.decision == "hold"
    assert [reason.kind for reason in decision.reasons] == ["suspension", "stale"]
    assert answer(ACME, now=NOW + timedelta(minutes=3)).decision == "send"


def test_a_scope_or_effect_nobody_knows_is_refused():
    with pytest.raises(ValueError, match="unknown scope"):
        restriction(planet="mars")
    with pytest.raises(ValueError, match="unknown effect"):
        restriction("stop", customer="acme")
    with pytest.raises(ValueError, match="unknown kind"):
        replace(restriction(customer="acme"), kind="mood")


_values = st.sampled_from(["a", "b"])
_scopes = st.dictionaries(st.sampled_from(DIMENSIONS[:7]), _values, max_size=4)


@given(scopes=st.lists(_scopes, max_size=12), values=st.dictionaries(st.sampled_from(DIMENSIONS[1:7]), _values))
def test_the_index_finds_exactly_what_comparing_every_scope_would_find(scopes, values):
    request = Request(customer="a", **values)
    met = {"customer": "a"} | values
    expected = [scope for scope in scopes if all(met.get(name) == value for name, value in scope.items())]
    decision = answer(request, *(Restriction(str(i), scope, "hold", "x") for i, scope in enumerate(scopes)))
    reasons = [dict(reason.scope) for reason in decision.reasons if not reason.text.startswith("only to")]
    assert sorted(map(repr, map(sorted, (s.items() for s in reasons)))) == sorted(
        map(repr, map(sorted, (s.items() for s in expected)))
    )
    assert decision.decision == ("hold" if expected else "send")


def probing(share, /, **scope):
    return replace(restriction(**scope), probe=share)


def let_through(request, *restrictions, of=4000):
    known = index(*restrictions)
    return [n for n in range(of) if decide(replace(request, message=f"{n}"), known, NOW).decision == "send"]


def test_a_hold_lets_its_probe_through_and_every_process_the_same_messages():
    through = let_through(ACME, probing(0.05, customer="acme"))
    assert 120 < len(through) < 280
    assert through == let_through(ACME, probing(0.05, customer="acme"))
    assert through == let_through(ACME, probing(0.05, customer="acme", provider="gmail"))
    assert through != let_through(replace(ACME, campaign="spring"), probing(0.05, customer="acme"))
    decision = decide(replace(ACME, message=str(through[0])), index(probing(0.05, customer="acme")), NOW)
    assert [reason.effect for reason in decision.reasons] == ["send"]
    assert decision.reasons[0].text == "let through: because of acme; 5 % of its messages are let through, to be judged by"


def test_without_a_message_named_a_hold_holds():
    decision = answer(ACME, probing(0.99, customer="acme"))
    assert (decision.decision, decision.reasons[0].effect) == ("hold", "hold")


def test_of_several_holds_the_smallest_probe_counts_and_a_hold_without_one_holds_all():
    wide, narrow = probing(0.2, customer="acme"), probing(0.05, provider="gmail")
    assert let_through(ACME, wide, narrow) == let_through(ACME, narrow)
    assert let_through(ACME, wide, restriction(stream="news", customer="acme")) == []


def test_what_is_let_through_is_slowed_all_the_same():
    rows = [probing(0.5, customer="acme"), restriction("slow", rate=100, ip="192.0.2.7")]
    known = index(*rows)
    answers = {decide(replace(ACME, message=str(n)), known, NOW).decision for n in range(100)}
    assert answers == {"slow", "hold"}


@pytest.mark.parametrize(("effect", "probe"), [("slow", 0.1), ("hold", 0.0), ("hold", 1.0), ("hold", -1)])
def test_a_probe_that_makes_no_sense_is_refused(effect, probe):
    with pytest.raises(ValueError, match="probe is a share"):
        Restriction("sus-1", {"customer": "acme"}, effect, "why", 100 if effect == "slow" else None, probe)
