"""The collector over a list server on loopback: facts, rhythm, budget, faults."""

import collections
import json
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from collectors.contract import CollectorError, Reason, Target
from collectors.dnsbl import Dnsbl
from collectors.dnsbl.collector import DnsblSettings
from collectors.observation import Subject
from tests.servers.dns import DnsblServer
from tests.servers.dns_hostile import Hostile, a, clean, listed

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
ACME = Target("192.0.2.7", "ipv4", customer="acme")
BOLT = Target("192.0.2.8", "ipv4", customer="bolt")
SITE = Target("Example.com", "domain", customer="acme")
CODES = {"127.0.0.2": {"meaning": "spam", "severity": "high"}}
IPS = {"id": "bl", "zone": "bl.example.net", "positive_test": "127.0.0.2", "codes": CODES, "weight": 0.8, "isps": ["Example"]}
DOMAINS = {"id": "dbl", "zone": "dbl.example.net", "positive_test": "TEST", "targets": ["domain"], "codes": CODES}
SCORES = {
    "id": "score", "zone": "score.example.net", "kind": "score", "code_style": "score", "codes": {"127.0.4.*": "score"},
    "score": {"prefix": "127.0.4", "max": 100},
}


class World:
    """What the monitor hands in."""

    def __init__(self, *targets, secrets=None):
        self.ours = targets
        self.secrets = secrets or {}
        self.saved = {}
        self.stop = False

    def targets(self):
        return self.ours

    def cursor(self, name):
        return self.saved.get(name)

    def secret(self, name):
        if name not in self.secrets:
            raise CollectorError(Reason.KEY_MISSING, name)
        return self.secrets[name]

    def stopping(self):
        return self.stop

    def take(self, collector, now=NOW):
        self.seen = []
        for batch in collector.collect(self, now):
            self.saved[batch.cursor_name] = json.loads(json.dumps(batch.cursor))
            self.seen.append(batch)
        return self.seen


@pytest.fixture
def server():
    zones = {"bl.example.net": {"192.0.2.7": ["127.0.0.2"]}, "k7.bl.example.net": {"192.0.2.7": ["127.0.0.2"]}, "dbl.example.net": {}, "score.example.net": {"192.0.2.7": ["127.0.4.73"]}}
    with DnsblServer(zones, ttl_seconds=300, negative_ttl_seconds=60) as running:
        running.start()
        yield running


@pytest.fixture
def make(server, tmp_path):
    def build(*lists, **settings):
        path = tmp_path / "lists.json"
        path.write_text(json.dumps({"lists": lists or [IPS, DOMAINS], **settings.pop("file", {})}))
        usual = {"resolvers": (f"127.0.0.1:{server.port}",), "catalogue": path, "timeout_seconds": 20}
        return Dnsbl(Dnsbl.Settings(**(usual | settings)))

    return build


def observations(batches, measure="listing"):
    return {observation.subject: observation for batch in batches for observation in batch.observations if observation.measure == measure}


def test_listings_are_facts_about_our_addresses_and_domains(make):
    seen = observations(World(ACME, BOLT, SITE).take(make()))
    assert {subject: observation.value for subject, observation in seen.items()} == {
        Subject(customer="acme", ip="192.0.2.7", dnsbl="bl"): 1.0,
        Subject(customer="bolt", ip="192.0.2.8", dnsbl="bl"): 0.0,
        Subject(customer="acme", domain="example.com", dnsbl="dbl"): 0.0,
    }
    listing = seen[Subject(customer="acme", ip="192.0.2.7", dnsbl="bl")]
    assert listing.detail["codes"] == ["127.0.0.2"]
    assert {"severity": "high", "weight": 0.8, "ttl_seconds": 300}.items() <= listing.detail.items()
    json.dumps(listing.detail)


def test_score_lists_give_numbers_and_no_listings(make):
    batches = World(ACME, BOLT).take(make(SCORES))
    assert observations(batches) == {}
    scores = observations(batches, "list_score")
    assert {(subject.ip, observation.value, observation.reason) for subject, observation in scores.items()} == {
        ("192.0.2.7", 73.0, None), ("192.0.2.8", None, "no_data")}


