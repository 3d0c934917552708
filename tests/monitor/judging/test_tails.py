"""What is said of a bound without working it out is what the bound says."""

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from monitor.judging.tails import UNSURE, lower_above, upper_below
from monitor.rules.bounds import lower_bound, upper_bound

counts = st.integers(1, 10**6).flatmap(lambda n: st.tuples(st.one_of(st.integers(0, min(n, 50)), st.integers(0, n)), st.just(n)))
lines = st.floats(1e-6, 0.999)


@given(counts=counts, line=lines, alpha=st.sampled_from([0.5, 0.05, 0.025, 1e-3, 1e-9]))
@example(counts=(0, 1), line=0.5, alpha=0.5)
@example(counts=(7, 7), line=0.999, alpha=0.025)
@example(counts=(1, 10**6), line=0.9, alpha=0.025)
def test_an_answer_is_that_of_the_exact_bound(counts, line, alpha):
    k, n = counts
    (upper,) = upper_below(np.array([float(k)]), np.array([float(n)]), line, alpha)
    (lower,) = lower_above(np.array([float(k)]), np.array([float(n)]), line, alpha)
    assert upper in {UNSURE, upper_bound(k, n, 1 - alpha) < line}
    assert lower in {UNSURE, lower_bound(k, n, 1 - alpha) > line}


def test_hardly_any_is_left_unsure():
    dice = np.random.default_rng(1)
    n = np.floor(10 ** dice.uniform(2, 6, 2000))
    k = dice.binomial(n.astype(np.int64), 0.003).astype(np.float64)
    answers = np.concatenate([lower_above(k, n, 0.003, 0.025), upper_below(k, n, 0.004, 0.025)])
    assert (answers == UNSURE).mean() < 0.01


def test_lines_may_be_of_each():
    k, n = np.array([30.0, 30.0]), np.array([10_000.0, 10_000.0])
    assert lower_above(k, n, np.array([0.001, 0.003]), 0.025).tolist() == [1, 0]
    assert upper_below(k, n, np.array([0.01, 0.0]), np.array([0.025, 0.025])).tolist() == [1, 0]
