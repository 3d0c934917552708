"""The sweep against the server most lists run: rbldnsd, with its own idea of zones and reloads."""

from datetime import UTC, datetime

import pytest

from collectors.clients.dns import Server
from collectors.dnsbl.canary import Canaries
from collectors.dnsbl.catalogue import DnsList
from collectors.dnsbl.pacers import Pacers
from collectors.dnsbl.question import Zone, parse_target
from collectors.dnsbl.sweep import Resolvers, Sweep
from tests.servers.rbldnsd import Rbldnsd
from tests.waiting import eventually

pytestmark = pytest.mark.real("rbldnsd")
CODES = {"127.0.0.2": "spam", "127.0.0.4": "exploit"}
ADDRESSES = "127.0.0.2 :127.0.0.2:Test\n192.0.2.7 :127.0.0.2:see https://example.net/$\n198.51.100.0/24 :127.0.0.4:net\n"
SIX = "::ffff:7f00:2 :127.0.0.2:Test\n2001:db8:7::/48 :127.0.0.2:net\n"
NAMES = "TEST :127.0.0.2:Test\n.bad.example.com :127.0.0.2:spam domain\n"
WORLD = "0.0.0.0/1 :127.0.0.2:\n128.0.0.0/1 :127.0.0.2:\n!127.0.0.1\n"
LISTS = [
    DnsList(id="ips", zone="ips.example.net", codes=CODES, positive_test="127.0.0.2", negative_test="127.0.0.1"),
    DnsList(id="six", zone="six.example.net", codes=CODES, targets=["ipv6"], positive_test="::FFFF:7F00:2", negative_test="::FFFF:7F00:1"),
    DnsList(id="names", zone="names.example.net", codes=CODES, targets=["domain"], positive_test="TEST", negative_test="INVALID"),
    DnsList(id="world", zone="world.example.net", codes=CODES, positive_test="127.0.0.2", negative_test="127.0.0.1"),
]
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def server():
    zones = {
        "ips.example.net": ("ip4trie", ADDRESSES), "six.example.net": ("ip6trie", SIX),
        "names.example.net": ("dnset", NAMES), "world.example.net": ("ip4trie", WORLD),
    }
    with Rbldnsd(zones) as running:
        yield running


def words(server, *targets, lists=LISTS):
    zones = [Zone(entry) for entry in lists]
    parsed = [parse_target(target) for target in targets]
    pairs = {entry.id: [target for target in parsed if target.kind in entry.targets] for entry in lists}
    sweep = Sweep(Resolvers((Server("127.0.0.1", server.port),)), pacers=Pacers(lists, {}), canaries=Canaries())
    results = [result for chunk in sweep.run(pairs, zones, NOW) for result in chunk]
    return {(r.target.name, r.entry.id): (r.verdict.reason or r.verdict.word, *r.verdict.codes, r.text) for r in results}


def test_addresses_nets_and_domains_are_read_as_rbldnsd_means_them(server):
    answers = words(server, "192.0.2.7", "192.0.2.8", "198.51.100.99", "2001:db8:7::1", "2001:db8:8::1", "www.bad.example.com", "example.com")
    assert answers == {
        ("192.0.2.7", "ips"): ("listed", "127.0.0.2", "see https://example.net/192.0.2.7"),
        ("192.0.2.8", "ips"): ("not_listed", None),
        ("198.51.100.99", "ips"): ("listed", "127.0.0.4", "net"),
        ("2001:db8:7::1", "six"): ("listed", "127.0.0.2", "net"),
        ("2001:db8:8::1", "six"): ("not_listed", None),
        ("www.bad.example.com", "names"): ("listed", "127.0.0.2", "spam domain"),
        ("example.com", "names"): ("not_listed", None),
        ("192.0.2.7", "world"): ("canary_failed", None),
        ("192.0.2.8", "world"): ("canary_failed", None),
        ("198.51.100.99", "world"): ("canary_failed", None),
    }


def test_a_rewritten_zone_is_seen_within_seconds(server):
    assert words(server, "203.0.113.9", lists=LISTS[:1])["203.0.113.9", "ips"][0] == "not_listed"
    server.write("ips.example.net", ADDRESSES + "203.0.113.9 :127.0.0.4:new\n")
    eventually(lambda: words(server, "203.0.113.9", lists=LISTS[:1])["203.0.113.9", "ips"][0] == "listed")
