"""Counts in memory are those of the database, whatever happened."""

from contextlib import closing
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from collectors.observation import Batch, Observation, Subject
from monitor.config.settings import Retention
from monitor.intake.consequences import open_store
from monitor.judging import counters as in_memory
from monitor.judging.counters import Counters
from tests.monitor.conftest import T

MEASURES = ("delivered", "complaint")
LONGEST = timedelta(days=3)
BY = (("customer", "stream", "provider"), ("customer",), ("ip", "provider"), ())
KEEP = Retention(readings=timedelta(days=3), hourly=timedelta(days=400), daily=timedelta(days=400))

subjects = st.builds(
    Subject, customer=st.sampled_from(["acme", "bolt", None]), stream=st.sampled_from(["news", None]),
    provider=st.sampled_from(["gmail", "orange"]), ip=st.sampled_from(["192.0.2.1", None]),
)  # fmt: skip
facts = st.lists(
    st.tuples(st.sampled_from([*MEASURES, "block"]), subjects, st.integers(0, 5000), st.integers(0, 9)), min_size=1, max_size=5
)
steps = st.one_of(
    st.tuples(st.just("intake"), facts),
    st.tuples(st.just("wait"), st.integers(1, 2000)),
    st.tuples(st.sampled_from(["look", "roll up", "prune", "forget log", "restart"]), st.none()),
)


class World:
    """A store, counters that follow it, and a clock."""

    def __init__(self, store):
        self.store, self.now, self.serial, self.left = store, T + timedelta(days=40), 0, 0
        self.restart()

    def restart(self, _=None):
        self.counters = Counters(self.store, MEASURES, LONGEST)
        self.look()

    def wait(self, minutes):
        self.now += timedelta(minutes=minutes)

    def intake(self, counted):
        self.serial += 1
        self.store.intake([Batch("mta", f"{self.now}{self.serial}", self.now, tuple(
            Observation(measure, subject, self.now - timedelta(minutes=minutes), float(value))
            for measure, subject, minutes, value in counted
        ))], self.now)  # fmt: skip

    def roll_up(self, _):
        self.store.roll_up()

    def prune(self, _):
        self.store.prune(self.now, KEEP)

    def forget_log(self, _):
        self.store.forget_count_log(self.now)

    def look(self, _=None):
        """Every window by everything is what the database says, or is left to it."""
        self.counters.follow(self.now)
        until = self.now + timedelta(microseconds=1)
        for hours in (0.5, 3, 24, 71.9):
            for by in BY:
                for where in (None, {"customer": "acme"}):
                    since = until - timedelta(hours=hours)
                    counted = self.counters.counts(MEASURES, by, (since, until), where)
                    if counted is None:
                        self.left += 1
                    else:
                        truth = self.store.window_counts(MEASURES, by, since, until, where=where, or_unknown=True)
                        assert counted == truth, (hours, by, where)


@given(story=st.lists(steps, min_size=1, max_size=10))
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_counters_say_what_the_database_says_after_any_history(store, story):
    _empty(store)
    world = World(store)
    for step, value in story:
        getattr(world, step.replace(" ", "_"))(value)
    world.look()
    world.restart()


def test_long_after_the_last_fact_and_long_after_the_last_look(store):
    _empty(store)
    world = World(store)
    about = Subject(customer="acme", provider="gmail")
    for minutes in (10, 60 * 13, 60 * 24 * 20):
        world.intake([("delivered", about, 0, 5), ("complaint", about, 90, 1)])
        world.look()
        world.wait(minutes)
        world.look()
    assert world.left == 0


def test_a_series_that_counted_only_zeros_was_measured(store):
    world = World(store)
    world.intake([("complaint", Subject(customer="acme"), 5, 0)])
    world.look()
    span = (world.now - timedelta(hours=1), world.now + timedelta(hours=1))
    assert world.counters.counts(["complaint"], ["customer"], span) == {("acme",): {"complaint": 0}}


def test_what_is_too_much_for_memory_is_left_to_the_database(store, monkeypatch):
    world = World(store)
    world.intake([("complaint", Subject(customer="acme"), 5, 1)])
    monkeypatch.setattr(in_memory, "MOST_BYTES", 1_000)
    world.restart()
    assert world.counters.size == 0
    assert world.left == 2 * 4 * len(BY)


def test_windows_longer_than_what_is_kept_and_other_measures_are_left_to_the_database(store):
    world = World(store)
    until = world.now
    assert world.counters.counts(["delivered"], [], (until - LONGEST * 2, until)) is None
    assert world.counters.counts(["block"], [], (until - LONGEST, until)) is None


def test_facts_of_another_process_are_followed(store, database_url):
    world = World(store)
    with closing(open_store(database_url)) as other:
        mine, world.store = world.store, other
        world.intake([("delivered", Subject(customer="acme"), 5, 7)])
        world.store = mine
    world.look()
    span = (world.now - timedelta(hours=1), world.now)
    assert world.counters.counts(["delivered"], [], span) == {(): {"delivered": 7}}


def test_what_happened_is_followed_and_not_counted_anew(store, monkeypatch):
    world = World(store)
    world.intake([("delivered", Subject(customer="acme"), 5, 7)])
    world.look()
    monkeypatch.setattr(Counters, "_build", lambda *_: pytest.fail("built anew"))
    world.intake([("delivered", Subject(customer="bolt"), 5, 7)])
    world.look()
    world.store.roll_up()
    world.look()


def _empty(store):
    with store.engine.begin() as connection:
        for name in ("reading", "reading_hourly", "reading_daily", "rollup_due", "counted", "batch", "setting"):
            where = " WHERE name = 'readings_pruned_to'" if name == "setting" else ""
            connection.execute(text(f"DELETE FROM {name}{where}"))
