"""Answers → verdicts, for every style of list."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.clients.dns_wire import Answer
from collectors.details import ListSeverity
from collectors.dnsbl.catalogue import DnsList, load_catalogue
from collectors.dnsbl.decode import decode, is_listing

LISTS = load_catalogue().lists


def answer(*addresses, rcode=0, ttl=60):
    return Answer(rcode, tuple(bytes(map(int, address.split("."))) for address in addresses), ttl)


def verdict(list_id, *addresses, role="mta"):
    return decode(answer(*addresses), LISTS[list_id], role)


def test_no_address_is_not_listed():
    assert decode(Answer(3, (), 77), LISTS["spamcop"]).word == "not_listed"
    assert decode(Answer(0, (), None), LISTS["spamcop"]).word == "not_listed"
    assert decode(Answer(3, (), 77), LISTS["spamcop"]).ttl_seconds == 77


@pytest.mark.parametrize("order", list(itertools.permutations(["127.0.0.2", "127.0.0.4", "127.0.0.10"])))
def test_every_code_is_found_in_whatever_order(order):
    decoded = verdict("spamhaus-zen", *order)
    assert decoded.codes == ("127.0.0.2", "127.0.0.4", "127.0.0.10")
    assert decoded.severity == "critical"
    assert not decoded.policy


@pytest.mark.parametrize("octet", range(256))
def test_a_bitmask_is_read_bit_by_bit(octet):
    decoded = verdict("surbl-multi", f"127.0.0.{octet}")
    bits = {4: "DM", 8: "PH", 16: "MW", 32: "CT", 64: "ABUSE", 128: "CR"}
    expected = {name for bit, name in bits.items() if octet & bit}
    if octet & 1:
        assert (decoded.word, decoded.reason) == ("unknown", "refused")
    elif expected:
        assert {meaning.split(":")[0] for meaning in decoded.meanings} == expected
    else:
        assert (decoded.word, decoded.reason) == ("unknown", "rewritten")


def test_a_bitmask_in_the_wrong_octet_is_no_listing():
    assert verdict("uribl-multi", "127.0.2.2").reason == "rewritten"


def test_a_wildcard_octet_matches_and_the_loopback_never_does():
    assert verdict("blocklistde", "127.0.0.15").listed
    assert verdict("blocklistde", "127.0.0.1").reason == "refused"
    assert verdict("blocklistde", "127.0.1.15").reason == "rewritten"
    assert verdict("dnswl-list", "127.0.6.2").meanings == ("medium trust",)


def test_the_loopback_is_a_code_where_the_list_says_so():
    assert verdict("hostkarma", "127.0.0.1").meanings == ("white: trusted non-spam",)
    assert verdict("validity-rpbl", "127.0.0.1").meanings == ("botnet",)
    assert verdict("validity-rpbl", "127.0.0.3").meanings == ("botnet", "no authentication")


def test_one_refusal_or_foreign_address_spoils_the_answer():
    assert verdict("spamhaus-zen", "127.0.0.2", "127.255.255.254").reason == "refused"
    assert verdict("spamcop", "127.0.0.2", "127.0.0.1").reason == "refused"
    assert verdict("spamcop", "127.0.0.2", "198.51.100.1").reason == "rewritten"
    assert verdict("spamcop", "127.255.255.255", "198.51.100.1").reason == "rewritten"
    assert verdict("dnswl-list", "127.0.10.3").reason == "refused"


def test_an_undocumented_code_is_never_a_listing_but_does_not_hide_one():
    assert (verdict("spamcop", "127.0.0.3").word, verdict("spamcop", "127.0.0.3").reason) == ("unknown", "rewritten")
    both = verdict("spamcop", "127.0.0.3", "127.0.0.2")
    assert (both.codes, both.undocumented) == (("127.0.0.2",), ("127.0.0.3",))


def test_a_list_without_a_table_lists_by_any_code():
    own = DnsList(id="own", zone="bl.example.net")
    assert decode(answer("127.0.0.9"), own).listed
    assert decode(answer("127.0.0.1"), own).reason == "refused"
    assert decode(answer("192.0.2.1"), own).reason == "rewritten"


def test_a_policy_listing_is_grave_for_an_mta_and_news_for_others():
    assert (verdict("spamhaus-zen", "127.0.0.10").severity, verdict("spamhaus-zen", "127.0.0.10").policy) == ("high", True)
    assert verdict("spamhaus-zen", "127.0.0.10", role="web").severity == "info"
    assert verdict("spamhaus-zen", "127.0.0.10", "127.0.0.2", role="web").severity == "critical"


def test_scores_are_read_on_the_lists_own_scale():
    assert verdict("validity-score", "127.0.4.73").score == 73
    assert verdict("mailspike-rep", "127.0.0.18").score == 18
    assert verdict("dnswl-list", "127.0.6.3").score == 3
    assert verdict("validity-score", "127.0.4.101").reason == "rewritten"
    assert verdict("validity-score", "127.0.0.73").reason == "rewritten"


def test_refusal_by_rcode_is_refused_and_failure_is_servfail():
    assert decode(Answer(5), LISTS["spamcop"]).reason == "refused"
    assert decode(Answer(1), LISTS["spfbl-bl"]).reason == "refused"
    assert decode(Answer(1), LISTS["spamcop"]).reason == "servfail"
    assert decode(Answer(2, (b"\x7f\0\0\2",)), LISTS["spamcop"]).reason == "servfail"
    assert decode(Answer(3, malformed="x"), LISTS["spamcop"]).reason == "servfail"


def test_an_address_of_a_name_that_does_not_exist_is_no_listing():
    decoded = decode(Answer(3, (b"\x7f\0\0\2",)), LISTS["spamcop"])
    assert (decoded.listed, decoded.reason) == (None, "servfail")
    assert "contradicts itself" in str(decoded.why)


def test_a_test_point_counts_by_any_code():
    assert is_listing(answer("127.0.0.2"), LISTS["spamrats-auth"])
    assert not is_listing(answer("127.0.0.1"), LISTS["spamrats-auth"])
    assert not is_listing(answer("127.255.255.254"), LISTS["spamrats-auth"])
    assert not is_listing(Answer(3), LISTS["spamrats-auth"])


addresses = st.lists(st.binary(min_size=4, max_size=4) | st.builds(lambda d: b"\x7f\0\0" + bytes([d]), st.integers(0, 255)))


@settings(deadline=None)
@given(
    st.sampled_from([entry for entry in LISTS.values() if not entry.is_dead]),
    st.integers(0, 15),
    addresses,
    st.none() | st.integers(0, 2**31 - 1),
)
def test_any_answer_has_exactly_one_meaning_whatever_its_order(entry, rcode, addresses, ttl):
    decoded = decode(Answer(rcode, tuple(addresses), ttl), entry)
    assert decoded == decode(Answer(rcode, tuple(reversed(addresses)), ttl), entry)
    assert (decoded.listed is None) == (decoded.reason is not None)
    if decoded.listed:
        assert decoded.codes
        assert decoded.severity in ListSeverity
        assert all(address[0] == 127 for address in addresses)
        assert rcode == 0
    if decoded.listed is False:
        assert rcode in (0, 3)
        assert not addresses
