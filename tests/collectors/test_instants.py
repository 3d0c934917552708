from datetime import UTC, datetime, timedelta, timezone

import pytest

from collectors.instants import EARLIEST, LATEST, checked, clamped

WEST = timezone(timedelta(hours=-14))
EAST = timezone(timedelta(hours=14))


@pytest.mark.parametrize("at", [
    datetime(9999, 12, 31, 23, 59, 59, tzinfo=WEST),
    datetime(1, 1, 1, tzinfo=EAST),
    datetime.max.replace(tzinfo=UTC),
    datetime(1969, 12, 31, tzinfo=UTC),
    datetime(2100, 1, 1, tzinfo=UTC),
    datetime(2026, 1, 1),
])  # fmt: skip
def test_an_instant_that_no_calendar_holds_is_refused(at):
    with pytest.raises(ValueError, match=r"between 1970 and 2100|no time zone"):
        checked(at)


def test_an_instant_is_utc_afterwards():
    assert checked(datetime(2026, 1, 1, 2, tzinfo=EAST)) == datetime(2025, 12, 31, 12, tzinfo=UTC)
    assert checked(datetime(2026, 1, 1, 2, tzinfo=EAST)).tzinfo is UTC


def test_what_must_be_read_is_read():
    assert clamped(datetime(9999, 12, 31, 23, 59, 59, tzinfo=WEST)) == LATEST
    assert clamped(datetime(1, 1, 1, tzinfo=EAST)) == EARLIEST
    assert clamped(datetime(2026, 1, 1)) == datetime(2026, 1, 1, tzinfo=UTC)
