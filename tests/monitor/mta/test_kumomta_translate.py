"""Which of KumoMTA's queues and rates is a restriction, and which it cannot match. Pure."""

import tomllib
from datetime import UTC, datetime, timedelta

import pytest

from collectors.delivery.outcomes import Event, Outcome
from collectors.providers import shipped
from monitor.config.mta import KumoMta
from monitor.gate import Restriction
from monitor.gate.allowances import Allowance
from monitor.mta.kumomta.caps import Caps
from monitor.mta.kumomta.overlay import OverlayError, check, overlay
from monitor.mta.kumomta.seen import MOST_DOMAINS, Seen
from monitor.mta.kumomta.translate import NotExactError, Rate, ReadyKey, SchedKey, World, keys_of, translate
from tests.servers.kumod import Refused, strictly

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def delivered(domain, queue, source, mx, provider_name=None):
    return Event(Outcome.DELIVERED, NOW, f"u@{domain}", source=source, mx=mx, queue=f"{source}->{queue}@smtp_client", provider_name=provider_name)


def world(*, settings=None, **more):
    seen, table = Seen(), shipped()
    seen.learn([
        (delivered("gmail.com", "gmail", "ip-3", "gmail-smtp-in.l.google.com", "google"), "gmail", "192.0.2.7"),
        (delivered("workspace.example", "aspmx", "ip-3", "aspmx.l.google.com", "google"), "gmail", "192.0.2.7"),
        (delivered("gmail.com", "gmail", "ip-4", "gmail-smtp-in.l.google.com", "google"), "gmail", "192.0.2.8"),
        (delivered("tiny.example", "mx.tiny.example", "ip-3", "mx.tiny.example"), "other", "192.0.2.7"),
    ], table, NOW)
    return World(settings or KumoMta(), table, seen, pools={"192.0.2.7": "acme", "192.0.2.8": "acme", "192.0.2.9": "shared"}, **more)


def restriction(scope, effect="hold", **more):
    return Restriction(id=more.pop("id", "sus-1"), scope=scope, effect=effect, text="too many complaints", **more)


@pytest.mark.parametrize(
    ("scope", "keys"),
    [
        ({"customer": "acme"}, [SchedKey(None, None, "acme")]),
        ({"campaign": "nl-1"}, [SchedKey("nl-1", None, None)]),
        ({"customer": "acme", "campaign": "nl-1"}, [SchedKey("nl-1", None, "acme")]),
        ({"customer": "acme", "provider": "gmail"}, [SchedKey(None, domain, "acme") for domain in ("gmail.com", "googlemail.com", "workspace.example")]),
        ({"provider": "tiny.example"}, [SchedKey(None, "tiny.example", None)]),
        ({"customer": "acme", "provider": "other"}, [SchedKey(None, "tiny.example", "acme")]),
        ({"ip": "192.0.2.7", "provider": "gmail"}, [ReadyKey("ip-3->aspmx@smtp_client", "ip-3"), ReadyKey("ip-3->gmail@smtp_client", "ip-3")]),
        ({"ip": "192.0.2.8"}, [ReadyKey("ip-4->gmail@smtp_client", "ip-4")]),
        ({"pool": "acme", "provider": "other"}, [ReadyKey("ip-3->mx.tiny.example@smtp_client", "ip-3")]),
        ({"pool": "acme", "ip": "192.0.2.9"}, []),
        ({"ip": "192.0.2.9"}, []),
    ],
)
def test_a_scope_is_exactly_these_queues(scope, keys):
    assert keys_of(scope, world()) == keys


@pytest.mark.parametrize(
    "scope",
    [{}, {"domain": "acme.example"}, {"customer": "acme", "domain": "acme.example"}, {"customer": "acme", "stream": "news"},
     {"customer": "acme", "kind": "marketing"}, {"kind": "marketing"}, {"customer": "acme", "ip": "192.0.2.7"}, {"ip": "192.0.2.7", "kind": "marketing"},
     {"ip": "192.0.2.7", "provider": "tiny.example"}],
)  # fmt: skip
def test_a_scope_that_cannot_be_matched_is_refused_with_a_reason(scope):
    with pytest.raises(NotExactError):
        keys_of(scope, world())
    wanted = translate([restriction(scope)], world(), NOW)
    assert (dict(wanted.suspensions), wanted.rates, [row.id for row in wanted.unspoken]) == ({}, (), ["sus-1"])