def test_the_canary_of_every_list_and_our_own_network_are_facts(make):
    canaries = observations(World(ACME, SITE).take(make()), "canary")
    assert {(subject.dnsbl, subject.collector): observation.value for subject, observation in canaries.items()} == {
        ("bl", "dnsbl"): 1.0, ("dbl", "dnsbl"): 1.0, (None, "dnsbl"): 1.0}


def test_what_is_not_due_is_not_asked_again(make, server):
    world, collector = World(ACME, BOLT), make(IPS)
    world.take(collector)
    server.list("bl.example.net", "192.0.2.8")
    assert observations(world.take(collector, NOW + timedelta(seconds=59))) == {}
    after = observations(world.take(collector, NOW + timedelta(seconds=61)))
    assert [(subject.ip, observation.value) for subject, observation in after.items()] == [("192.0.2.8", 1.0)]
    assert len(observations(world.take(collector, NOW + timedelta(seconds=301)))) == 1
    server.clear("bl.example.net", "192.0.2.7")
    later = observations(world.take(collector, NOW + timedelta(seconds=700)))
    assert sorted((subject.ip, observation.value) for subject, observation in later.items()) == [("192.0.2.7", 0.0), ("192.0.2.8", 1.0)]


def test_a_list_is_left_alone_as_long_as_it_wishes(make):
    world, collector = World(BOLT), make(IPS | {"min_poll_interval": 3600})
    world.take(collector)
    assert world.take(collector, NOW + timedelta(minutes=59)) == []
    assert observations(world.take(collector, NOW + timedelta(minutes=60)))


def test_keys_come_from_secrets_and_a_missing_one_is_a_fact(make):
    keyed = IPS | {"needs_key": True}
    seen = World(ACME, secrets={"bl_key": "K7"}).take(make(keyed, keys={"b*": "bl_key"}))
    assert [observation.value for observation in observations(seen).values()] == [1.0]
    assert "K7" not in repr(seen)
    for keys in ({"b*": "bl_key"}, {}):
        (missing,) = observations(World(ACME).take(make(keyed, keys=keys))).values()
        assert (missing.value, missing.reason) == (None, "key_missing")


def test_batches_are_bounded_and_their_keys_are_those_of_the_sweep(make):
    targets = [Target(f"192.0.{n // 250}.{n % 250}", "ipv4") for n in range(2100)]
    batches = World(*targets).take(make(IPS))
    assert [len(batch.observations) for batch in batches] == [2000, 102, 0]
    assert [batch.key for batch in batches] == [f"2026-01-01T12:00:00+00:00/{end}" for end in (0, 1, "answers")]
    assert {batch.source for batch in batches} == {"dnsbl"}


def test_the_budget_outlives_the_process_and_is_stretched(make, caplog):
    world = World(*(Target(f"192.0.2.{n}", "ipv4") for n in range(20, 30)))
    settings = {"file": {"operators": {"Acme": {"daily_queries": 16}}}, "min_poll_interval": timedelta(0)}
    first = observations(world.take(make(IPS | {"operator": "Acme"}, **settings)))
    assert world.saved["budget"] == {"day": "2026-01-01", "spent": {"Acme": 14}}  # 2 test points twice, 10 addresses
    assert "to stay within its daily limit each target is asked every 16.7 hours only" in caplog.text
    assert [each.reason for each in first.values()] == [None] * 10
    tomorrow = observations(world.take(make(IPS | {"operator": "Acme"}, **settings), NOW + timedelta(days=1)))
    assert {each.reason for each in tomorrow.values()} == {None}


def test_a_spent_budget_takes_nothing_from_an_answer_there_is(make):
    known, new = Target("192.0.2.20", "ipv4"), Target("192.0.2.21", "ipv4")
    acme = IPS | {"operator": "Acme", "txt_reason": False}
    world = World(known)
    world.take(make(acme, daily_queries={"Acme": 5}))
    world.ours = (known, new)
    collector = make(acme, daily_queries={"Acme": 5})
    collector.waits = lambda due: {"bl": timedelta(0)}
    again = observations(world.take(collector, NOW + timedelta(hours=6)))
    assert {(subject.ip, each.reason) for subject, each in again.items()} == {("192.0.2.21", "budget")}


def test_due_times_outlive_the_process(make, server):
    world, wish = World(ACME, BOLT), IPS | {"min_poll_interval": 3600}
    world.take(make(wish))
    assert observations(world.take(make(wish), NOW + timedelta(minutes=59))) == {}
    assert len(observations(world.take(make(wish), NOW + timedelta(minutes=60)))) == 2


