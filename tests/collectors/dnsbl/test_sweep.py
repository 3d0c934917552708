"""Sweeps against real sockets: canaries, texts, budgets, resolvers, and one result for every pair."""

from datetime import UTC, datetime, timedelta

import pytest

from collectors.clients.dns import Pace, Server
from collectors.contract import Reason
from collectors.dnsbl.budget import Budget
from collectors.dnsbl.canary import Canaries, Fault, Health, network_fault
from collectors.dnsbl.catalogue import DnsList, Operator
from collectors.dnsbl.pacers import Pacers
from collectors.dnsbl.question import Zone, parse_target
from collectors.dnsbl.sweep import Resolvers, Sweep
from tests.servers.dns import DnsblServer
from tests.servers.dns_hostile import Hostile, clean, listed
from tests.waiting import PATIENCE_SECONDS

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PACE = Pace(timeout_seconds=PATIENCE_SECONDS)  # where every question is answered
SHORT = Pace(timeout_seconds=0.2)  # where none is
MIXED = Pace(timeout_seconds=2)  # where some are


def entry(name="bl", **fields):
    usual = {
        "id": name, "zone": f"{name}.example.net", "positive_test": "127.0.0.2", "negative_test": "127.0.0.1",
        "codes": {"127.0.0.2": {"meaning": "spam", "severity": "high"}},
    }
    return DnsList.model_validate(usual | fields)


def sweep(port, lists, targets, *, keys=None, **options):
    zones = [Zone(each, (keys or {}).get(each.id)) for each in lists]
    resolvers = options.pop("resolvers", None) or Resolvers((Server("127.0.0.1", port),))
    order = options.pop("order", [])
    pacers, now = Pacers(lists, options.pop("operators", {})), options.pop("now", NOW)
    round_ = Sweep(resolvers, pacers=pacers, **{"pace": PACE, "canaries": Canaries()} | options)
    parsed = [parse_target(target) for target in targets]
    results = [r for chunk in round_.run({z.entry.id: parsed for z in zones}, zones, now) for r in chunk]
    order += [(r.target.name, r.entry.id) for r in results]
    assert len(results) == len({(r.target, r.entry.id) for r in results}) == len(parsed) * len(zones)
    return {(r.target.name, r.entry.id): r for r in results}, round_


def words(results):
    return {pair: (r.verdict.word, r.verdict.reason) for pair, r in results.items()}


def test_listed_and_clean_targets_of_every_kind_are_recognised():
    with DnsblServer({"bl.example.net": {"192.0.2.7": ["127.0.0.2"], "2001:db8::7": ["127.0.0.2"], "xn--exmple-cua.com": ["127.0.0.2"]}}) as server:
        everything = entry(targets=["ipv4", "ipv6", "domain"])
        targets = ["192.0.2.7", "192.0.2.8", "2001:db8::7", "2001:db8::8", "exämple.com", "example.com"]
        results, round_ = sweep(server.start(), [everything], targets)
        assert [word for word, _ in words(results).values()].count("listed") == 3
        assert {name for (name, _), (word, _) in words(results).items() if word == "listed"} == {
            "192.0.2.7", "2001:db8::7", "xn--exmple-cua.com"}
        assert not round_.faults


def test_the_text_is_asked_for_hits_only_and_its_failure_changes_nothing():
    with DnsblServer({"bl.example.net": {"192.0.2.9": ["127.0.0.2"]}}) as server:
        server.list("bl.example.net", "192.0.2.7", ["127.0.0.2"], "see https://example.net/7\x1b[31m")
        results, _ = sweep(server.start(), [entry()], ["192.0.2.7", "192.0.2.8", "192.0.2.9"])
        assert results["192.0.2.7", "bl"].text == "see https://example.net/7 [31m"
        assert results["192.0.2.9", "bl"].verdict.listed
        assert results["192.0.2.9", "bl"].text is None
    with Hostile({"bl.example.net": lambda q: None if q.rdtype == 16 else listed(q)}) as server:
        results, _ = sweep(server.port, [entry()], ["192.0.2.7"], canaries=None, pace=MIXED)
        assert results["192.0.2.7", "bl"].verdict.listed
        assert results["192.0.2.7", "bl"].text is None


