import random
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.sender.recipient import customer_key, recipient_ref
from monitor.sender.suppressions import FilterError, SuppressionFilter, Suppressions, build_filter

KEY = customer_key(b"a master key for tests", "acme")


def refs(count: int, seed: int = 1) -> list[bytes]:
    chance = random.Random(seed)
    return [chance.randbytes(10) for _ in range(count)]


@given(st.lists(st.text(max_size=30), max_size=200), st.sampled_from([0.1, 1e-2, 1e-3, 1e-4, 1e-6, 1e-9]))
def test_no_suppressed_address_is_ever_missed(addresses, rate):
    loaded = SuppressionFilter(build_filter([recipient_ref(KEY, each) for each in addresses], KEY, rate), KEY)
    assert all(map(loaded.may_contain, addresses))
    assert loaded.false_positive_rate <= rate


@pytest.mark.parametrize(("count", "rate"), [(1, 1e-2), (20_000, 1e-2), (20_000, 1e-3), (100_000, 1e-3), (100_000, 1e-4)])
def test_strangers_are_taken_for_suppressed_no_more_often_than_stated(count, rate):
    loaded = SuppressionFilter(build_filter(refs(count), KEY, rate), KEY)
    tried = 60_000
    hits = sum(loaded.may_contain(f"stranger{number}@example.net") for number in range(tried))
    expected = tried * loaded.false_positive_rate
    assert loaded.false_positive_rate <= rate
    assert abs(hits - expected) <= 5 * expected**0.5 + 3


@pytest.mark.parametrize(("rate", "most_bits"), [(1e-2, 17), (1e-3, 17), (1e-4, 25), (1e-6, 34)])
def test_it_stays_small(rate, most_bits):
    assert len(build_filter(refs(100_000), KEY, rate)) * 8 / 100_000 <= most_bits


def test_the_same_recipients_make_the_same_bytes_whatever_their_order():
    some = refs(1000)
    assert build_filter(some, KEY) == build_filter(reversed(some + some[:5]), KEY)


def test_an_empty_list_holds_nobody_back():
    assert not SuppressionFilter(build_filter([], KEY), KEY).may_contain("ann@example.org")


def test_a_filter_of_another_customers_key_is_refused():
    with pytest.raises(FilterError, match="another key"):
        SuppressionFilter(build_filter(refs(9), KEY), customer_key(b"a master key for tests", "bolt"))


WHOLE = build_filter(refs(50), KEY)


@pytest.mark.parametrize(("data", "why"), [
    (b"", "cut short"), (WHOLE[:20], "cut short"), (WHOLE[:-1], "damaged"), (WHOLE + b"x", "damaged"),
    (WHOLE[:-1] + bytes([WHOLE[-1] ^ 1]), "damaged"), (b"PK" + WHOLE[2:], "no filter"), (WHOLE[:4] + b"\x02" + WHOLE[5:], "no filter"),
    (WHOLE[:5] + b"\xff" + WHOLE[6:], "damaged"), (WHOLE[:8] + struct.pack("<I", 2**32 - 1) + WHOLE[12:], "damaged"),
], ids=["empty", "head only", "cut", "longer", "a bit turned", "something else", "version", "buckets", "count"])
def test_what_is_no_whole_filter_is_refused_with_its_reason(data, why):
    with pytest.raises(FilterError, match=why):
        SuppressionFilter(data, KEY)


@pytest.mark.parametrize("rate", [0, 1e-10, 0.2, 1, float("nan")])
def test_a_rate_nobody_can_mean_is_refused(rate):
    with pytest.raises(ValueError, match="false_positive_rate"):
        build_filter([], KEY, rate)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "vigie", "http://"])
def test_only_web_addresses_are_asked(url):
    with pytest.raises(ValueError, match="web address"):
        Suppressions(url, "key", "acme")
