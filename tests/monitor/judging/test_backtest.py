"""A backtest over what the service stored: the same episodes as the service had, and nothing seen before it was known."""

from datetime import timedelta

import pytest

from collectors.observation import Batch, Observation
from monitor.config.load import read_rules
from monitor.database.tables import Incident, Suspension
from monitor.facts.history import known_counts
from monitor.judging.backtest import Backtest, Episode, looks_back, measures_of
from monitor.judging.backtest_difference import differences
from monitor.rules.conditions.table import RULE
from monitor.rules.load import SHIPPED, check_rules
from tests.monitor.judging.world import BOLT, START, World

STEP = timedelta(minutes=10)
RATE = RULE.validate_python({
    "id": "rate", "condition": "ratio", "signal": "complaints", "by": ["customer", "stream"], "window": "6h", "above": "0.3%",
    "clear": {"below": "0.1%"}, "keep_firing_for": "30m", "effect": {"action": "hold", "scope": ["customer", "stream"], "at_most": "2h"},
})
BOUNCES = RULE.validate_python({
    "id": "bounces", "condition": "count", "signal": "backscatter", "by": ["provider"], "window": "3h", "above": 100, "clear": {"below": 50},
})
COMPLAINTS = [rule for rule in check_rules(read_rules(SHIPPED)) if rule.id.startswith("complaint-")]


def backtest(store, rules, since, until):
    test = Backtest(rules, since, STEP)
    with store.reading_session() as session:
        for fact in known_counts(session, measures_of(rules), since - looks_back(rules), until):
            test.take(fact)
    test.end(until)
    return test


def of_backtest(test):
    return sorted((each.rule, sorted(each.scope.items()), each.since, each.until) for each in test.episodes)


def of_service(world):
    return sorted((row.rule, sorted(row.subject.items()), row.started_at, row.ended_at) for row in world.rows(Incident) if row.member_count is None)


def passes(world, count, complaints=0):
    """So many steps, each with mail in its middle. The service looks where the backtest does: at complaints, and at each step."""
    for _ in range(count):
        world.wait(minutes=5)
        world.sent(1000, complaints)
        if complaints:
            world.count("unattributed_bounce", complaints)
            world.judged()
        world.wait(minutes=5)
        world.judged()


def test_the_episodes_and_holds_are_those_the_service_had(store):
    world = World(store, [RATE, BOUNCES])
    for count, complaints in ((12, 0), (12, 15), (60, 0), (12, 15)):
        passes(world, count, complaints)
    live = of_service(world)
    test = backtest(store, [RATE, BOUNCES], START, world.now)
    assert len([each for each in live if each[0] == "rate"]) >= 2
    assert len([each for each in live if each[0] == "bounces"]) >= 2
    assert of_backtest(test) == live
    assert test.held.holds["rate"] == len(world.rows(Suspension)) > 0


def test_a_stream_that_turns_bad_is_found_by_the_shipped_rules_when_the_service_found_it(store):
    world = World(store, COMPLAINTS)
    for day, complaints in enumerate([0] * 3 + [25] * 2):
        for half in ("am", "pm"):
            for _ in range(3):
                world.wait(minutes=5)
                world.sent(2000, complaints, BOLT._replace(campaign=f"{half}-{day}"))
                world.judged()
                world.wait(minutes=235)
                world.judged()
    live = [each[:3] for each in of_service(world)]
    assert {rule for rule, *_ in live} >= {"complaint-rate"}
    assert [each[:3] for each in of_backtest(backtest(store, COMPLAINTS, START, world.now))] == live


@pytest.mark.parametrize("rules", [[RATE], COMPLAINTS], ids=["ratio", "excess"])
def test_late_facts_are_not_seen_before_they_were_known(store, rules):
    world = World(store, rules)
    bought = BOLT._replace(campaign="bought")
    for _ in range(96):
        world.sent(300, 0, bought)
        world.wait(minutes=30)
    sent_at, learnt_at = world.now - timedelta(hours=5), world.now + timedelta(hours=1)
    late = Observation("complaint", bought, sent_at, 300.0)
    store.intake([Batch("mail", "late", learnt_at, (late,))], learnt_at)
    assert backtest(store, rules, START, learnt_at).episodes == []
    episodes = backtest(store, rules, START, learnt_at + timedelta(hours=1)).episodes
    assert episodes
    assert all(each.since == learnt_at for each in episodes)


def test_what_was_known_before_the_beginning_is_evidence_from_the_beginning_on(store):
    world = World(store, [RATE])
    world.sent(20_000, 200)
    world.wait(hours=1)
    (episode,) = backtest(store, [RATE], world.now, world.now + timedelta(hours=1)).episodes
    assert episode.since == world.now
    assert episode.peak == pytest.approx(0.01)


def test_mail_delivered_while_a_hold_would_have_stood_is_counted_less_the_share_let_through(store):
    probing = RATE.model_copy(update={"effect": RATE.effect.model_copy(update={"probe": 0.1})})
    world = World(store, [RATE])
    world.sent(20_000, 200)
    world.wait(minutes=30)
    world.sent(1_000, 0)  # one hold for two hours from START on
    world.count("delivered", 500, BOLT._replace(customer="acme"))
    world.wait(minutes=30)
    world.sent(2_000, 0)
    world.wait(hours=12)
    world.sent(4_000, 0)
    until = world.now + timedelta(minutes=1)
    plain, let_through = (backtest(store, [rule], START, until).held for rule in (RATE, probing))
    assert plain.by_rule == {"rate": plain.total}
    assert plain.total == 1_000 + 2_000
    assert let_through.total == pytest.approx(0.9 * plain.total)


def test_the_peak_is_the_worst_of_the_whole_episode(store):
    world = World(store, [RATE])
    for complaints in (60, 400, 20):
        world.sent(10_000, complaints)
        world.wait(minutes=30)
    (episode,) = backtest(store, [RATE], START, world.now).episodes
    assert episode.peak == pytest.approx(460 / 20_000)


@pytest.mark.parametrize("days", [0, 6], ids=["judged", "learnt"])
def test_memory_holds_no_more_minutes_than_windows_are_long(store, days):
    world = World(store, [RATE])
    for _ in range(24 * 6):
        world.sent(10, 0)
        world.wait(hours=1)
    test = Backtest([RATE, *COMPLAINTS], START + timedelta(days=days), STEP)
    with store.reading_session() as session:
        for fact in known_counts(session, ["delivered"], START, world.now):
            test.take(fact)
    assert 0 < test.size <= 6 + 3


def test_differences_are_what_only_one_file_has_and_what_lasts_otherwise():
    def episode(begin, end, rule="rate", **scope):
        at = [START + timedelta(hours=hours) if hours is not None else None for hours in (begin, end)]
        return Episode(rule, scope or {"customer": "bolt"}, "warning", *at)

    end = START + timedelta(hours=100)
    before = [episode(0, 2), episode(10, 12), episode(20, None), episode(50, 51, customer="acme")]
    after = [episode(1, 5), episode(20, None), episode(50, 51, customer="acme"), episode(90, None, rule="other")]
    assert [(each.change.value, each.seconds / 3600) for each in differences(before, after, end)] == [
        ("longer", 2), ("gone", -2), ("added", 10),
    ]  # fmt: skip