def test_a_key_is_asked_with_and_never_shown():
    zone = "sesame.dqs.example.net"
    dqs = entry("dqs", needs_key=True)
    with DnsblServer({zone: {}}) as server:
        server.list(zone, "192.0.2.7", ["127.0.0.2"], "https://example.net/7.2.0.192.SESAME.dqs")
        port = server.start()
        results, round_ = sweep(port, [dqs], ["192.0.2.7"], keys={"dqs": "Sesame"})
        assert results["192.0.2.7", "dqs"].text == "https://example.net/7.2.0.192.<key>.dqs"
        assert "sesame" not in repr((results, round_.healths)).lower()
        results, round_ = sweep(port, [dqs], ["192.0.2.7"])
        assert words(results) == {("192.0.2.7", "dqs"): ("unknown", "key_missing")}
        assert round_.asked_count == 0


def test_what_a_list_cannot_hold_is_not_asked():
    with Hostile({"bl.example.net": listed}) as server:
        results, _ = sweep(server.port, [entry()], ["2001:db8::1", "example.com"])
        assert set(words(results).values()) == {("unknown", "unsupported_target")}
        assert server.asked == []


def test_a_dead_list_is_not_asked_and_its_state_says_why():
    dead = entry(status="dead", dead={"error": "bl.example.net is dead (2020): gone"}, replaced_by="other")
    with Hostile({"bl.example.net": listed}) as server:
        results, _ = sweep(server.port, [dead], ["192.0.2.7"])
        verdict = results["192.0.2.7", "bl"].verdict
        assert (verdict.reason, verdict.why) == ("dead", "bl.example.net is dead (2020): gone; use other instead")
        assert server.asked == []


def test_a_name_too_long_for_the_zone_is_unsupported():
    long = ".".join(["a" * 63] * 3 + ["b" * 57])
    with DnsblServer({"bl.example.net": {}}) as server:
        results, _ = sweep(server.start(), [entry(targets=["domain"], positive_test="TEST", negative_test="INVALID")], [long])
        assert words(results) == {(long, "bl"): ("unknown", "unsupported_target")}


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        (clean, "canary_failed"),  # lists nothing: rebinding protection, a silent refusal
        (listed, "canary_failed"),  # lists everything
        (lambda q: listed(q, "127.255.255.254"), "refused"),
        (lambda q: listed(q, "127.0.0.1"), "refused"),
        (lambda q: listed(q, "203.0.113.9"), "rewritten"),
        (lambda q: [q.reply(rcode=2)], "servfail"),
        (lambda q: [q.reply(rcode=5)], "refused"),
        (lambda q: None, "timeout"),
        (lambda q: listed(q) if q.name.startswith(("2.0.0.127.", "1.0.0.127.")) else clean(q), "canary_failed"),
        (lambda q: clean(q) if q.name.startswith("1.0.0.127.") else listed(q), "canary_failed"),
        (lambda q: listed(q, "127.0.0.99") if q.name.startswith("9.2.") else clean(q), "canary_failed"),
        (lambda q: listed(q) if q.name.startswith("2.0.0.127.") else [q.reply(rcode=2)], "servfail"),
        (lambda q: listed(q) if q.name.startswith("2.0.0.127.") else None, "timeout"),
    ],
)
def test_a_list_that_fails_its_canary_knows_nothing(behaviour, reason):
    with Hostile({"bl.example.net": behaviour}) as server:
        pace = SHORT if reason == "timeout" else PACE
        results, _ = sweep(server.port, [entry()], ["192.0.2.7", "192.0.2.8"], pace=pace)
        assert set(words(results).values()) == {("unknown", reason)}
        assert not any(".2.0.192." in query.name for query in server.asked)


def test_the_exact_answers_of_a_test_point_are_checked_where_they_are_known():
    exact = entry(pos_answers=["127.0.0.2", "127.0.0.4"], codes={"127.0.0.*": "x"})
    for codes, word in [(["127.0.0.4", "127.0.0.2", "127.0.0.9"], "not_listed"), (["127.0.0.2"], "unknown")]:
        with DnsblServer({"bl.example.net": {"127.0.0.2": codes}}) as server:
            results, _ = sweep(server.start(), [exact], ["192.0.2.7"])
            assert results["192.0.2.7", "bl"].verdict.word == word


