"""Which messages a backtest counts. Pure."""

from datetime import timedelta

import pytest

from monitor.database.tables import Silence
from monitor.incidents.matchers import parse
from monitor.judging.backtest import Episode
from monitor.judging.backtest_messages import messages_of
from monitor.notify.message import Receiver
from monitor.notify.routing import Flapping, Inhibition, Route, Routing
from monitor.rules.conditions.table import RULE
from tests.monitor.judging.world import START

WAIT, INTERVAL = timedelta(minutes=5), timedelta(hours=1)
GROUPED = Routing([Receiver("chat")], Route(group_by=("customer",), group_wait=WAIT, group_interval=INTERVAL))


def at(**span):
    return START + timedelta(**span)


def episode(begin, end=None, rule="rate", customer="bolt"):
    until = None if end is None else at(minutes=end)
    return Episode(rule, {"customer": customer}, "warning", at(minutes=begin), until)


def silence(begin, until, **more):
    return Silence(id="sil-1", matchers={"customer": "bolt"}, patterns=[], actor="olga", reason="known",
                   since=at(minutes=begin), until=at(minutes=until), **more)


def due(episodes, routing=GROUPED, silences=(), rules=()):
    return [(each.due_at, each.rules) for each in messages_of(episodes, rules, routing, silences)]


DEFERRALS = RULE.validate_python({
    "id": "deferrals", "condition": "ratio", "signal": "deferrals", "above": "50%", "clear": {"below": "20%"}, "by": ["ip", "provider"], "window": "1h",
})


def outage(numbers, begin, end):
    return [Episode("deferrals", {"ip": f"192.0.2.{number}", "provider": "orange"}, "warning", at(minutes=begin), at(minutes=end)) for number in numbers]


def test_what_begins_while_its_group_waits_is_one_message_and_other_customers_have_their_own():
    episodes = [episode(0), episode(3, rule="bounces"), episode(4, customer="acme")]
    assert due(episodes) == [(at(minutes=5), ["rate", "bounces"]), (at(minutes=9), ["rate"])]


def test_the_next_message_of_a_group_waits_for_its_interval():
    assert due([episode(0, 20), episode(30)]) == [(at(minutes=5), ["rate"]), (at(minutes=65), ["rate"])]


def test_without_groups_each_beginning_and_end_is_a_message():
    episodes = [episode(0, 20), episode(0, 30, rule="bounces")]
    assert len(due(episodes, Routing([Receiver("chat")]))) == 4


@pytest.mark.parametrize(("put_on", "when"), [
    (silence(-10, 15), [at(minutes=15)]),  # it fires still when the silence ends
    (silence(-10, 90, ended_at=at(minutes=15)), [at(minutes=15)]),
    (silence(-10, 60), []),  # it was over before
    (silence(5, 60), [at(minutes=0)]),  # whoever was notified is notified of the end
])  # fmt: skip
def test_a_silence_keeps_messages_back_while_it_lasts(put_on, when):
    without_groups = Routing([Receiver("chat")])
    expected = [(each, ["rate"]) for each in (*when, *([at(minutes=30)] if when else []))]
    assert due([episode(0, 30)], without_groups, [put_on]) == expected


def test_what_has_one_cause_is_one_message_and_one_end():
    plain = Routing([Receiver("chat")])
    assert due(outage(range(1, 9), 0, 60), plain, rules=[DEFERRALS]) == [(at(minutes=0), ["deferrals"]), (at(minutes=60), ["deferrals"])]
    later = [*outage(range(1, 4), 0, 60), *outage(range(4, 9), 20, 90)]
    assert [when for when, _ in due(later, plain, rules=[DEFERRALS])] == [at(minutes=0), at(minutes=20), at(minutes=90)]
    assert len(due(outage(range(1, 3), 0, 60), plain, rules=[DEFERRALS])) == 4


def test_what_another_explains_waits_until_that_is_over():
    explained = Routing([Receiver("chat")], inhibitions=[Inhibition((parse("rule=outage"),), (parse("rule=rate"),))])
    assert [when for when, _ in due([episode(0, 30, rule="outage"), episode(5, 60)], explained)] == [
        at(minutes=0), at(minutes=30), at(minutes=30), at(minutes=60),
    ]  # fmt: skip


def test_what_flaps_is_said_to_and_then_only_when_it_lasts():
    plain = Routing([Receiver("chat")], flapping=Flapping(2, timedelta(hours=2)))
    flaps = [episode(begin, begin + 5) for begin in range(0, 60, 10)]
    assert [when for when, _ in due(flaps, plain)] == [at(minutes=each) for each in (0, 5, 10, 15)]
