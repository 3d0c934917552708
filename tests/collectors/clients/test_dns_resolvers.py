"""Which resolvers are asked, and why not others."""

import pytest

from collectors.clients.dns import Server
from collectors.clients.dns_resolvers import parse_server, public_name, system_servers
from collectors.contract import CollectorError


@pytest.mark.parametrize(
    ("text", "server"),
    [
        ("192.0.2.53", Server("192.0.2.53", 53)),
        ("192.0.2.53:5353", Server("192.0.2.53", 5353)),
        ("2001:db8::53", Server("2001:db8::53", 53)),
        ("[2001:DB8::53]:5353", Server("2001:db8::53", 5353)),
        ("[::1]", Server("::1", 53)),
    ],
)
def test_resolvers_are_written_in_the_usual_ways(text, server):
    assert parse_server(text) == server


def test_a_resolver_may_be_named_as_in_a_compose_file():
    assert parse_server("localhost:5353").port == 5353


@pytest.mark.parametrize("text", ["", ":53", "192.0.2.53:", "192.0.2.53:x", "192.0.2.53:0", "192.0.2.53:65536", "a..b:53"])
def test_a_wrong_resolver_is_refused_by_name(text):
    with pytest.raises(CollectorError) as caught:
        parse_server(text)
    assert caught.value.reason == "config"


def test_public_resolvers_are_known():
    assert public_name(Server("8.8.8.8")) == "Google"
    assert public_name(Server("2606:4700:4700::1111")) == "Cloudflare"
    assert public_name(Server("127.0.0.53")) is None


def test_the_systems_resolvers_are_taken_unless_they_are_public(tmp_path):
    path = tmp_path / "resolv.conf"
    path.write_text("# x\nsearch example.net\nnameserver 8.8.8.8\nnameserver 192.0.2.53\nnameserver rubbish\nnameserver\n")
    assert system_servers(path) == (Server("192.0.2.53"),)


@pytest.mark.parametrize("text", ["nameserver 8.8.8.8\nnameserver 1.1.1.1\n", ""])
def test_where_only_public_ones_are_left_it_says_what_to_set(tmp_path, text):
    path = tmp_path / "resolv.conf"
    path.write_text(text)
    with pytest.raises(CollectorError, match=r"--resolver HOST:PORT"):
        system_servers(path)
    with pytest.raises(CollectorError, match="cannot be read"):
        system_servers(tmp_path / "missing")