def test_a_wildcard_under_a_domain_list_is_found_by_a_random_label():
    points = ("test.", "invalid.")
    with Hostile({"bl.example.net": lambda q: clean(q) if q.name.startswith("invalid.") else listed(q)}) as server:
        domains = entry(targets=["domain"], positive_test="TEST", negative_test="INVALID")
        results, _ = sweep(server.port, [domains], ["example.com"])
        assert words(results) == {("example.com", "bl"): ("unknown", "canary_failed")}
        (random_one,) = [query.name for query in server.asked if not query.name.startswith(points)]
        assert random_one.split(".")[0].isalnum()


def test_canaries_are_remembered_for_half_an_hour():
    with Hostile({"bl.example.net": lambda q: listed(q) if q.name.startswith("2.0.0.127.") else clean(q)}) as server:
        canaries = Canaries()
        for minutes, count in [(0, 2), (29, 1), (60, 2)]:  # a check before, unless the last one is fresh, and one after
            before = len(server.asked)
            sweep(server.port, [entry()], ["192.0.2.8"], canaries=canaries, now=NOW + timedelta(minutes=minutes))
            assert len(server.asked) - before == 3 * count + 1


def test_bad_health_is_asked_anew_so_that_a_list_comes_back_at_once():
    state = {"ill": True}
    with Hostile({"bl.example.net": lambda q: listed(q) if q.name.startswith("2.0.0.127.") and not state["ill"] else clean(q)}) as server:
        canaries = Canaries()
        results, _ = sweep(server.port, [entry()], ["192.0.2.8"], canaries=canaries)
        assert words(results) == {("192.0.2.8", "bl"): ("unknown", "canary_failed")}
        state["ill"] = False
        results, _ = sweep(server.port, [entry()], ["192.0.2.8"], canaries=canaries, now=NOW + timedelta(minutes=1))
        assert words(results) == {("192.0.2.8", "bl"): ("not_listed", None)}


def test_a_list_is_asked_through_the_resolver_that_answers_truly():
    good = DnsblServer({"bl.example.net": {"192.0.2.7": ["127.0.0.2"]}})
    with Hostile({"bl.example.net": clean}) as lying, good:
        resolvers = Resolvers((Server("127.0.0.1", lying.port), Server("127.0.0.1", good.start())))
        results, _ = sweep(0, [entry()], ["192.0.2.7"], resolvers=resolvers)
        assert results["192.0.2.7", "bl"].verdict.listed


def test_a_list_may_have_a_resolver_of_its_own():
    mirror = DnsblServer({"own.example.net": {"192.0.2.7": ["127.0.0.2"]}})
    with Hostile({"bl.example.net": lambda q: listed(q) if q.name.startswith("2.0.0.127.") else clean(q)}) as usual, mirror:
        resolvers = Resolvers((Server("127.0.0.1", usual.port),), {"own*": (Server("127.0.0.1", mirror.start()),)})
        results, _ = sweep(0, [entry("own"), entry("bl")], ["192.0.2.7"], resolvers=resolvers)
        assert words(results) == {("192.0.2.7", "own"): ("listed", None), ("192.0.2.7", "bl"): ("not_listed", None)}


def health(reason):
    """`REFUSED`: by rcode, so the list was not reached; `refused`: by a code of the list."""
    reached = reason in (None, "refused", "rewritten", "canary_failed")
    return Health(reason and Reason(reason.lower()), reason, NOW, reached=reached)


@pytest.mark.parametrize(
    ("reasons", "fault"),
    [
        ([None] * 6, None),
        (["timeout"] * 4 + [None] * 2, "timeout"),
        (["timeout"] * 3 + [None] * 3, None),
        (["timeout", "servfail", "canary_failed", "rewritten", None], None),
        (["timeout", "servfail", "REFUSED", "timeout", None, None], "timeout"),
        (["REFUSED"] * 6, "refused"),
        (["refused"] * 6, "refused"),
        (["refused"] * 3 + ["REFUSED"] * 3, None),
        (["timeout"] * 3 + [None], None),
        (["timeout", "servfail"], "timeout"),
        (["timeout"], None),
        (["canary_failed"] * 4, None),
        (["rewritten"] * 5, "rewritten"),
    ],
)
def test_most_lists_failing_alike_is_our_own_network(reasons, fault):
    server = Server("127.0.0.1", 53)
    healths = {(f"list{n}", server): health(reason) for n, reason in enumerate(reasons)}
    faults = network_fault(healths, {f"list{n}": f"operator{n}" for n in range(6)})
    assert {server: each.reason for server, each in faults.items()} == ({server: fault} if fault else {})


