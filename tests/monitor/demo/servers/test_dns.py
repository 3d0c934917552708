"""The demo's list server, asked with dnspython."""

import dns.flags
import dns.message
import dns.query
import pytest

from monitor.demo.servers.dns import DnsblServer
from tests.waiting import PATIENCE_SECONDS


@pytest.fixture
def server():
    with DnsblServer({"bl.example.net": {"192.0.2.7": ["127.0.0.2", "127.0.0.4"]}}, negative_ttl_seconds=7) as running:
        running.start()
        yield running


def ask(server, name, rdtype="A", how=dns.query.udp):
    return how(dns.message.make_query(f"{name}.bl.example.net", rdtype), "127.0.0.1", port=server.port, timeout=PATIENCE_SECONDS)


def codes(reply):
    return sorted(record.address for rrset in reply.answer for record in rrset)


@pytest.mark.parametrize("how", [dns.query.udp, dns.query.tcp])
def test_what_is_listed_is_answered_over_udp_and_tcp(server, how):
    assert codes(ask(server, "7.2.0.192", how=how)) == ["127.0.0.2", "127.0.0.4"]
    negative = ask(server, "8.2.0.192", how=how)
    assert negative.rcode() == 3
    assert negative.authority[0][0].minimum == 7


def test_it_has_the_test_points_of_rfc_5782(server):
    six = "2.0.0.0.0.0.f.7.f.f.f.f" + ".0" * 20
    assert [codes(ask(server, name)) for name in ("2.0.0.127", six, "TEST")] == [["127.0.0.2"]] * 3
    assert [ask(server, name).rcode() for name in ("1.0.0.127", "INVALID")] == [3, 3]


def test_listings_come_and_go_while_it_runs(server):
    server.list("bl.example.net", "2001:db8::1", txt='say "why"')
    name = "1" + ".0" * 23 + ".8.b.d.0.1.0.0.2"
    assert codes(ask(server, name)) == ["127.0.0.2"]
    assert ask(server, name, "TXT").answer[0][0].strings == (b'say "why"',)
    server.clear("bl.example.net", "2001:db8::1")
    server.clear("bl.example.net", "2001:db8::1")
    assert ask(server, name).rcode() == 3


def test_a_name_without_codes_is_there_and_holds_nothing(server):
    server.list("bl.example.net", "192.0.2.9", [])
    assert (ask(server, "9.2.0.192").rcode(), codes(ask(server, "9.2.0.192"))) == (0, [])


def test_what_does_not_fit_is_truncated_and_whole_over_tcp(server):
    server.list("bl.example.net", "192.0.2.9", [f"127.0.1.{n}" for n in range(60)])
    assert ask(server, "9.2.0.192").flags & dns.flags.TC
    assert len(codes(ask(server, "9.2.0.192", how=dns.query.tcp))) == 60


def test_foreign_zones_are_refused_and_rubbish_is_ignored(server):
    reply = dns.query.udp(dns.message.make_query("x.example.org", "A"), "127.0.0.1", port=server.port, timeout=PATIENCE_SECONDS)
    assert reply.rcode() == 5
    assert server.answer(b"\0\1rubbish", 512) is None
