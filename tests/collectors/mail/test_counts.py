"""A count is read however it is written; what is no count is None and never 0."""

import pytest

from collectors.mail.counts import count


@pytest.mark.parametrize(("value", "number"), [
    ("0", 0), ("12", 12), (" 12 ", 12), ("\u00a012\n", 12), ("+12", 12), ("007", 7), ("1,234", 1234), ("1.234", 1234),
    ("1 234", 1234), ("1\u202f234", 1234), ("1'234", 1234), ("1\u2019234", 1234), ("1_234", 1234), ("1,234,567", 1234567),
    ("1.234.567", 1234567), ("12,34,567", 1234567), ("10.0", 10), ("10,0", 10), ("10.00", 10), ("1,234.0", 1234),
    ("1.234,00", 1234), ("1e3", 1000), ("1E3", 1000), ("1e+3", 1000), ("1.2e3", 1200), ("1.25e2", 125), ("1.000e3", 1000),
    (12, 12), (0, 0), (10.0, 10), (1e3, 1000),
])
def test_a_count_is_read_however_it_is_written(value, number):
    assert count(value) == number


@pytest.mark.parametrize("value", [
    "", " ", "-3", "\u22123", "many", "1.5", "1,5", "1.25e1", "1e-3", "1,23", "12,3456", "1,234.567", "0x10", "12 mails",
    "1e99", "9" * 13, "9" * 400, "NaN", "inf", "1..0", "e3", "²", None, True, [], {}, -1, -0.5, 1.5, float("nan"),
    float("inf"), 10**12,
])
def test_what_is_no_count_is_not_taken_for_zero(value):
    assert count(value) is None
