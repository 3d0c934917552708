"""Hours and days agree with the readings they were made from."""

import random
from collections import defaultdict
from contextlib import closing
from datetime import timedelta

import pytest
from sqlalchemy import event

from monitor.database.tables import Daily, Hourly, Reading, RollupDue
from monitor.facts import Store, rollups
from monitor.intake.consequences import open_store
from tests.monitor.conftest import Rows, T, batch, counted, listing, minutes


@pytest.fixture(params=[1, 2_000], ids=["together", "one by one"], autouse=True)
def together(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Both ways of rolling up on PostgreSQL, whatever is due."""
    monkeypatch.setattr(rollups, "_MANY", request.param)
    return request.param == 1


def test_an_hour_holds_sum_extremes_last_and_how_often_nothing_was_known(store: Store, rows: Rows):
    store.intake([batch("1", *(listing(minutes(at), v) for at, v in [(0, 0), (10, 1), (20, None), (70, 0)]))], minutes(70))
    assert store.roll_up() == 2
    first, second = rows(Hourly)
    assert (first.start, first.readings, first.unknowns, first.total) == (T, 3, 1, 1)
    assert (first.lowest, first.highest, first.last) == (0, 1, 1)
    assert (second.start, second.last) == (minutes(60), 0)
    [day] = rows(Daily)
    assert (day.start, day.readings, day.unknowns, day.lowest, day.highest, day.last) == (
        T.replace(hour=0), 4, 1, 0, 1, 0,
    )


def test_roll_ups_agree_with_the_readings_after_any_mix_of_late_facts(store: Store, rows: Rows):
    chance = random.Random(7)
    for key in range(12):
        facts = [
            counted(minutes(chance.randrange(4000)), chance.randrange(9), ip=f"192.0.2.{chance.randrange(5)}")
            for _ in range(40)
        ]
        store.intake([batch(f"{key}", *facts)], minutes(4000))
        if chance.random() < 0.6:
            store.roll_up()
    store.roll_up()
    hours: dict[object, float] = defaultdict(float)
    days: dict[object, float] = defaultdict(float)
    for row in rows(Reading):
        hours[row.series_id, row.at.replace(minute=0)] += row.value
        days[row.series_id, row.at.replace(minute=0, hour=0)] += row.value
    assert {(row.series_id, row.start): row.total for row in rows(Hourly)} == hours
    assert {(row.series_id, row.start): row.total for row in rows(Daily)} == days
    assert rows(RollupDue) == []


def test_rolling_up_again_changes_nothing_and_a_new_reading_makes_its_hour_due(store: Store, rows: Rows):
    store.intake([batch("1", counted(T, 2))], T)
    assert (store.roll_up(), store.roll_up()) == (1, 0)
    store.intake([batch("2", counted(T, 3))], T)
    assert store.roll_up() == 1
    assert [row.total for row in rows(Hourly)] == [row.total for row in rows(Daily)] == [5]


def test_rolling_up_stops_at_its_limit_with_the_oldest_done(store: Store, rows: Rows):
    hours = [0, 1, 24, 25, 26]
    store.intake([batch("1", *(counted(minutes(60 * hour)) for hour in hours))], minutes(60 * 30))
    assert store.roll_up(limit=1) == 2  # whole days
    assert [row.start for row in rows(Hourly)] == [T, minutes(60)]
    assert store.roll_up() == 3


def test_an_hour_whose_readings_may_be_pruned_is_left_as_it_was(store: Store, rows: Rows):
    store.intake([batch("1", counted(T, 2))], T)
    store.roll_up()
    store.prune(T + timedelta(days=200))
    store.intake([batch("2", counted(minutes(1), 3))], T + timedelta(days=200))
    assert store.roll_up() == 1
    assert [row.total for row in rows(Hourly)] == [2]


@pytest.mark.real("postgres")
def test_no_row_is_compared_with_every_other_though_the_statistics_know_of_none(postgres_cluster, together):
    """As just after midnight: it is known how much is due, and there was no hour of this day yet when it was counted."""
    plans = []

    def note(connection, cursor, statement, parameters, _context, _many) -> None:
        if statement.startswith("INSERT INTO reading_"):
            cursor.execute("SET LOCAL enable_seqscan = off")  # the tables are so small that it reads all of them
            cursor.execute(f"EXPLAIN (FORMAT JSON) {statement}", parameters)
            plans.extend(each["Plan"] for each in cursor.fetchone()[0])

    with closing(open_store(postgres_cluster.fresh_database())) as store:
        store.intake([batch("old", *(counted(T, ip=f"192.0.2.{each}") for each in range(250)))], T)
        store.roll_up()
        store.intake([batch("new", *(counted(minutes(1500), ip=f"192.0.2.{each}") for each in range(250)))], minutes(1500))
        with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("ANALYZE")
        event.listen(store.engine, "before_cursor_execute", note)
        store.roll_up()
    assert len(plans) == 2
    loops = [node for node in every_node(plans) if node["Node Type"] == "Nested Loop"]
    if together:
        assert loops == []
    assert not [loop for loop in loops if "Join Filter" in loop]


def every_node(plans):
    waiting = list(plans)
    while waiting:
        node = waiting.pop()
        waiting += node.get("Plans", [])
        yield node