def test_no_suspension_is_ever_without_a_criterion():
    every = [{}, {"kind": "marketing"}, {"stream": "news"}, {"domain": "x.example"}, {"provider": "other"}, {"provider": "gmail"}]
    for settings in (KumoMta(), KumoMta(mapping={"customer": "pool", "campaign": None}), KumoMta(mapping={"customer": None, "stream": "campaign"})):
        for scope in every:
            wanted = translate([restriction(scope)], world(settings=settings), NOW)
            assert SchedKey(None, None, None) not in wanted.suspensions


def test_streams_are_spoken_where_the_name_of_the_queue_shows_them():
    mapped = world(settings=KumoMta(mapping={"stream": "campaign", "campaign": None}),
                   kinds={("acme", "news"): "marketing", ("acme", "receipts"): "transactional", ("bolt", "offers"): "marketing"})
    assert keys_of({"customer": "acme", "stream": "news"}, mapped) == [SchedKey("news", None, "acme")]
    assert keys_of({"customer": "acme", "kind": "marketing"}, mapped) == [SchedKey("news", None, "acme")]
    with pytest.raises(NotExactError, match="do not show the campaign"):
        keys_of({"customer": "acme", "campaign": "nl-1"}, mapped)


def test_restrictions_on_one_scope_are_merged_the_latest_end_counts():
    rows = [restriction({"customer": "acme"}, id="sus-1", until=NOW + timedelta(hours=1), incident="inc-1"),
            restriction({"customer": "acme"}, id="sus-2", until=NOW + timedelta(hours=3)),
            restriction({"customer": "acme"}, id="sus-0", until=NOW)]
    (suspension,) = translate(rows, world(address="https://vigie.example"), NOW).suspensions.values()
    assert (suspension.ids, suspension.until) == (("sus-1", "sus-2"), NOW + timedelta(hours=3))
    assert suspension.reason == "too many complaints (https://vigie.example/incidents/inc-1); too many complaints"
    (suspension,) = translate([*rows, restriction({"customer": "acme"}, id="sus-3")], world(), NOW).suspensions.values()
    assert suspension.until is None


def test_slow_is_a_named_rate_divided_among_the_nodes():
    nodes = {f"mx{number}": {"token": f"token-of-mx{number}"} for number in range(4)}
    rows = [restriction({"ip": "192.0.2.7"}, "slow", rate_per_hour=960)]
    assert [(rate.source, rate.spec) for rate in translate(rows, world(settings=KumoMta(nodes=nodes)), NOW).rates] == [("ip-3", "240/h,max_burst=10")]
    shared = world(settings=KumoMta(nodes=nodes, shared_throttles=True))
    assert [rate.spec for rate in translate(rows, shared, NOW).rates] == ["960/h,max_burst=40"]
    slowest = translate([restriction({"ip": "192.0.2.7"}, "slow", rate_per_hour=3)], world(settings=KumoMta(nodes=nodes)), NOW)
    assert (slowest.rates, len(slowest.unspoken)) == ((), 1)  # KumoMTA knows no rate of 0


def test_a_slow_customer_is_not_spoken():
    wanted = translate([restriction({"customer": "acme"}, "slow", rate_per_hour=10)], world(), NOW)
    assert [row.why for row in wanted.unspoken] == ["KumoMTA's shaping knows no customer"]


# ── the overlay ──


def test_an_overlay_of_any_rates_can_be_read_by_kumod():
    rates = [
        Rate("vigie-1", 480, "h", 'a "reason"\nin = two lines', ("sus-1",), NOW, 'ip "3"', "google"),
        Rate("vigie-2", 2_000, "d", "warm-up", ("alw-1",), None, "ip-9", "google", shared=True),
        Rate("vigie-3", 10, "h", "x", ("sus-3",), None, None, None, ("a.example", "b.example", "nodots", 'bad"name.example')),
        Rate("vigie-4", 5, "h", "x", ("sus-4",), None),
        Rate("vigie-5", 5, "h", "x", ("sus-5",), None, "ip-9", None, ("a.example",)),
    ]
    text = overlay(rates, denominators=True)
    parsed = strictly(text)
    assert parsed["provider"]["google"]["sources"]["ip-9"] == {"provider_source_selection_rate": "2000/d,max_burst=83"}
    assert parsed["a.example"] == {"mx_rollup": True, "additional_message_rate_throttles": {"vigie-3": "10/h,max_burst=1"},
                                   "sources": {"ip-9": {"additional_source_selection_rates": {"vigie-5": "5/h,max_burst=1"}}}}
    assert parsed["default"]["additional_message_rate_throttles"] == {"vigie-4": "5/h,max_burst=1"}
    assert text.endswith("# Number of entries: 6\n")
    assert text == overlay(reversed(rates), denominators=True)
    assert tomllib.loads(overlay((), denominators=False)) == {}


