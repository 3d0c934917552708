"""The numbers of a verdict: a record per condition, JSON in the rows, and back."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import get_args

import pytest

from monitor.rules.conditions.absence import AbsenceNumbers
from monitor.rules.conditions.change import ChangeNumbers, LostTarget
from monitor.rules.conditions.count import CountNumbers
from monitor.rules.conditions.excess_rule import ExcessNumbers
from monitor.rules.conditions.listing import ListedTarget, ListingNumbers
from monitor.rules.conditions.ratio import RatioNumbers
from monitor.rules.conditions.shortfall import ShortfallNumbers
from monitor.rules.conditions.state import StateNumbers
from monitor.rules.conditions.table import AnyNumbers, numbers_of
from monitor.rules.conditions.value import ValueNumbers
from monitor.rules.member_numbers import MemberNumbers, WholeNumbers
from monitor.rules.numbers import NOTHING, Numbers

AT = datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)
RATIO = RatioNumbers(words="complaint rate", numerator=82, denominator=20_000, line=0.003, since=AT)
LISTED = ListedTarget(target="192.0.2.7", name="Spamhaus ZEN", dnsbl="zen", customer="acme", codes=("127.0.0.2",), meaning="SBL")
MEMBER = MemberNumbers(incident="inc-1", rule="ip-listed", subject={"pool": "acme"}, severity="critical", state="firing", summary="listed")
RECORDS = [
    NOTHING, RATIO, replace(RATIO, rate=0.0041, lower=0.003, upper=0.005, confidence=0.975, numerator_perhaps=7, parts=3),
    ExcessNumbers(words="complaint rate", numerator=9, denominator=900, line=0.003, since=AT, exposed=800, evidence=1e4, text="held"),
    CountNumbers(count=3, line=2.0, since=AT), ValueNumbers(scores={"192.0.2.7@senderscore": 42.0}, line=50.0),
    ChangeNumbers(lost=(LostTarget(target="192.0.2.7", name="CSA", changed_at=AT),)),
    StateNumbers(since=AT, detail={"a resolver": "refused"}), StateNumbers(since=AT, detail={}, reason="auth"),
    AbsenceNumbers(reason="stale", since=AT), ListingNumbers(listed=(LISTED, replace(LISTED, first_seen_at=AT, isps=("Gmail",)))), LISTED,
    ShortfallNumbers(reports=0, delivered=30_000, since=AT, days=14, expected=120.0),
    WholeNumbers(members=(MEMBER,), member_count=2, rules=("ip-listed",), listed=(LISTED,)),
]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_a_record_is_read_back_as_it_was_written(record):
    assert numbers_of(json.loads(json.dumps(record.encode()))) == record
    worst = replace(record, now="milder by now")
    assert numbers_of(worst.encode()) == worst


def test_every_record_is_tried_above():
    assert {type(record) for record in RECORDS} == set(get_args(AnyNumbers))


@pytest.mark.parametrize("stored", [
    None, [], "text", {"denominator": "many"}, {"listed": [{"target": 7}]}, {"exposed": 1}, {"colour": "red"}, {"count": float("nan"), "line": {}},
])
def test_what_cannot_be_read_says_nothing_and_stops_nobody(stored):
    assert numbers_of(stored) == Numbers()


def test_a_row_of_a_release_with_fewer_or_more_fields_is_read():
    row = {"target": "192.0.2.7", "dnsbl": "zen", "name": "Spamhaus ZEN", "codes": [], "meaning": "SBL", "colour": "red"}
    numbers = numbers_of({"listed": [row]})
    assert isinstance(numbers, ListingNumbers)
    assert (numbers.targets, numbers.customers, numbers.gravity) == (["192.0.2.7"], set(), (0.0, 1))
    assert numbers.encode()["listed"][0]["customer"] is None
