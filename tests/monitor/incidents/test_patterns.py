"""Patterns answer as RE2 does, in time that grows with pattern times text."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.incidents.patterns import LONGEST, Pattern, PatternError

ATOMS = st.sampled_from(["a", "b", ".", "[ab]", "[^a]", r"\d", r"\w", "(?:a|b)", "(ab|)", "x"])
REPEATS = st.sampled_from(["", "*", "+", "?", "{2}", "{1,3}", "{2,}", "*?"])
WRITTEN = st.lists(st.tuples(ATOMS, REPEATS).map("".join), max_size=6).map("".join)
ALTERNATIVES = st.lists(WRITTEN, min_size=1, max_size=3).map("|".join)


@given(ALTERNATIVES, st.text("abx1\n", max_size=8))
def test_the_answer_is_that_of_python_for_the_whole_text(pattern, text):
    assert Pattern(pattern).matches(text) == (re.fullmatch(pattern, text) is not None)


@pytest.mark.parametrize(("pattern", "text", "matches"), [
    ("(?i)IP-.*", "ip-listed", True), ("^ip$", "ip", True), ("ip", "ips", False), ("", "", True), ("", "x", False),
    (r"192\.0\.2\.\d{1,3}", "192.0.2.77", True), (r"192\.0\.2\.\d{1,3}", "19220.2.77", False), ("[]x]+", "]x", True),
    ("[a-]+", "a-", True), (r"a\|b", "a|b", True), ("acme|bolt", "bolt", True), ("(?i)[A-C]", "b", True),
])  # fmt: skip
def test_what_people_write(pattern, text, matches):
    assert Pattern(pattern).matches(text) is matches


@pytest.mark.parametrize(("pattern", "why"), [
    ("(", r"pattern ends"), ("a)", r"without its '\('"), ("(?=x)", "look-around"), ("(?P<n>x)", "names"), (r"\1", "not known"),
    ("a**", "repeat of a repeat"), ("*a", "repeats nothing"), ("a{9999}", "at most"), ("a{3,1}", "smaller number first"),
    ("[b-a]", "smaller character first"), ("[a", "pattern ends"), ("a^b", "whole text"), ("a" * (LONGEST + 1), "longer than"),
    ("((((a{100}){100}){100}){100})", "too large"), ("(((((){100}){100}){100}){100})", "too large"), ("(" * 60 + ")" * 60, "groups in groups"),
    ("a\\", "backslash"), ("x{,3}", "begins a repeat"),
])  # fmt: skip
def test_what_is_refused_says_why(pattern, why):
    with pytest.raises(PatternError, match=why):
        Pattern(pattern)


def test_a_pattern_that_ruins_an_engine_that_backtracks_is_answered():
    assert Pattern("(a*)*(a|a)*a*a*a*a*a*b").matches("a" * 2_000 + "c") is False
