"""What comes in is judged at once, and comes to what a whole pass says."""


from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event, text

from collectors.observation import Subject
from monitor.database.tables import Incident, Suspension, VerdictRow
from monitor.judging import run
from monitor.judging.ratio_pass import RatioPass
from monitor.judging.run import Judge
from monitor.notify.routing import Routing
from monitor.rules.conditions.table import RULE
from tests.monitor.judging.world import CHAT, World

ACME = Subject(customer="acme", stream="news", provider="gmail")
BOLT = Subject(customer="bolt", stream="newsletter", provider="yahoo")
EFFECT = {"action": "hold", "scope": ["customer", "stream"], "at_most": "12h"}


def ratio(name, **changes):
    return RULE.validate_python({
        "id": name, "condition": "ratio", "signal": "complaints", "window": ["1h", "24h"], "above": "0.3%",
        "clear": {"below": "0.1%"}, **changes,
    })  # fmt: skip


RULES = (
    ratio("streams", effect=EFFECT), ratio("customers", by=["customer"]), ratio("ips", by=["ip", "provider"]),
    ratio("blocks", signal="blocks", by=["provider"]),
    ratio("waits", unless="customers"),
    RULE.validate_python({"id": "many", "condition": "count", "signal": "complaints", "by": ["customer"], "above": 100}),
)  # fmt: skip


@pytest.fixture
def world(store):
    world = World(store, list(RULES))
    world.sent(50_000, 10, BOLT)
    world.sent(50_000, 10, ACME)
    world.judged()
    return world


def states(world):
    return {(row.rule, row.key): row.state for row in world.rows(VerdictRow)}


def test_complaints_that_came_are_judged_and_held_without_a_whole_pass(world):
    world.wait(seconds=5)
    world.count("complaint", 400, BOLT)
    assert world.judge.judge_news(world.now) is not None
    assert [row.scope for row in world.in_force()] == [{"customer": "bolt", "stream": "newsletter"}]
    key = "customer=bolt|stream=newsletter|provider=yahoo"
    assert states(world)["streams", key] == "firing"
    assert states(world)["waits", key] == "unevaluated"
    assert states(world)["streams", "customer=acme|stream=news|provider=gmail"] == "ok"


def test_what_was_not_touched_is_not_judged(world, monkeypatch):
    judged = []
    monkeypatch.setattr(RatioPass, "judge", lambda of, _: judged.append(of.rule.id) or ([], []))
    world.wait(minutes=1)
    world.count("block", 1, BOLT)
    world.judge.judge_news(world.now)
    assert judged == []  # what it comes to stays the same
    world.count("block", 5_000, BOLT)
    world.judge.judge_news(world.now)
    assert judged == ["blocks"]


def test_the_first_pass_and_one_after_very_much_came_are_whole(world, monkeypatch):
    assert Judge(world.store, RULES, Routing([CHAT])).judge_news(world.now) is None
    monkeypatch.setattr(run, "MOST_TOUCHED", 1)
    world.sent(10, 1, ACME)
    assert world.judge.judge_news(world.now) is None