def test_a_list_that_turns_out_to_list_the_world_lists_nobody(make):
    answers = collections.Counter()

    def wild(query):
        answers[query.rdtype] += 1
        good = listed(query) if query.name.startswith("2.0.0.127.") else clean(query)
        return good if answers[1] <= 2 else listed(query)

    with Hostile({"bl.example.net": wild}) as turned:
        targets = [Target(f"198.51.100.{n}", "ipv4") for n in range(200)]
        batches = World(*targets).take(make(IPS, resolvers=(f"127.0.0.1:{turned.port}",)))
        assert {(each.value, each.reason) for each in observations(batches).values()} == {(None, "canary_failed")}
        assert [each.value for subject, each in observations(batches, "canary").items() if subject.dnsbl] == [0.0]


def test_what_no_good_check_vouches_for_is_taken_back_when_the_next_one_fails(make):
    """The list is emptied; its positive entry lies in the resolver's cache for a while and hides that."""
    state = {"ttl": 1000, "empty": False, "cached": True}

    def emptied(query):
        if query.name.startswith("2.0.0.127."):
            return [query.reply(a(ttl=state["ttl"]))] if state["cached"] else clean(query)
        return listed(query) if ".2.0.192." in query.name and not state["empty"] else clean(query)

    with Hostile({"bl.example.net": emptied}) as server:
        world, collector = World(ACME), make(IPS, resolvers=(f"127.0.0.1:{server.port}",))
        assert [each.value for each in observations(world.take(collector)).values()] == [1.0]
        state.update(empty=True, ttl=300)
        gone = NOW + timedelta(seconds=700)
        assert [each.value for each in observations(world.take(collector, gone)).values()] == [0.0]
        state["cached"] = False
        (answer,) = observations(world.take(make(IPS, resolvers=(f"127.0.0.1:{server.port}",)), gone + timedelta(hours=1))).values()
        assert (answer.value, answer.reason) == (None, "canary_failed")
        assert answer.detail["void_since"] == NOW.isoformat()  # 700 s are over, the entry was 700 s old


def test_test_entries_that_are_only_assumed_are_no_fault_of_the_list_until_they_were_there_once(make):
    assumed = IPS | {"positive_test_assumed": "RFC 5782 default"}
    with Hostile({"bl.example.net": clean}) as server:
        world = World(ACME)
        settings = {"resolvers": (f"127.0.0.1:{server.port}",)}
        canaries = observations(world.take(make(assumed, **settings)), "canary")
        assert [(each.value, each.reason) for subject, each in canaries.items() if subject.dnsbl] == [(None, "unverified")]
        canaries = observations(World(ACME).take(make(IPS, **settings)), "canary")
        assert [(each.value, each.reason) for subject, each in canaries.items() if subject.dnsbl] == [(0.0, None)]


def test_a_resolver_that_refuses_every_name_is_one_fault_of_ours(make):
    lists = [IPS | {"id": f"l{n}", "zone": f"l{n}.example.net"} for n in range(10)]
    with Hostile({}) as refusing:
        canaries = observations(World(ACME).take(make(*lists, resolvers=(f"127.0.0.1:{refusing.port}",))), "canary")
    assert {(each.value, each.reason) for subject, each in canaries.items() if subject.dnsbl} == {(None, "network")}
    assert [each.value for subject, each in canaries.items() if not subject.dnsbl] == [0.0]


