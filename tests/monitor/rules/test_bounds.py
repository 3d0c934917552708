"""Exact bounds, held against scipy."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta, binom

from monitor.rules.bounds import lower_bound, rate, upper_bound


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_the_bounds_agree_with_scipy(data):
    n = data.draw(st.one_of(st.integers(1, 200), st.integers(1, 50_000_000)))
    k = data.draw(st.one_of(st.integers(0, min(n, 30)), st.integers(0, n)))
    confidence = data.draw(st.sampled_from([0.5, 0.9, 0.95, 0.975, 0.99, 0.999]))
    lower = 0.0 if k == 0 else beta.ppf(1 - confidence, k, n - k + 1)
    upper = 1.0 if k == n else beta.ppf(confidence, k + 1, n - k)
    assert math.isclose(lower_bound(k, n, confidence), lower, rel_tol=1e-7, abs_tol=1e-300)
    assert math.isclose(upper_bound(k, n, confidence), upper, rel_tol=1e-7)


def test_the_lower_bound_keeps_its_promise_where_a_plain_percentage_would_cry_wolf():
    # 1 of 50 is 2 %; a healthy sender at 0.08 % shows it every 25th time. The exact bound stays below 0.3 %.
    assert lower_bound(1, 50, 0.95) < 0.0011


@pytest.mark.parametrize(("n", "p"), [(50, 0.003), (1000, 0.003), (20_000, 0.003)])
def test_a_sender_just_at_the_threshold_is_called_above_it_no_oftener_than_stated(n, p):
    fewest = next(k for k in range(n + 1) if lower_bound(k, n, 0.95) > p)  # the bound grows with k
    assert binom.sf(fewest - 1, n, p) <= 0.05


@pytest.mark.parametrize(("k", "n"), [(-1, 5), (6, 5), (0, 0)])
def test_what_is_no_rate_is_refused(k, n):
    with pytest.raises(ValueError, match="is no rate"):
        rate(k, n, 0.95)
