"""A moment is read however a report writes it."""

from datetime import UTC, datetime

import pytest

from collectors.mail.times import moment

DAY = datetime(2026, 3, 9, tzinfo=UTC)
AT = datetime(2026, 3, 9, 23, 59, 59, tzinfo=UTC)


@pytest.mark.parametrize("text", [
    "1773014400", " 1773014400\n", "1773014400.0", "1773014400.123", "1773014400,5", "1773014400000", "1773014400000.0",
    "1773014400000000", "1773014400000000000", "2026-03-09", "20260309", "20260309000000", "2026-03-09T00:00:00Z",
    "2026-03-09T00:00:00+00:00", "2026-03-09T00:00:00+0000", "2026-03-09T00:00:00-00", "2026-03-09 00:00:00",
    "2026-03-09 00:00:00 UTC", "2026-03-09 00:00:00 +0000", "2026-03-09T00:00:00.000Z", "2026-03-09T00:00:00.0000000Z",
    "2026-03-09T00:00Z", "2026-03-09T01:00:00+01:00", "2026-03-08T19:00:00-0500", "2026-03-09 01:00:00 CET",
    "2026-03-09T05:30:00+05:30", "Mon, 09 Mar 2026 00:00:00 +0000", "Mon, 9 Mar 2026 01:00:00 +0100 (CET)",
    "Mon, 09 Mar 2026 00:00:00 GMT", "9 Mar 2026 01:00:00 CET", "Sun, 8 Mar 2026 19:00:00 EST", "Sun, 8 Mar 2026 17:00:00 PDT", "20260309T000000Z",
])
def test_a_moment_is_read_however_it_is_written(text):
    parsed = moment(text)
    assert parsed is not None
    assert (parsed.replace(microsecond=0), parsed.utcoffset()) == (DAY, UTC.utcoffset(None))


@pytest.mark.parametrize("text", ["1773100799999", "1773100799.999", "1773100799999999", "2026-03-09T23:59:59.999Z"])
def test_fractions_of_a_second_do_not_round_into_the_next_day(text):
    assert moment(text) is not None
    assert moment(text).replace(microsecond=0) == AT


def test_fractions_are_kept():
    assert moment("1773014400123").microsecond == moment("2026-03-09T00:00:00.123Z").microsecond == 123_000


@pytest.mark.parametrize("text", ["", " ", "yesterday", "-5", "9" * 21, "2026-13-01", "2026-03-09T25:00:00Z",
                                  "2026-03-09 00:00:00 XYZ", "1e9", "12:00", "Tue, 99 Jul 2026 25:61:00",
                                  "0001-01-01T00:00:00+23:59"])
def test_what_is_no_moment_is_not_read_as_one(text):
    assert moment(text) is None