def test_after_a_pass_that_failed_the_next_is_whole(world, monkeypatch):
    world.count("complaint", 400, BOLT)
    monkeypatch.setattr(world.judge, "check", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        world.judge.judge_news(world.now)
    assert world.rows(Suspension) == []
    monkeypatch.undo()
    assert world.judge.judge_news(world.now) is None
    world.judged()
    assert len(world.in_force()) == 1


def test_the_statements_of_a_pass_grow_with_rules_that_fire_and_not_with_groups_and_incidents(store):
    rules = [
        *(ratio(f"quiet-{number}", by=["customer"], window=["1h", "24h", "3h"], above=f"{20 + number}%") for number in range(40)),
        ratio("fires", by=["customer"]), ratio("holds", effect=EFFECT | {"scope": ["customer"]}, by=["customer"]),
    ]
    world = World(store, rules)
    for number in range(20):
        world.sent(50_000, 400, Subject(customer=f"customer-{number}"))
    world.judged()
    world.wait(minutes=1)
    world.judged()
    statements = []
    for engine in (store.engine, store._engines.read):  # noqa: SLF001 - reads are counted too
        event.listen(engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    world.wait(seconds=1)
    world.judged()
    assert len(world.rows(Incident)) == 40
    assert len(statements) <= 40, Counter(each[:60] for each in statements)


facts = st.lists(
    st.tuples(st.sampled_from(["delivered", "complaint", "block"]),
              st.sampled_from([ACME._replace(ip="192.0.2.2"), BOLT._replace(ip="192.0.2.3"), ACME._replace(ip="192.0.2.1")]),
              st.integers(0, 3000), st.integers(0, 90)), max_size=4
)  # fmt: skip


@given(story=st.lists(facts, min_size=1, max_size=6))
@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_news_by_news_comes_to_what_one_whole_pass_says(store, story):
    """Of facts that say all a rule groups by; see below for the others."""
    with store.engine.begin() as connection:
        for name in ("reading", "reading_hourly", "reading_daily", "rollup_due", "counted", "batch", "verdict", "judged_rule",
                     "suspension", "outbox", "incident", "stream", "sending_ip", "pool", "customer"):  # fmt: skip
            connection.execute(text(f"DELETE FROM {name}"))
    world = World(store, [ratio("customers", by=["customer"]), ratio("ips", by=["ip", "provider"], where={"provider": "gmail"})])
    world.sent(10, 0)
    world.judged()
    for counted in story:
        world.wait(seconds=1)
        for measure, subject, value, _ in counted:
            world.count(measure, value, subject)
        assert world.judge.judge_news(world.now) is not None
    news = states(world)
    Judge(world.store, world.judge.rules, Routing([CHAT])).judge_all(world.now)
    assert states(world) == news


def test_groups_that_a_fact_known_in_part_may_be_of_wait_for_the_next_whole_pass(store):
    world = World(store, [ratio("ips", by=["ip", "provider"], where={"provider": "gmail"})])
    world.count("delivered", 0, ACME._replace(ip="192.0.2.1"))
    world.judged()
    world.wait(seconds=1)
    world.count("delivered", 1, ACME)
    assert world.judge.judge_news(world.now) is not None
    assert states(world) == {("ips", "ip=192.0.2.1|provider=gmail"): "nodata", ("ips", "provider=gmail"): "insufficient"}
    world.wait(minutes=1)
    world.judged()
    assert set(states(world).values()) == {"insufficient"}


def test_rules_about_states_are_judged_when_states_came_and_about_complaints_when_complaints_did(store, monkeypatch):
    rules = [
        RULE.validate_python({"id": "listed", "condition": "listing", "severity": "warning"}),
        RULE.validate_python({"id": "excess", "condition": "excess", "signal": "complaints", "severity": "critical"}),
    ]
    world = World(store, rules)
    world.sent(1000, 1, BOLT)
    world.judged()
    judged = []
    monkeypatch.setattr(run, "judge", lambda rule, *_: judged.append(rule.id) or [])
    for came, expected in (
        (lambda: world.count("delivered", 100, BOLT), []), (lambda: world.count("complaint", 1, BOLT), ["excess"]),
        (lambda: world.answers(listed=True), ["listed"]), (lambda: None, []),
    ):  # fmt: skip
        world.wait(seconds=1)
        came()
        assert world.judge.judge_news(world.now) is not None
        assert judged == expected
        judged.clear()


def test_complaints_are_looked_for_anew_after_a_pass_that_failed(store, monkeypatch):
    world = World(store, [RULE.validate_python({"id": "excess", "condition": "excess", "of": "campaign", "signal": "complaints"})])
    world.sent(20_000, 5, BOLT._replace(campaign="good"))
    world.judged()
    world.wait(minutes=1)
    world.sent(5_000, 200, BOLT._replace(campaign="bought"))
    monkeypatch.setattr(world.judge, "check", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        world.judge.judge_news(world.now)
    monkeypatch.undo()
    world.wait(seconds=1)
    world.judged()
    assert [row.state for row in world.rows(Incident)] == ["firing"]
