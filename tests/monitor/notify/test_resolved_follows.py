"""No receiver is left with something that fires for it and is over: whatever is silenced, rerouted, broken or killed between."""

import random
from contextlib import suppress
from datetime import timedelta

import pytest

from monitor.incidents.matchers import parse
from monitor.incidents.silences import end_silence, silence
from monitor.notify.message import Receiver
from monitor.notify.routing import Inhibition, Route, Routing
from monitor.notify.sender import Sent
from monitor.notify.worker import Worker
from monitor.rules.conditions.table import RULE
from tests.monitor.judging.world import World

RATE = RULE.validate_python({
    "id": "complaint-rate", "condition": "ratio", "signal": "complaints", "severity": "critical", "above": "0.3%", "clear": {"below": "0.1%"},
    "window": "1h",
})
LISTED = RULE.validate_python({"id": "ip-listed", "condition": "listing", "severity": "warning", "min_weight": 0.7})
RECEIVERS = [Receiver("a"), Receiver("b", severities=frozenset({"critical"})), Receiver("c")]
GROUPED = Route(receiver="a", group_by=("rule",), group_wait=timedelta(seconds=30), group_interval=timedelta(minutes=2), routes=(
    Route((parse("severity=critical"),), "b", ("severity",), goes_on=True, name="0"), Route((parse("rule=ip-listed"),), "c", name="1"),
))  # fmt: skip
QUIET = [Inhibition((parse("rule=complaint-rate"),), (parse("rule=ip-listed"),))]
ROUTINGS = (Routing(RECEIVERS), Routing(RECEIVERS, GROUPED), Routing(RECEIVERS[:1]), Routing(RECEIVERS, GROUPED, QUIET), Routing([]))


class Killed(BaseException):
    """What kill -9 is to the code that runs."""


class Recorder:
    """A receiver that fails, or takes the message and then has the sender die before it knows."""

    def __init__(self, dice):
        self.dice, self.trouble, self.heard = dice, 0.0, []

    def send(self, message):
        if self.dice.random() < self.trouble / 2:
            return Sent("refused")
        self.heard.append(message)
        if self.dice.random() < self.trouble / 2:
            raise Killed
        return Sent()


class Story:
    def __init__(self, store, seed):
        self.dice = random.Random(seed)
        self.world = World(store, [RATE, LISTED])
        self.world.restarted(routing=ROUTINGS[0])
        self.receivers = {name: Recorder(self.dice) for name in "abc"}
        self.serial, self.silences = 0, []

    def act(self):
        world, dice = self.world, self.dice
        action = dice.choice(["bad", "good", "listed", "clean", "silence", "end", "route", "trouble", "wait"])
        if action in {"bad", "good"}:
            world.sent(20_000 if action == "bad" else 60_000, 150 if action == "bad" else 0)
        elif action in {"listed", "clean"}:
            world.answers(action == "listed", ip=f"192.0.2.{dice.randrange(1, 5)}", dnsbl=dice.choice(["big", "small"]))
        elif action == "silence":
            with world.store.session() as session:
                until = world.now + timedelta(minutes=dice.randrange(1, 60))
                matcher = dice.choice([{"rule": "ip-listed"}, {"severity": "critical"}, {"customer": "bolt"}])
                self.silences.append(silence(session, matchers=matcher, actor="x", reason="x", now=world.now, until=until).id)
        elif action == "end" and self.silences:
            with world.store.session() as session:
                end_silence(session, self.silences.pop(), actor="x", reason="x", now=world.now)
        elif action == "route":
            world.restarted(routing=dice.choice(ROUTINGS))
        elif action == "trouble":
            dice.choice(list(self.receivers.values())).trouble = dice.choice([0, 0.5, 1])
        else:
            world.wait(minutes=dice.randrange(1, 40))

    def turn(self):
        self.serial += 1
        self.world.judged()
        worker = Worker(self.world.store, self.receivers, f"worker-{self.serial}", lambda: self.world.now)
        for name in self.receivers:
            with suppress(Killed):
                worker.send_due(name)
        self.world.wait(seconds=self.dice.randrange(1, 90))


@pytest.mark.parametrize("seed", range(5))
def test_whoever_heard_that_it_fires_hears_that_it_is_over(sqlite_store, seed):
    story = Story(sqlite_store, seed)
    story.world.sent(20_000, 150)
    story.turn()
    for _ in range(40):
        story.act()
        story.turn()
    for receiver in story.receivers.values():
        receiver.trouble = 0
    for _ in range(40):
        story.world.sent(100_000, 0)
        for ip in range(1, 5):
            for dnsbl in ("big", "small"):
                story.world.answers(False, ip=f"192.0.2.{ip}", dnsbl=dnsbl)
        story.turn()
        story.world.wait(minutes=5)
    fired = 0
    for name, receiver in story.receivers.items():
        histories = {}
        for message in receiver.heard:
            for item in message.items:
                histories.setdefault(item["incident"], []).append(item["event"])
        fired += len(histories)
        for incident, events in histories.items():
            assert events[0] != "resolved", (name, incident, events)
            assert events[-1] == "resolved", (name, incident, events)
            assert [event for event in events if event == "resolved"] == events[events.index("resolved"):], (name, incident, events)
        keys = [message.key for message in receiver.heard]
        assert all(len({message.body for message in receiver.heard if message.key == key}) == 1 for key in keys)
    assert fired, "nothing fired, so nothing was shown"
