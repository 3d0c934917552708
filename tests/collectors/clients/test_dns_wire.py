"""The fast way of reading an answer says what dnspython says; nothing makes either raise."""

import dns.flags
import dns.message
import dns.name
import dns.rrset
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from collectors.clients.dns_wire import (
    A_IN,
    TXT_IN,
    Answer,
    encode_name,
    is_ours,
    parse_full,
    parse_plain,
    room,
)

NAME = "7.2.0.192.bl.example.net"
QUESTION = encode_name(NAME) + b"\0" + A_IN
SOA = "ns.example.net. hostmaster.example.net. 1 2 3 4 77"

ttls = st.integers(0, 2**31 - 1)
names = st.sampled_from([NAME, "other.example.org", "bl.example.net", "7.2.0.192.bl.example.net.example.org"])
octet = st.integers(0, 255)
addresses = st.builds("{}.{}.{}.{}".format, octet, octet, octet, octet)
records = st.one_of(
    st.tuples(st.just(NAME), ttls, st.just("A"), addresses),
    st.tuples(names, ttls, st.just("A"), addresses),
    st.tuples(names, ttls, st.just("CNAME"), names.map(lambda name: name + ".")),
    st.tuples(names, ttls, st.just("AAAA"), st.just("2001:db8::1")),
    st.tuples(names, ttls, st.just("TXT"), st.just('"a text"')),
)
authorities = st.one_of(
    st.tuples(st.just("bl.example.net"), ttls, st.just("SOA"), st.just(SOA)),
    st.tuples(names, ttls, st.just("NS"), st.just("ns.example.net.")),
)


@st.composite
def messages(draw):
    query = dns.message.make_query(NAME, "A")
    reply = dns.message.make_response(query)
    reply.set_rcode(draw(st.sampled_from([0, 3, 0, 3, 1, 2, 5])))
    reply.flags |= draw(st.sampled_from([0, dns.flags.AA, dns.flags.AA, dns.flags.TC]))
    for section, rows in (
        (reply.answer, draw(st.lists(records, max_size=4))),
        (reply.authority, draw(st.lists(authorities, max_size=2))),
    ):
        for name, ttl, rdtype, text in rows:
            section.append(dns.rrset.from_text(dns.name.from_text(name), ttl, "IN", rdtype, text))
    if draw(st.booleans()):
        reply.use_edns(0)
    return reply.to_wire()


@settings(deadline=None)
@given(messages())
def test_what_the_fast_way_reads_is_what_dnspython_reads(wire):
    assert is_ours(wire, QUESTION)
    fast, full = parse_plain(wire, 12 + len(QUESTION)), parse_full(wire, QUESTION)
    assert fast is None or fast == full


@settings(deadline=None)
@given(messages(), st.data())
def test_damage_never_raises_and_never_makes_the_fast_way_find_more(wire, data):
    damaged = bytearray(wire)
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(12 + len(QUESTION) - 1, len(wire) - 1))] = data.draw(octet)
    cut = bytes(damaged[: data.draw(st.integers(0, len(damaged)))]) if data.draw(st.booleans()) else bytes(damaged)
    if not is_ours(cut, QUESTION):
        return
    fast, full = parse_plain(cut, 12 + len(QUESTION)), parse_full(cut, QUESTION)
    if fast is not None and fast != full:
        assert not fast.addresses  # a "no" whose SOA holds broken names is still a "no"
        assert full.malformed


@settings(deadline=None)
@given(st.binary(max_size=600))
@example(b"")
@example(b"\x12\x34\x81\x80\0\1" + b"\xff" * 6)
def test_random_bytes_never_raise(noise):
    is_ours(noise, QUESTION)
    wire = b"\x12\x34\x81\x80\0\1" + noise[:6].ljust(6, b"\0") + QUESTION + noise[6:]
    assert is_ours(wire, QUESTION)
    parse_plain(wire, 12 + len(QUESTION))
    assert isinstance(parse_full(wire, QUESTION), Answer)


def plain(*rrs, rcode=0, authority=()):
    reply = dns.message.make_response(dns.message.make_query(NAME, "A"))
    reply.set_rcode(rcode)
    for section, rows in ((reply.answer, rrs), (reply.authority, authority)):
        for ttl, rdtype, text in rows:
            section.append(dns.rrset.from_text(dns.name.from_text(NAME), ttl, "IN", rdtype, text))
    return reply.to_wire()


@pytest.mark.parametrize(
    "wire",
    [
        plain((60, "A", "127.0.0.2")),
        plain((60, "A", "127.0.0.2"), (30, "A", "127.0.0.4")),
        plain(rcode=3),
        plain(rcode=3, authority=[(900, "SOA", SOA)]),
        plain(authority=[(900, "SOA", SOA)]),
    ],
    ids=["one", "two", "none", "none-soa", "empty-soa"],
)
def test_the_usual_answers_take_the_fast_way(wire):
    assert parse_plain(wire, 12 + len(QUESTION)) is not None


def test_the_negative_ttl_is_the_smaller_of_the_soa_and_its_minimum():
    assert parse_plain(plain(rcode=3, authority=[(900, "SOA", SOA)]), 12 + len(QUESTION)).ttl_seconds == 77
    assert parse_plain(plain(rcode=3, authority=[(5, "SOA", SOA)]), 12 + len(QUESTION)).ttl_seconds == 5
    assert parse_plain(plain(rcode=3), 12 + len(QUESTION)).ttl_seconds is None


@pytest.mark.parametrize("highest", [86_401, 2**31 - 1])
def test_no_ttl_is_longer_than_a_day(highest):
    soa = SOA.replace("77", str(highest))
    for wire in (plain((highest, "A", "127.0.0.2")), plain((highest, "A", "127.0.0.2"), (highest, "AAAA", "::1")),
                 plain(rcode=3, authority=[(highest, "SOA", soa)]), plain(authority=[(highest, "SOA", soa), (highest, "NS", "a.")])):
        read = [answer for answer in (parse_plain(wire, 12 + len(QUESTION)), parse_full(wire, QUESTION)) if answer]
        assert {answer.ttl_seconds for answer in read} == {86_400}


@pytest.mark.parametrize(
    "wire",
    [plain(), plain((60, "CNAME", "elsewhere.example.org.")), plain(authority=[(60, "NS", "ns.example.org.")])],
    ids=["empty", "an alias nobody followed", "a referral"],
)
def test_no_records_and_no_soa_is_no_answer(wire):
    assert parse_plain(wire, 12 + len(QUESTION)) is None
    assert parse_full(wire, QUESTION).malformed


def test_texts_are_read_whole():
    query = dns.message.make_query(NAME, "TXT")
    reply = dns.message.make_response(query)
    reply.answer.append(dns.rrset.from_text(NAME + ".", 60, "IN", "TXT", '"one" " two"', '"caf\\195\\169 \\255"'))
    answer = parse_full(reply.to_wire(), encode_name(NAME) + b"\0" + TXT_IN)
    assert sorted(answer.texts) == ["café \ufffd", "one two"]


def test_names_that_do_not_fit_are_reported():
    with pytest.raises(ValueError, match="64 octets"):
        encode_name("a" * 64 + ".example.net")
    with pytest.raises(ValueError, match="empty label"):
        encode_name("a..b")
    assert room(encode_name("bl.example.net") + b"\0" + A_IN) == 255 - len("bl.example.net") - 2
