"""What still fires: reminders, steps, the end of an acknowledgement, flapping, inhibition; each once, whoever passes."""

from datetime import timedelta

import pytest

from monitor.database.tables import Incident
from monitor.incidents.changes import acknowledge
from monitor.incidents.matchers import parse
from monitor.notify.follow_up import FollowUp
from monitor.notify.message import Receiver
from monitor.notify.outbox import newest_notifications
from monitor.notify.routing import Flapping, Inhibition, Route, Routing, Step
from tests.monitor.judging.test_passes import LISTED, RATE
from tests.monitor.judging.world import World

MINUTE = timedelta(minutes=1)
ROOT = Route(receiver="cell", repeat_interval=60 * MINUTE, escalate=(Step(15 * MINUTE, "lead"), Step(30 * MINUTE, "boss")))
RECEIVERS = [Receiver("cell"), Receiver("lead"), Receiver("boss")]


@pytest.fixture
def world(store):
    made = World(store, [RATE, LISTED])
    made.restarted(routing=Routing(RECEIVERS, ROOT, flapping=Flapping(3, timedelta(hours=3))))
    return made


def follow(world):
    FollowUp(world.store, world.judge.routing, lambda: world.now, {rule.id: rule for rule in world.judge.rules}).run()


def heard(world):
    with world.store.reading_session() as session:
        rows = newest_notifications(session, 100)
    return [(row.receiver, row.title.split("]")[0].lstrip("[")) for row in reversed(rows)]


def pass_time(world, minutes):
    for _ in range(minutes):
        world.wait(minutes=1)
        follow(world)
        follow(world)


def listed(world, yes, ip="192.0.2.1"):
    world.answers(yes, ip=ip)
    world.judged()
    world.wait(minutes=2)
    world.answers(yes, ip=ip)
    world.judged()


def test_nobody_looks_after_it_so_the_next_are_notified_once_and_all_are_reminded(world):
    listed(world, True)
    pass_time(world, 12)
    assert heard(world) == [("cell", "FIRING")]
    pass_time(world, 20)
    assert heard(world)[1:] == [("lead", "ESCALATED"), ("boss", "ESCALATED")]
    pass_time(world, 90)
    assert heard(world)[3:] == [("cell", "STILL FIRING"), ("cell", "STILL FIRING")]
    for _ in range(3):
        listed(world, False)
    assert sorted(heard(world)[5:]) == [("boss", "RESOLVED"), ("cell", "RESOLVED"), ("lead", "RESOLVED")]


def test_an_acknowledgement_holds_all_that_back_until_its_time_is_over(world):
    listed(world, True)
    with world.store.session() as session:
        acknowledge(session, world.incident().id, actor="dana", reason="on it", now=world.now, until=world.now + 120 * MINUTE)
    pass_time(world, 119)
    assert heard(world) == [("cell", "FIRING")]
    pass_time(world, 2)
    assert world.incident().acked_at is None
    assert heard(world)[1:] == [("cell", "STILL FIRING")]
    pass_time(world, 16)
    assert heard(world)[2:] == [("lead", "ESCALATED")]


def test_an_acknowledgement_ends_when_it_gets_worse(world):
    listed(world, True)
    with world.store.session() as session:
        acknowledge(session, world.incident().id, actor="dana", reason="on it", now=world.now)
    listed(world, True, ip="192.0.2.2")
    world.wait(minutes=2)
    world.judged()
    assert heard(world)[1:] == [("cell", "MORE")]
    assert world.incident().acked_at is None


def test_what_flaps_is_said_once_and_then_only_when_it_lasts(world):
    for _ in range(6):
        listed(world, True)
        for _ in range(3):
            listed(world, False)
    words = [word for _, word in heard(world)]
    assert words[:2] == ["FIRING", "RESOLVED"]  # before the pool of the address was known: about another group
    assert words[2:] == ["FIRING", "RESOLVED", "FIRING", "RESOLVED", "FLAPPING", "RESOLVED"]
    listed(world, True)
    world.wait(minutes=61)
    world.judged()
    assert heard(world)[8:] == [("cell", "FLAPPING")]


def test_what_another_explains_is_quiet_until_that_is_over(world):
    world.restarted(routing=Routing(RECEIVERS, inhibitions=[Inhibition((parse("rule=complaint-rate"),), (parse("rule=ip-listed"),))]))
    world.sent(20_000, 150)
    world.judged()
    listed(world, True)
    assert {row.rule for row in world.rows(Incident)} == {"complaint-rate", "ip-listed"}
    with world.store.reading_session() as session:
        assert {row.details["labels"]["rule"] for row in newest_notifications(session, 100)} == {"complaint-rate"}
    world.restarted(rules=[LISTED])  # the other ends: its rule is gone
    world.answers(True)
    world.judged()
    with world.store.reading_session() as session:
        assert "ip-listed" in {row.details["labels"]["rule"] for row in newest_notifications(session, 100)}
