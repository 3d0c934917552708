"""Sums over a window."""


import pytest
from sqlalchemy import event

from monitor.facts import Store, windows
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


def test_a_window_reads_its_series_and_its_time_and_sorts_no_reading(sqlite_store: Store):
    asked = []
    with sqlite_store.engine.connect() as connection:
        event.listen(connection, "before_cursor_execute", lambda *told: asked.append(told[2:4]))
        windows.window_counts(connection, ["delivered", "complaint"], ["customer"], (T, minutes(60)))
        query, values = asked[-1]
        plan = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}", values)]
    assert "SEARCH reading USING PRIMARY KEY (series_id=? AND at>? AND at<?)" in plan
    assert [step for step in plan if "TEMP B-TREE" in step] == plan[-1:]  # of the sums of the series
