"""Sums over a window."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event, text

from monitor.facts import Store, windows
from monitor.facts.spans import spans
from tests.monitor.conftest import T, batch, counted, minutes


@pytest.fixture
def filled(store: Store) -> Store:
    """Acme at two providers and Bolt at one: a delivery a minute for an hour, a complaint of Acme's at 30."""
    for name, provider in [("acme", "gmail"), ("acme", "orange"), ("bolt", "gmail")]:
        each = [counted(minutes(at), customer=name, provider=provider) for at in range(60)]
        store.intake([batch(f"{name} {provider}", *each)], minutes(60))
    complaint = counted(minutes(30), measure="complaint", customer="acme", provider="gmail")
    store.intake([batch("late", complaint)], minutes(120))
    return store


def test_counts_are_summed_per_group_and_what_was_not_measured_is_left_out(filled: Store):
    assert filled.window_counts(["delivered", "complaint"], ["customer", "provider"], T, minutes(60)) == {
        ("acme", "gmail"): {"delivered": 60, "complaint": 1},
        ("acme", "orange"): {"delivered": 60},
        ("bolt", "gmail"): {"delivered": 60},
    }


def test_a_window_holds_its_beginning_and_not_its_end(filled: Store):
    counts = filled.window_counts(["delivered"], ["customer"], minutes(10), minutes(20), where={"provider": "gmail"})
    assert counts == {("acme",): {"delivered": 10}, ("bolt",): {"delivered": 10}}


def test_a_window_over_everything_is_one_group(filled: Store):
    assert filled.window_counts(["delivered"], [], T, minutes(1)) == {(): {"delivered": 3}}


def test_a_backtest_sees_only_what_was_known(filled: Store):
    for known_by, expected in [(minutes(119), {}), (minutes(120), {("acme",): {"complaint": 1}})]:
        assert filled.window_counts(["complaint"], ["customer"], T, minutes(60), known_by=known_by) == expected


def test_a_series_without_the_dimension_is_the_group_none(filled: Store):
    filled.intake([batch("ip", counted(T, ip="192.0.2.1"))], T)
    counts = filled.window_counts(["delivered"], ["provider"], T, minutes(1))
    assert counts == {("gmail",): {"delivered": 2}, ("orange",): {"delivered": 1}, (None,): {"delivered": 1}}


def test_a_dimension_that_is_none_is_refused(filled: Store):
    with pytest.raises(ValueError, match="'weather' is no dimension"):
        filled.window_counts(["delivered"], ["weather"], T, minutes(1))
    with pytest.raises(ValueError, match="'1=1--' is no dimension"):
        filled.window_counts(["delivered"], [], T, minutes(1), where={"1=1--": "x"})


def test_the_sums_are_the_same_whether_series_are_looked_up_or_the_time_is_read(filled: Store, monkeypatch: pytest.MonkeyPatch):
    def sums():
        return [filled.window_counts(["delivered"], ["provider"], T, minutes(9), where=where) for where in ({}, {"customer": "acme"})]

    looked_up = sums()
    monkeypatch.setattr(windows, "_FEW", 0)
    monkeypatch.setattr(windows, "_FEW_OF_ALL", 0.0)
    assert sums() == looked_up
    assert all(looked_up)


def steps(store: Store, by: list[str], since: datetime, until: datetime) -> list[str]:
    """How SQLite goes about the last query of a window."""
    queries = []

    def note(_connection, _cursor, statement, parameters, _context, _many) -> None:
        queries.append((statement, parameters))

    with store.engine.connect() as connection:
        event.listen(connection, "before_cursor_execute", note)
        windows.window_counts(connection, ["delivered"], by, (since, until))
        statement, parameters = queries[-1]
        return [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)]


def test_sqlite_goes_from_the_series_into_the_keys_and_sorts_no_reading(sqlite_store: Store):
    plan = steps(sqlite_store, ["customer"], minutes(5), T + timedelta(days=9))
    for key in ("reading USING PRIMARY KEY (series_id=? AND at>? AND at<?)",
                "reading_hourly USING PRIMARY KEY (series_id=? AND start>? AND start<?)",
                "reading_daily USING PRIMARY KEY (series_id=? AND start>? AND start<?)"):
        assert f"SEARCH {key}" in plan
    assert [step for step in plan if "TEMP B-TREE" in step] == ["USE TEMP B-TREE FOR GROUP BY"]  # of the sums of the series


