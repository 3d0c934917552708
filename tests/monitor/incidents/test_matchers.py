"""Matchers read and compare as Alertmanager's."""

from datetime import UTC, datetime

import pytest

from monitor.incidents.matchers import parse
from monitor.incidents.schedule import read_schedule

LABELS = {"rule": "ip-listed", "customer": "acme"}


@pytest.mark.parametrize(("text", "matches"), [
    ("rule=ip-listed", True), ('rule="ip-listed"', True), ("rule!=ip-listed", False), ("rule=~ip-.*", True), ("rule=~ip", False),
    ('rule!~"ip-.*"', False), ("alertname=ip-listed", True), ("pool=", True), ("pool!=shared", True), ("pool=~.+", False),
    (' customer =~ "acme|bolt" ', True), (r'rule="a\"b"', False),
])  # fmt: skip
def test_a_matcher_compares_the_whole_value_and_a_missing_label_is_empty(text, matches):
    assert parse(text).matches(LABELS) is matches
    assert parse(str(parse(text))) == parse(text)


@pytest.mark.parametrize("text", ["", "rule", "=x", "1a=x", 'rule=~"("', "rule=~a**"])
def test_what_is_none_is_refused(text):
    with pytest.raises(ValueError, match=r"write NAME|the pattern ends|repeat of a repeat"):
        parse(text)


def at(text):
    return datetime.fromisoformat(text).astimezone(UTC)


def test_a_schedule_goes_by_the_clocks_of_its_zone_and_over_midnight():
    nights = read_schedule({"days": ["sat"], "from": "22:00", "to": "02:00", "zone": "Europe/Paris"})
    assert nights.holds(at("2026-01-03T22:30:00+01:00"))
    assert nights.holds(at("2026-01-04T01:59:00+01:00"))
    assert not nights.holds(at("2026-01-04T22:30:00+01:00"))
    assert not nights.holds(at("2026-01-03T01:00:00+01:00"))
    assert nights.holds(at("2026-07-04T22:30:00+02:00"))
    assert read_schedule(nights.stored) == nights


def test_a_whole_day_ends_where_the_next_begins_also_when_clocks_change():
    sundays = read_schedule({"days": ["sun"], "from": "00:00", "to": "00:00", "zone": "Europe/Paris"})
    assert sundays.holds(at("2026-03-29T23:59:00+02:00"))
    assert sundays.holds(at("2026-03-29T00:00:00+01:00"))
    assert not sundays.holds(at("2026-03-30T00:00:00+02:00"))


@pytest.mark.parametrize("written", [
    {"days": ["sunday"], "from": "1:00", "to": "2:00"}, {"days": [], "from": "01:00", "to": "02:00"}, {"from": "01:00"},
    {"from": "25:00", "to": "02:00"}, {"from": "01:00", "to": "02:00", "zone": "Mars/Olympus"}, {"from": "01:00", "to": "02:00", "x": 1},
])  # fmt: skip
def test_a_schedule_nobody_can_read_is_refused(written):
    with pytest.raises(ValueError, match="schedule:"):
        read_schedule(written)
