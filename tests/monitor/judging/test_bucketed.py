"""Counts in buckets of five minutes (`engine.bucket`): what is held, and when again after a lift."""

from contextlib import closing
from datetime import timedelta

import pytest

from monitor.database.tables import Suspension
from monitor.intake.consequences import open_store
from monitor.restrictions.suspensions import lift
from monitor.rules.conditions.table import RULE
from tests.monitor.judging.world import World

RATE = RULE.validate_python({
    "id": "rate", "condition": "ratio", "signal": "complaints", "window": "1h", "above": "0.3%", "clear": {"below": "0.1%"},
    "effect": {"action": "hold", "scope": ["customer", "stream"], "at_most": "12h"},
})  # fmt: skip


@pytest.fixture
def world(store, database_url):
    with closing(open_store(database_url, bucket=timedelta(minutes=5))) as bucketed:
        yield World(bucketed, [RATE])


def test_bad_mail_is_held_at_once_wherever_in_its_bucket_it_falls(world):
    world.wait(minutes=3, seconds=20)
    world.sent(20_000, 300)
    world.wait(seconds=1)
    world.judged()
    assert len(world.in_force()) == 1


def test_what_lies_before_the_window_is_not_counted(world):
    world.sent(20_000, 300)
    world.wait(minutes=59)
    world.judged()
    assert len(world.in_force()) == 1
    world.wait(minutes=2)
    world.sent(20_000, 1)
    world.judged()
    assert world.incident().evidence["numerator"] == 300
    assert world.incident().state == "ok"


def test_after_a_lift_new_bad_mail_is_held_again_from_the_next_bucket_on(world):
    world.wait(minutes=2)
    world.sent(20_000, 300)
    world.judged()
    with world.store.session() as session:
        lift(session, world.in_force()[0].id, actor="ops", reason="addresses cleaned", now=world.now)
    world.judged()
    assert world.in_force() == []
    world.wait(minutes=2)
    world.sent(20_000, 300)
    world.judged()
    assert world.in_force() == []  # dated by its bucket, which began before the lift
    world.wait(minutes=2)
    world.sent(20_000, 300)
    world.judged()
    assert len(world.in_force()) == 1
    assert len(world.rows(Suspension)) == 2
