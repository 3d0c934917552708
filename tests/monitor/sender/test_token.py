import re
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.sender.recipient import customer_key, recipient_ref
from monitor.sender.token import LENGTHS, PREFIX, keys_of, make_token, read_token

MASTER = b"a master key for tests"
ACME, BOLT = customer_key(MASTER, "acme"), customer_key(MASTER, "bolt")
KEYS = keys_of([("acme", ACME), ("bolt", BOLT)])
ANN = recipient_ref(ACME, "ann@example.org")
names = st.none() | st.text(min_size=1, max_size=80)
recipients = st.none() | st.binary(min_size=10, max_size=10)
FULL = make_token(ACME, "acme", "newsletter", "spring", ANN)


@given(names, names, recipients)
def test_what_goes_in_comes_out(stream, campaign, recipient):
    token = make_token(ACME, "acme", stream, campaign, recipient)
    read = read_token(KEYS, token)
    assert (read.customer, read.recipient) == ("acme", recipient)
    assert read.stream_among(["other", *filter(None, [stream])]) in {stream, "other"}
    assert read.stream_among(filter(None, [stream])) == stream
    assert read.campaign_among(filter(None, [campaign])) == campaign


@given(names, names, recipients)
def test_a_token_fits_a_local_part_and_survives_servers_that_fold_case(stream, campaign, recipient):
    token = make_token(ACME, "acme", stream, campaign, recipient)
    assert len(token) in LENGTHS
    assert len(PREFIX + token) <= 64
    assert re.fullmatch("[a-z2-7]+", token)
    assert read_token(KEYS, token.upper()) == read_token(KEYS, token.title()) == read_token(KEYS, token)


@settings(max_examples=500)
@given(st.integers(0, len(FULL) - 1), st.sampled_from(string.printable + "ſKé\0"))
def test_a_token_with_any_character_changed_is_no_token(place, character):
    forged = FULL[:place] + character + FULL[place + 1:]
    assert (read_token(KEYS, forged) is None) is (forged.lower() != FULL)


@given(st.text(max_size=80))
def test_no_text_whatever_raises_or_passes(text):
    assert read_token(KEYS, text) is None


@pytest.mark.parametrize("cut", range(1, len(FULL)))
def test_a_token_cut_short_is_no_token(cut):
    assert read_token(KEYS, FULL[:cut]) is read_token(KEYS, FULL[cut:]) is None


@pytest.mark.parametrize("blotted", ["redacted", "[redacted]", "x" * len(FULL), "", FULL + FULL[:8], "0" * 40])
def test_a_token_blotted_out_by_the_provider_is_no_token(blotted):
    assert read_token(KEYS, blotted) is None


def test_a_key_makes_tokens_of_its_own_customer_only():
    assert read_token(KEYS, make_token(ACME, "bolt", "newsletter")) is None
    assert read_token(KEYS, make_token(customer_key(b"another master", "acme"), "acme", "newsletter")) is None


def test_old_and_new_keys_are_read_side_by_side_and_a_token_ends_with_its_key():
    new = customer_key(b"the next master key", "acme")
    both = keys_of([("acme", new), ("acme", ACME)])
    assert read_token(both, FULL).customer == read_token(both, make_token(new, "acme")).customer == "acme"
    assert read_token(keys_of([("acme", new)]), FULL) is None


def test_names_the_inventory_no_longer_has_are_not_guessed():
    read = read_token(KEYS, FULL)
    assert read.stream_among(["receipts", "alerts"]) is None
    assert read.stream_among(["newsletter", "newsletter"]) is None  # two with one reference: neither
    assert read_token(KEYS, make_token(ACME, "acme")).stream_among(["newsletter"]) is None


def test_a_token_shows_a_stranger_no_name():
    other = make_token(BOLT, "bolt", "newsletter", "spring", ANN)
    assert FULL[:20] != other[:20]
    assert read_token(KEYS, FULL).stream != read_token(KEYS, other).stream


def test_a_reference_of_another_length_is_refused():
    with pytest.raises(ValueError, match="10 bytes"):
        make_token(ACME, "acme", recipient_ref=b"short")


def test_a_recipient_has_one_reference_however_the_address_is_written_and_another_with_each_customer():
    assert recipient_ref(ACME, " <Ann@Example.ORG> ") == ANN
    assert recipient_ref(BOLT, "ann@example.org") != ANN
    assert recipient_ref(ACME, "an\udcffn@example.org") != ANN
