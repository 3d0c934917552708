"""What explains an answer is written and read as a record, whatever stands in the database."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.details import (
    CanaryFailures,
    Detail,
    ListAnswer,
    ListSeverity,
    ReadFailure,
)
from collectors.measures import MEASURES, MeasureKind

RECORDS = (
    ListAnswer(), CanaryFailures(), ReadFailure(), Detail(),
    ListAnswer(
        ("127.0.0.2", "127.0.0.3"), ("SBL",), ("spam",), ("127.0.0.9",), ListSeverity.CRITICAL, 0.9, policy=True, finding=False,
        text="see https://example.com/", why="so it is", ttl_seconds=300, void_since=datetime(2026, 1, 5, 12, tzinfo=UTC),
    ),
    CanaryFailures({"192.0.2.53:53": "timeout: no answer"}), ReadFailure("auth", "LOGIN refused"),
)  # fmt: skip
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4), max_leaves=8,
)
NAMES = st.sampled_from([*ListAnswer.__slots__, *ReadFailure.__slots__, "kind", "operator"])


@pytest.mark.parametrize("record", RECORDS, ids=repr)
def test_a_record_that_was_stored_is_read_as_it_was(record):
    assert type(record).decode(json.loads(json.dumps(record.encode()))) == record


def test_what_is_as_usual_is_not_written():
    assert ListAnswer(ttl_seconds=300).encode() == {"ttl_seconds": 300}


@pytest.mark.parametrize("kind", [ListAnswer, CanaryFailures, ReadFailure, Detail])
@given(stored=ANYTHING | st.dictionaries(NAMES, ANYTHING, max_size=6))
def test_whatever_is_stored_is_read(kind, stored):
    record = kind.decode(stored)
    assert type(record) is kind
    assert kind.decode(record.encode()) == record


def test_a_field_nobody_can_read_leaves_the_others():
    stored = {"codes": ["127.0.0.2"], "weight": "heavy", "severity": "dire", "void_since": "yesterday", "ttl_seconds": -1, "meanings": "SBL"}
    assert ListAnswer.decode(stored) == ListAnswer(codes=("127.0.0.2",))


def test_severities_have_an_order_and_the_gravest_is_first():
    assert sorted(ListSeverity, key=lambda each: each.rank) == list(ListSeverity)


def test_only_what_is_not_added_up_is_explained():
    assert not [name for name, measure in MEASURES.items() if measure.detail is not Detail and measure.kind is MeasureKind.COUNT]
    assert {name for name, measure in MEASURES.items() if measure.detail is not Detail} == {
        "listing", "list_score", "canary", "mailbox_read", "source_access", "google_compliance",
    }  # fmt: skip