@pytest.mark.parametrize(
    "text",
    ["[", '["a.example"]\nmax_conection_rate = "1/h"', '["default"]\nadditional_message_rate_throttles.x = "0/h"', "[nodots]\nmx_rollup = true",
     '["default"]\nadditional_message_rate_throttles.x = "1/fortnight"', '["default"]\nadditional_message_rate_throttles.x = 5',
     "default = 1", '["default".sources]\nx = 1', '["default"]\nadditional_message_rate_throttles.x = "5/h,max_burst=0"'],
)  # fmt: skip
def test_what_kumod_would_refuse_is_never_served(text):
    with pytest.raises(OverlayError):
        check(text)
    with pytest.raises((Refused, AttributeError)):
        strictly(text)


def test_a_source_that_cannot_be_written_is_an_error_and_no_half_text():
    with pytest.raises(OverlayError):
        overlay([Rate("vigie-1", 5, "h", "x", ("sus-1",), None, "a\nb")], denominators=True)


# ── warm-up ──


def allowance(cap=2_000, scope=None, exhausted=False, resets_at=NOW + timedelta(hours=8), **more):
    return Allowance("alw-1", scope or {"ip": "192.0.2.7", "provider": "gmail"}, cap, exhausted, None, resets_at, **more)


def test_a_cap_is_a_sources_own_rate_at_the_provider_and_changes_only_with_the_day():
    caps, here = Caps(), world()
    (rate,), used_up, _ = caps([allowance()], here, NOW)
    assert (rate.source, rate.provider, rate.spec, rate.shared, used_up) == ("ip-3", "google", "2000/d,max_burst=83", True, {})
    later = NOW + timedelta(hours=7)
    assert caps([allowance(cap=4_000)], here, later)[0][0].spec == "2000/d,max_burst=83"
    assert caps([allowance(cap=500)], here, later)[0][0].spec == "2000/d,max_burst=83"
    next_day = NOW + timedelta(hours=9)
    assert caps([allowance(cap=4_000, resets_at=NOW + timedelta(hours=32))], here, next_day)[0][0].spec == "4000/d,max_burst=166"


def test_where_nothing_is_left_the_ready_queues_wait_until_the_day_is_over():
    rates, used_up, _ = Caps()([allowance(exhausted=True)], world(), NOW)
    assert {key.source for key in used_up} == {"ip-3"}
    assert {each.until for each in used_up.values()} == {NOW + timedelta(hours=8)}
    assert strictly(overlay(rates, denominators=False))
    rates, used_up, unspoken = Caps()([allowance(scope={"domain": "acme.example", "provider": "gmail"})], world(), NOW)
    assert (rates, used_up, len(unspoken)) == ([], {}, 1)


# ── what was seen ──


def test_a_queue_with_the_mail_of_two_providers_is_neithers():
    here = world()
    here.seen.learn([(delivered("orange.fr", "gmail", "ip-3", None), "orange", "192.0.2.7")], here.providers, NOW)
    assert [key.name for key in keys_of({"ip": "192.0.2.7", "provider": "gmail"}, here)] == ["ip-3->aspmx@smtp_client"]


def test_what_was_seen_is_bounded_and_forgotten_and_said():
    seen = Seen()
    seen.learn([(delivered(f"d{number}.example", "x", "ip-3", None), "other", None) for number in range(MOST_DOMAINS + 7)], shipped(), NOW)
    seen.forget(NOW)
    assert (len(seen.domains("other")), seen.left_out()) == (MOST_DOMAINS, {"other": 7})
    copy = Seen()
    copy.merge(seen.as_json())
    assert copy.as_json() == seen.as_json()
    seen.forget(NOW + timedelta(days=15))
    assert (seen.domains("other"), seen.queues({None})) == ([], [])