def test_lists_free_for_few_targets_are_asked_about_many_only_where_they_are_named(make, caplog):
    few, always = IPS | {"free_targets": 1}, {**DOMAINS, "targets": ["ipv4", "domain"]}
    assert {subject.dnsbl for subject in observations(World(ACME, BOLT).take(make(few, always)))} == {"dbl"}
    assert "bl is not asked unless `lists` names it" in caplog.text
    named = make(few, always, lists=("bl", "dbl"))
    assert {subject.dnsbl for subject in observations(World(ACME, BOLT).take(named))} == {"bl", "dbl"}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"keys": {"spamhous-*": "x"}}, "keys: no list has the id 'spamhous-*'"),
        ({"list_resolvers": {"spamcopp": ("127.0.0.1",)}}, "list_resolvers: no list has the id 'spamcopp'; did you mean spamcop"),
        ({"daily_queries": {"Spamhaus": 5}}, "daily_queries: 'Spamhaus' operates no list"),
        ({"resolvers": ("192.0.2.53", "192.0.2.53.1:53")}, "192.0.2.53.1 is no IP address — write HOST:PORT or [IPV6]:PORT"),
        ({"list_resolvers": {"spamhaus-zen": ("a b",)}}, "'a b' is no resolver"),
        ({"lists": ("zen.spamhaus.org",)}, "did you mean spamhaus-zen?"),
    ],
)
def test_names_nobody_knows_are_refused_in_the_configuration(settings, message):
    with pytest.raises(ValidationError) as refused:
        Dnsbl.Settings(**settings)
    assert message in str(refused.value)


def test_neighbours_in_one_64_are_asked_once_where_the_list_works_so(make, server):
    six = IPS | {"targets": ["ipv6"], "positive_test": "::FFFF:7F00:2", "ipv6_scope": "/64 (and larger)"}
    server.list("bl.example.net", "2001:db8::1")
    ours = [Target(f"2001:db8::{n}", "ipv6") for n in range(1, 5)] + [Target("2001:db8:0:1::1", "ipv6")]
    query_count = server.asked_count
    seen = observations(World(*ours).take(make(six)))
    assert [observation.value for observation in seen.values()].count(1.0) == 4
    assert len(seen) == 5
    assert server.asked_count - query_count == 2 + 2 + 1 + 1 + 2  # test points, addresses, one text, the hit again, test points


def test_it_stops_when_asked_to(make):
    world = World(ACME)
    world.stop = True
    assert observations(world.take(make())) == {}


def test_no_answer_from_any_resolver_fails_the_run_after_saying_so(make):
    with Hostile({"bl.example.net": lambda q: None, "dbl.example.net": lambda q: None}) as silent:
        world = World(ACME, SITE)
        with pytest.raises(CollectorError, match="no resolver answers"):
            world.take(make(resolvers=(f"127.0.0.1:{silent.port}",), timeout_seconds=0.2))
        assert world.saved
        canaries = observations(world.seen, "canary")
        assert {(subject.dnsbl, observation.value, observation.reason) for subject, observation in canaries.items()} == {
            ("bl", None, "network"), ("dbl", None, "network"), (None, 0.0, None)}


def test_a_resolver_that_dies_between_two_sweeps_fails_the_run(make, server):
    world, collector = World(ACME), make(IPS)
    world.take(collector)
    server.close()
    with pytest.raises(CollectorError, match="no resolver answers"):
        world.take(collector, NOW + timedelta(seconds=301))


def test_facts_do_not_wait_for_a_slow_list(make, monkeypatch):
    monkeypatch.setattr("collectors.dnsbl.collector.PATIENCE_SECONDS", 0.1)
    slow = IPS | {"max_qps": 5, "operator": "Slow", "id": "slow"}
    batches = World(ACME, BOLT).take(make(IPS, slow))
    assert {each.subject.dnsbl for each in batches[0].observations} == {"bl"}
    assert {each.subject.dnsbl for batch in batches for each in batch.observations} == {"bl", "slow", None}


def test_a_fault_of_our_own_is_one_fact_and_lists_stay_unknown(make):
    lists = [IPS | {"id": f"l{n}", "zone": f"l{n}.example.net"} for n in range(6)]
    zones = {f"l{n}.example.net": (lambda q: [q.reply(rcode=2)]) for n in range(6)}
    with Hostile(zones) as ill:
        canaries = observations(World(ACME).take(make(*lists, resolvers=(f"127.0.0.1:{ill.port}",))), "canary")
    assert {observation.reason for subject, observation in canaries.items() if subject.dnsbl} == {"network"}
    assert [observation.value for subject, observation in canaries.items() if not subject.dnsbl] == [0.0]


def test_a_dead_list_is_refused_in_the_configuration():
    with pytest.raises(ValidationError, match="Proofpoint decommissioned SORBS"):
        DnsblSettings(lists=("spamhaus-zen", "sorbs"))
    with pytest.raises(ValidationError, match="no list has the id 'spamhaus-zem'; did you mean spamhaus-zen"):
        DnsblSettings(lists=("spamhaus-zem",))
