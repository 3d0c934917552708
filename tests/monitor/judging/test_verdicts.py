"""What a rule says of a group is stored, whatever it is, and shown from there, on every engine."""

from datetime import timedelta

import pytest

from collectors.observation import Subject
from monitor.database.tables import Incident, JudgedRule, Outbox, Suspension, VerdictRow
from monitor.judging.ratio_pass import RatioPass
from monitor.judging.rule_rows import FORGET_AFTER
from monitor.judging.run import Judge
from monitor.judging.verdict_rows import rule_statuses
from monitor.notify.routing import Routing
from monitor.rules.conditions.table import RULE
from tests.monitor.judging.world import CHAT, START, World

RATE = {
    "id": "complaint-rate", "condition": "ratio", "signal": "complaints", "above": "0.3%", "clear": {"below": "0.1%"},
    "effect": {"action": "hold", "scope": ["customer", "stream"], "at_most": "12h"},
}
ACME = Subject(customer="acme", stream="news", provider="gmail")
BOLT_KEY, ACME_KEY = "customer=bolt|stream=newsletter|provider=yahoo", "customer=acme|stream=news|provider=gmail"


def rule(**changes):
    return RULE.validate_python({**RATE, **changes})


@pytest.fixture
def world(store):
    return World(store, [rule()])


def states(world):
    return {row.key: (row.state, row.reason) for row in world.rows(VerdictRow)}


def test_every_group_has_its_verdict_and_only_a_breach_an_incident(world):
    world.sent(20_000, 90)
    world.sent(50, 1, ACME)
    world.judged()
    assert states(world) == {BOLT_KEY: ("firing", None), ACME_KEY: ("insufficient", "insufficient")}
    assert len(world.rows(Incident)) == 1
    (row,) = (row for row in world.rows(VerdictRow) if row.key == BOLT_KEY)
    assert (row.answer, row.severity, row.evidence["numerator"], row.since) == ("breach", "warning", 90, START)
    with world.store.reading_session() as session:
        (status,) = rule_statuses(session)
        assert [each.states for each in rule_statuses(session, "acme")] == [{"insufficient": 1}]
    assert (status.id, status.states) == ("complaint-rate", {"firing": 1, "insufficient": 1})


def test_a_group_that_falls_quiet_is_expected_and_then_forgotten(world):
    world.sent(20_000, 2)
    world.judged()
    assert states(world) == {BOLT_KEY: ("ok", None)}
    world.wait(days=2)
    world.judged()
    assert states(world) == {BOLT_KEY: ("nodata", "no_data")}
    world.now += FORGET_AFTER
    world.judged()
    assert states(world) == {}


def test_a_changed_threshold_or_text_keeps_the_state_and_its_incident(world):
    world.sent(20_000, 90)
    world.judged()
    world.wait(minutes=1)
    world.judge = Judge(world.store, [rule(above="0.2%", summary="{customer}: {rate}", **{"for": "1h"})], Routing([CHAT]))
    world.judged()
    assert states(world) == {BOLT_KEY: ("firing", None)}
    assert len(world.rows(Incident)) == 1
    assert world.rows(VerdictRow)[0].since == START
    assert world.rows(VerdictRow)[0].summary == "bolt: 0.45 %"


def test_a_rule_in_shadow_is_judged_and_stored_and_nothing_else(store):
    world = World(store, [rule(mode="shadow", **{"for": "2m"})])
    world.sent(20_000, 90)
    world.judged_every_minute(4)
    assert states(world) == {BOLT_KEY: ("firing", None)}
    assert [world.rows(model) for model in (Incident, Suspension, Outbox)] == [[], [], []]
    world.judge = Judge(store, [rule()], Routing([CHAT]), world.judge.limits)
    world.judged()
    assert (world.incident().state, world.notified(), len(world.in_force())) == ("firing", ["firing"], 1)
    world.judge = Judge(store, [rule(mode="shadow")], Routing([CHAT]))
    world.judged()
    assert (world.incident().state, world.notified(), world.in_force()) == ("ok", ["firing", "resolved"], [])


def test_a_rule_that_cannot_be_judged_says_so_and_what_fires_goes_on(world, monkeypatch):
    world.sent(20_000, 90)
    world.sent(20_000, 2, ACME)
    world.judged()
    world.wait(minutes=1)

    def broken(*_):
        raise ArithmeticError("no root")

    monkeypatch.setattr(RatioPass, "judge", broken)
    world.judged()
    assert states(world) == {BOLT_KEY: ("firing", "internal"), ACME_KEY: ("error", "internal")}
    assert world.rows(JudgedRule)[0].error == "ArithmeticError: no root"
    assert (world.incident().ended_at, len(world.in_force())) == (None, 1)
    monkeypatch.undo()
    world.wait(minutes=1)
    world.judged()
    assert states(world) == {BOLT_KEY: ("firing", None), ACME_KEY: ("ok", None)}
    assert world.rows(JudgedRule)[0].error is None


def test_a_rule_no_longer_configured_leaves_no_verdicts(world):
    world.sent(20_000, 90)
    world.judged()
    Judge(world.store, [rule(id="another")], Routing([CHAT])).judge_all(world.now)
    assert {row.rule for row in world.rows(VerdictRow)} == {"another"}
    assert [row.rule for row in world.rows(JudgedRule)] == ["another"]


def test_what_is_judged_hourly_comes_to_the_end_of_its_timers(store):
    world = World(store, [rule(keep_firing_for="3h")])
    world.sent(20_000, 90)
    world.judged_every(60, times=4)
    world.wait(hours=12)
    world.sent(200_000, 2)
    world.judged_every(60, times=7)
    assert world.incident().state == "ok"


def test_a_pass_over_unchanged_facts_writes_no_verdict_anew(world):
    world.sent(20_000, 2)
    world.judged()
    for _ in range(5):
        world.wait(seconds=1)
        world.judged()
    assert world.rows(VerdictRow)[0].judged_at == START
    assert world.rows(JudgedRule)[0].judged_at == START + timedelta(seconds=5)


def test_the_words_of_what_is_well_are_written_anew_every_ten_minutes_and_of_what_fires_every_pass(world):
    world.sent(20_000, 2)
    world.sent(20_000, 90, ACME)
    world.judged()
    written = []
    for _ in range(12):
        world.wait(minutes=1)
        world.judged()
        written.append({row.key: row.judged_at == world.now for row in world.rows(VerdictRow)})
    assert [number for number, each in enumerate(written, 1) if each[BOLT_KEY]] == [10]
    assert all(each[ACME_KEY] for each in written)
