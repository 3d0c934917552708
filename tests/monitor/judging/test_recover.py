"""What a rule held comes back step by step, by what is sent meanwhile; the suspensions in force say so at every moment."""

from datetime import timedelta

import pytest

from monitor.database.tables import Outbox, Recovery, Suspension, Transition
from monitor.judging.held import Limits
from monitor.restrictions import recoveries, suspensions
from monitor.restrictions.recovery import Stage
from monitor.rules.conditions.table import RULE
from tests.monitor.judging.world import World

RATE = RULE.validate_python({
    "id": "complaints", "condition": "ratio", "signal": "complaints", "by": ["customer", "stream", "provider"], "window": "1h",
    "above": "0.3%", "clear": {"below": "0.2%"}, "at_least": {"numerator": 5, "denominator": 10},
    "effect": {"action": "hold", "scope": ["customer", "stream", "provider"], "at_most": "1h", "recover": "steady"},
})  # fmt: skip


@pytest.fixture
def world(sqlite_store):
    return World(sqlite_store, [RATE], Limits(max_held_share=1.0))


def held(world):
    world.sent(24_000, 200)
    world.judged()
    (row,) = world.in_force()
    assert (row.effect, row.until) == ("hold", None)
    return row


def recovery(world):
    (row,) = world.rows(Recovery)
    return row


def go_on(world, *, hours, delivered=0, complaints=0):
    """Time goes by and mail is sent, judged every half hour."""
    for _ in range(int(hours * 2)):
        world.wait(minutes=30)
        if delivered:
            world.sent(delivered, complaints)
        world.judged()


def test_a_hold_is_followed_by_a_probe_and_steps_until_all_is_as_before_each_with_its_reason(world):
    held(world)
    assert recovery(world).usual_per_hour == 1000
    go_on(world, hours=1.5)
    (probe,) = world.in_force()
    assert (probe.effect, probe.rate_per_hour, recovery(world).stage) == ("slow", 50, "probing")
    rates = []
    for _ in range(40):
        go_on(world, hours=0.5, delivered=1000)
        rates += [row.rate_per_hour for row in world.in_force()]
    assert recovery(world).ended_at is not None
    assert world.in_force() == []
    assert sorted(set(rates)) == list(dict.fromkeys(rates)) == list(range(50, 1000, 100))
    steps = [row for row in world.rows(Transition) if row.kind == "recovery"]
    assert [row.new for row in steps] == ["held", "probing", *["ramping"] * 9, "normal"]
    assert all(row.why for row in steps)
    for row in world.rows(Suspension):  # one restricts the scope at every moment between
        assert row.lifted_at is None or row.lifts_when


def test_silence_keeps_the_probe_for_ever_and_a_person_is_called_once(world):
    held(world)
    go_on(world, hours=12)
    assert recovery(world).stage == "probing"
    assert [row.rate_per_hour for row in world.in_force()] == [50]
    calls = [row for row in world.rows(Outbox) if row.title.startswith("[CALL]")]
    assert len(calls) == 1
    assert f"vigie gate override {recovery(world).id}" in calls[0].body


def test_what_is_bad_again_while_coming_back_is_held_again_and_longer(world):
    held(world)
    go_on(world, hours=3.5, delivered=1000)
    assert recovery(world).stage == "ramping"
    go_on(world, hours=0.5, delivered=1000, complaints=20)
    (row,) = world.in_force()
    assert (row.effect, recovery(world).stage, recovery(world).relapses) == ("hold", "held", 1)
    go_on(world, hours=1.5)
    assert recovery(world).stage == "held", "twice as long as the first time"
    go_on(world, hours=1)
    assert recovery(world).stage == "probing"


def test_what_a_person_lifts_is_as_before_at_once(world):
    row = held(world)
    world.wait(minutes=1)
    with world.store.session() as session:
        suspensions.lift(session, row.id, actor="dana", reason="the list is repaired", now=world.now)
    go_on(world, hours=0.5)
    assert (recovery(world).stage, world.in_force()) == ("normal", [])


def test_a_person_says_where_it_stands_until_an_instant_and_then_it_goes_on(world):
    held(world)
    with world.store.session() as session:
        recoveries.override(session, recovery(world).id, stage=Stage.RAMPING, rate_per_hour=700, until=world.now + timedelta(hours=5),
                            actor="dana", reason="we know", now=world.now)
    go_on(world, hours=4, delivered=1000)
    assert [(row.effect, row.rate_per_hour) for row in world.in_force()] == [("slow", 700)]
    go_on(world, hours=1.5, delivered=1000)
    assert [row.rate_per_hour for row in world.in_force()] == [800]


def test_an_override_to_normal_is_not_held_against_until_it_ends(world):
    held(world)
    with world.store.session() as session:
        recoveries.override(session, recovery(world).id, stage=Stage.NORMAL, until=world.now + timedelta(hours=2), actor="dana",
                            reason="we know", now=world.now)
    go_on(world, hours=1, delivered=1000, complaints=20)
    assert world.in_force() == []
    go_on(world, hours=1.5, delivered=1000, complaints=20)
    assert [row.effect for row in world.in_force()] == ["hold"]


@pytest.mark.parametrize(("change", "says"), [
    ({"stage": Stage.RAMPING}, "needs rate"), ({"rate_per_hour": 5}, "takes no rate"), ({"until": timedelta(0)}, "to come"),
    ({"until": timedelta(days=40)}, "30 days"), ({"reason": " "}, "reason"),
])  # fmt: skip
def test_an_override_that_makes_no_sense_is_refused(world, change, says):
    held(world)
    wanted = {"stage": Stage.NORMAL, "until": timedelta(hours=1), "reason": "x"} | change
    wanted["until"] += world.now
    with world.store.session() as session, pytest.raises(ValueError, match=says):
        recoveries.override(session, recovery(world).id, actor="dana", now=world.now, **wanted)


def test_a_rule_that_no_longer_says_so_ends_the_recovery(world):
    held(world)
    go_on(world, hours=2)
    world.restarted(rules=[])
    world.judged()
    assert (recovery(world).stage, world.in_force()) == ("normal", [])