def test_a_long_window_reads_days_and_hours_where_it_can_and_readings_at_its_edges():
    first = datetime(2026, 1, 2, 3, 20, tzinfo=UTC)
    at = {name: first.replace(minute=0, hour=0) + timedelta(**span) for name, span in {
        "4h": {"hours": 4}, "1d": {"days": 1}, "7d": {"days": 7}, "7d5h": {"days": 7, "hours": 5},
        "7d6h": {"days": 7, "hours": 6}, "7d6h10m": {"days": 7, "hours": 6, "minutes": 10},
    }.items()}
    whole = spans((first, at["7d6h10m"]), ())
    assert whole == (
        ((at["1d"], at["7d"]),), ((at["4h"], at["1d"]), (at["7d"], at["7d6h"])), ((first, at["4h"]), (at["7d6h"], at["7d6h10m"])),
    )
    # hours at the end that are due are read; one far back is put right
    due = spans((first, at["7d6h10m"]), {at["7d5h"], at["4h"]})
    assert due.hours == ((at["4h"], at["1d"]), (at["7d"], at["7d5h"]))
    assert due.readings == ((first, at["4h"]), (at["7d5h"], at["7d6h10m"]))


hours = st.integers(0, 24 * 9)
moments = st.builds(lambda hour, minute: minutes(60 * hour + minute), hours, st.sampled_from([0, 0, 17, 59]))
facts = st.tuples(moments, st.sampled_from([0, 1, 2, 0.5]), st.sampled_from(["acme", "bolt"]), st.sampled_from(["gmail", "orange"]))
acts = st.lists(st.one_of(st.lists(facts, max_size=8), st.sampled_from(["roll up", "some"])), min_size=1, max_size=12)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(story=acts, windows=st.lists(st.tuples(moments, moments), min_size=1, max_size=6), known=st.sampled_from([None, 2, 5]))
@pytest.mark.timeout(900)
def test_any_window_is_the_sum_of_its_readings_whatever_was_rolled_up(store: Store, story, windows, known):
    empty(store)
    taken: list[tuple[datetime, float, str, str, datetime]] = []
    for number, act in enumerate(story):
        if isinstance(act, str):
            store.roll_up(*([] if act == "roll up" else [1]))
            continue
        now = T + timedelta(days=20, minutes=number)
        made = [counted(at, value, customer=customer, provider=provider) for at, value, customer, provider in act]
        store.intake([batch(f"{number}", *made)], now)
        taken += [(*fact, now) for fact in act]
    known_by = known and T + timedelta(days=20, minutes=known)
    for since, until in windows:
        inside = [fact for fact in taken if since <= fact[0] < until and (known_by is None or fact[4] <= known_by)]
        by_customer: dict[tuple[str], dict[str, float]] = {}
        for _, value, customer, *_ in inside:
            by_customer.setdefault((customer,), {"delivered": 0})["delivered"] += value
        assert store.window_counts(["delivered", "complaint"], ["customer"], since, until, known_by=known_by) == by_customer
        orange = sum(value for _, value, customer, provider, _ in inside if (customer, provider) == ("acme", "orange"))
        counts = store.window_counts(
            ["delivered"], [], since, until, known_by=known_by, where={"customer": "acme", "provider": "orange"}
        )
        assert counts.get((), {}).get("delivered", 0) == orange


def empty(store: Store) -> None:
    """As it was at first: quicker than a new database for each example."""
    with store.session() as session:
        for name in ("reading", "reading_hourly", "reading_daily", "rollup_due", "counted", "batch"):
            session.execute(text(f"DELETE FROM {name}"))


def test_of_readings_that_are_gone_the_roll_ups_answer(store: Store):
    store.intake([batch("1", counted(T, 5), counted(minutes(90), 2))], minutes(90))
    store.prune(T + timedelta(days=200))
    whole = (T - timedelta(days=1), T + timedelta(days=30))
    assert store.window_counts(["delivered"], [], *whole) == {(): {"delivered": 7}}
    assert store.window_counts(["delivered"], [], minutes(60), minutes(120)) == {(): {"delivered": 2}}
    # a fact that comes later than that changes no sum of what is gone
    store.intake([batch("2", counted(T, 1))], T + timedelta(days=200))
    assert store.window_counts(["delivered"], [], *whole) == {(): {"delivered": 7}}
