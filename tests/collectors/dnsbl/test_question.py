"""Targets, test points and keys as names."""

import pytest

from collectors.clients.dns_wire import encode_name
from collectors.dnsbl.catalogue import CatalogueError, DnsList, load_catalogue
from collectors.dnsbl.question import (
    UnsupportedTargetError,
    Zone,
    is_public,
    key_for,
    owner_wire,
    parse_target,
    point_wire,
)


@pytest.mark.parametrize(
    ("text", "kind", "name"),
    [
        ("192.0.2.7", "ipv4", "192.0.2.7"),
        (" 192.0.2.7 ", "ipv4", "192.0.2.7"),
        ("2001:DB8::0:1", "ipv6", "2001:db8::1"),
        ("::ffff:192.0.2.1", "ipv4", "192.0.2.1"),
        ("Example.COM.", "domain", "example.com"),
        ("EXÄMPLE.com", "domain", "xn--exmple-cua.com"),
        ("straße.example", "domain", "xn--strae-oqa.example"),
        ("_dmarc.example.com", "domain", "_dmarc.example.com"),
        ("TEST", "domain", "test"),
    ],
)
def test_a_target_is_read_as_people_write_it(text, kind, name):
    target = parse_target(text)
    assert (target.kind, target.name) == (kind, name)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("999.1.1.1", "looks like an IP address"),
        ("192.0.2.07", "looks like an IP address"),
        ("1.2.3", "looks like an IP address"),
        ("[::1]", "looks like an IP address"),
        ("fe80::1%eth0", "zone index"),
        ("192.0.2.0/24", "single addresses"),
        ("https://example.com", "single addresses"),
        ("user@example.com", "is no label"),
        ("*.example.com", "is no label"),
        ("-example.com", "is no label"),
        ("a..example.com", "is no label"),
        ("exa mple.com", "is no label"),
        ("", "1 to 253"),
        (".", "1 to 253"),
        ("a" * 64 + ".example.com", "label of 64 characters"),
        (".".join(["a" * 63] * 4), "1 to 253"),
        ("☃.example", "U+2603"),
        ("ä" * 64 + ".example", ""),
        ("bell\x07.example", "bell?.example"),
    ],
)
def test_what_no_list_can_hold_is_reported_plainly(text, message):
    with pytest.raises(UnsupportedTargetError) as caught:
        parse_target(text)
    assert message in str(caught.value)
    assert str(caught.value).isprintable()


def test_addresses_are_reversed_by_octet_and_by_nibble():
    assert owner_wire("192.0.2.7", "ipv4") == encode_name("7.2.0.192")
    nibbles = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2"
    assert owner_wire("2001:db8::1", "ipv6") == encode_name(nibbles)
    assert point_wire("::FFFF:7F00:2") == encode_name("2.0.0.0.0.0.f.7.f.f.f.f" + ".0" * 20)
    assert point_wire("_DNSBL_.test") == encode_name("_dnsbl_.test")


def test_private_and_documentation_addresses_are_distinguished_from_public_ones():
    assert not any(is_public(parse_target(name)) for name in ("192.0.2.7", "10.0.0.1", "100.64.0.1", "2001:db8::1", "::1"))
    assert all(is_public(parse_target(name)) for name in ("9.9.9.9", "2606:4700::1", "example.com"))


def test_a_key_stands_before_the_zone_and_nowhere_else():
    entry = DnsList(id="dqs", zone="Zen.dq.example.net.", needs_key=True)
    zone = Zone(entry, "SeCret7")
    assert zone.a == encode_name("secret7.zen.dq.example.net") + b"\0\0\1\0\1"
    assert "ecret7" not in repr(zone).lower()
    assert zone.redacted("see https://example.net/?q=7.2.0.192.sECRET7.zen") == "see https://example.net/?q=7.2.0.192.<key>.zen"
    assert not zone.key_missing
    assert Zone(entry).key_missing
    assert Zone(DnsList(id="free", zone="bl.example.net"), "unused").a == encode_name("bl.example.net") + b"\0\0\1\0\1"


@pytest.mark.parametrize("key", ["", "with space", "a" * 64, "do.t", "ü"])
def test_a_key_that_cannot_stand_in_a_name_is_refused_without_being_shown(key):
    with pytest.raises(CatalogueError) as caught:
        Zone(DnsList(id="dqs", zone="bl.example.net", needs_key=True), key)
    assert not key or key not in str(caught.value)


def test_keys_are_found_by_id_before_pattern():
    entry = load_catalogue().lists["abusix-white"]
    assert key_for(entry, {"abusix-*": "all", "abusix-white": "own"}) == "own"
    assert key_for(entry, {"abusix-*": "all"}) == "all"
    assert key_for(entry, {"spamhaus-*": "all"}) is None