def test_few_lists_say_nothing_of_the_network_while_others_are_known():
    server = Server("127.0.0.1", 53)
    healths = {(f"list{n}", server): health("timeout") for n in range(3)}
    assert network_fault(healths, {f"list{n}": f"operator{n}" for n in range(3)}, known_count=9) == {}


def test_a_fault_explains_what_fails_in_its_way_only():
    unreached, rewritten = Fault(Reason.TIMEOUT, reached=False), Fault(Reason.REWRITTEN, reached=True)
    assert [unreached.explains(health(reason)) for reason in ("timeout", "REFUSED", "refused", "rewritten", None)] == [
        True, True, False, False, False]
    assert [rewritten.explains(health(reason)) for reason in ("rewritten", "timeout", None)] == [True, False, False]


def test_one_operators_outage_is_not_our_network():
    server = Server("127.0.0.1", 53)
    healths = {(f"list{n}", server): health("timeout" if n < 5 else None) for n in range(7)}
    assert network_fault(healths, {f"list{n}": "Acme" if n < 5 else f"operator{n}" for n in range(7)}) == {}


def test_answers_during_a_fault_of_our_own_are_unknown_for_that_reason():
    zones = {f"l{n}.example.net": (lambda q: None) for n in range(4)}
    healthy = {"l9.example.net": lambda q: listed(q) if q.name.startswith(("2.0.0.127.", "7.2.")) else clean(q)}
    with Hostile(zones | healthy) as server:
        results, round_ = sweep(server.port, [entry(f"l{n}") for n in (0, 1, 2, 3, 9)], ["192.0.2.7"], pace=MIXED)
        assert {reason for _, reason in words(results).values()} == {"network", None}
        assert results["192.0.2.7", "l9"].verdict.listed
        assert [fault.reason for fault in round_.faults.values()] == ["timeout"]


def test_the_budget_of_an_operator_is_shared_by_its_lists_and_ends():
    zones = {"a.example.net": {}, "b.example.net": {}}
    with DnsblServer(zones) as server:
        budget = Budget({"Acme": 3})
        lists = [entry("a", operator="Acme"), entry("b", operator="Acme")]
        results, _ = sweep(server.start(), lists, ["192.0.2.1", "192.0.2.2"], canaries=None, budget=budget)
        assert sorted(word for word, _ in words(results).values()) == ["not_listed"] * 3 + ["unknown"]
        assert [reason for _, reason in words(results).values() if reason] == ["budget"]
        assert server.asked_count == 3


def test_an_operator_is_not_asked_faster_than_it_wants():
    with DnsblServer({"bl.example.net": {}}) as server:
        port, started = server.start(), datetime.now(UTC)
        operators = {"Acme": Operator(max_qps=50)}
        targets = [f"192.0.2.{n}" for n in range(10)]
        sweep(port, [entry(operator="Acme")], targets, canaries=None, operators=operators)
        assert datetime.now(UTC) - started >= timedelta(seconds=0.18)


def test_a_budget_counts_days_and_remembers_what_was_saved():
    budget = Budget({"Acme": 10})
    budget.begin(NOW.date(), {"day": "2026-01-01", "spent": {"Acme": 7}})
    assert budget.take("Acme", 3)
    assert not budget.take("Acme")
    assert budget.take("Bolt", 1000)
    assert budget.saved() == {"day": "2026-01-01", "spent": {"Acme": 10, "Bolt": 1000}}
    budget.begin(NOW.date() + timedelta(days=1), budget.saved())
    assert budget.take("Acme")
    assert budget.stretched("Acme", 90) == timedelta(days=10)
    assert budget.stretched("Bolt", 90) == timedelta(0)


def test_a_stop_among_the_canaries_leaves_nothing_half_known():
    with Hostile({"bl.example.net": lambda q: None}) as server:
        canaries, zone = Canaries(), Zone(entry())
        resolvers = Resolvers((Server("127.0.0.1", server.port),))
        round_ = Sweep(resolvers, pacers=Pacers([zone.entry], {}), pace=PACE, canaries=canaries)
        assert list(round_.run({"bl": [parse_target("192.0.2.7")]}, [zone], NOW, stopping=lambda: bool(server.asked))) == []
        assert round_.healths == {}
