"""A rate judged for all its groups at once comes to what the plain judge says of each, after any history."""

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from collectors.observation import Subject
from monitor.database.tables import VerdictRow
from monitor.judging.rate_screen import ANSWERS
from monitor.judging.run import Judge
from monitor.notify.routing import Routing
from monitor.rules.conditions import ratio
from monitor.rules.conditions.table import RULE
from tests.monitor.judging.world import BOLT, CHAT, World

TABLES = ("reading", "reading_hourly", "reading_daily", "rollup_due", "counted", "batch", "verdict", "judged_rule", "suspension", "outbox",
          "incident", "stream", "sending_ip", "pool", "customer", "run")  # fmt: skip


def rule(name, **changes):
    return RULE.validate_python({
        "id": name, "condition": "ratio", "signal": "complaints", "window": ["1h", "24h"], "above": "0.3%",
        "clear": {"below": "0.1%"}, **changes,
    })  # fmt: skip


RULES = (
    rule("streams", effect={"action": "hold", "scope": ["customer", "stream"], "at_most": "30m"}),
    rule("customers", by=["customer"], window="3h", above="0.1%", labels={"team": "abuse"}),
    rule("at-gmail", by=["ip"], where={"provider": "gmail"}, roll_up=[["pool"]]),
    rule("others", by=["customer", "provider"], where={"provider": {"not": "gmail"}}),
    rule("low", signal="unsubscribes", by=["provider"], above=None, below="1%", clear={"above": "2%"}),
    rule("waits", by=["customer"], unless="streams"),
)  # fmt: skip

subjects = st.builds(
    Subject, customer=st.sampled_from(["acme", "bolt", None]), stream=st.sampled_from(["newsletter", None]),
    provider=st.sampled_from(["gmail", "yahoo", None]), ip=st.sampled_from(["192.0.2.1", "192.0.2.2", None]),
)  # fmt: skip
facts = st.lists(st.tuples(
    st.sampled_from(["delivered", "delivered", "complaint", "unsubscribe"]), subjects, st.sampled_from([0, 1, 20, 400, 5_000]),
    st.integers(0, 120),
), min_size=1, max_size=6)  # fmt: skip
steps = st.one_of(facts, st.integers(1, 3000), st.sampled_from(["fbl fails", "fbl answers", "restart"]))


class Compared(World):
    """Judged, and compared with what the plain judge says."""

    def pass_(self):
        self.judged()
        judge, known = self.judge, self.judge._known  # noqa: SLF001 - what it keeps is compared
        evidence = judge._evidence(self.now, known)  # noqa: SLF001
        for each in judge.rules:
            rows = known.rows[each.id]
            answers = {group: (row.answer, row.reason) for group, row in rows.whole.items()}
            assert rows.brief is not None
            for number, group in enumerate(rows.brief.groups.groups):
                if number < len(rows.brief.code) and rows.brief.code[number]:
                    assert group not in answers
                    answers[group] = ANSWERS[rows.brief.code[number]]
            if each.unless is None:
                assert answers == {verdict.group: (verdict.answer, verdict.reason) for verdict in ratio.judge(each, evidence, self.now)}, each.id
        stored = {(row.rule, tuple(row.subject.items())): row.state for row in self.rows(VerdictRow)}
        assert stored == {(name, group): rows.row(group).state for name, rows in known.rows.items() for group in rows.groups()}


@pytest.fixture
def empty(store):
    def emptied():
        with store.engine.begin() as connection:
            for name in TABLES:
                connection.execute(text(f"DELETE FROM {name}"))
        return store

    return emptied


@given(story=st.lists(steps, min_size=2, max_size=8))
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_all_at_once_comes_to_what_the_plain_judge_says(empty, story):
    world = Compared(empty(), list(RULES), intervals={"feedback_loop": timedelta(hours=12)})
    world.collected("feedback_loop")
    world.pass_()
    for step in story:
        if isinstance(step, int):
            world.wait(minutes=step)
        elif step == "restart":
            world.judge = Judge(world.store, RULES, Routing([CHAT]), world.judge.limits, intervals=world.judge.intervals)
        elif isinstance(step, str):
            world.collected("feedback_loop", outcome="ok" if step == "fbl answers" else "failed")
        else:
            world.wait(seconds=20)
            for measure, subject, value, _ in step:
                world.count(measure, value, subject)
        world.pass_()


def test_a_hold_that_ran_out_is_judged_by_what_came_since(empty):
    world = Compared(empty(), list(RULES))
    world.sent(20_000, 400, BOLT)
    world.pass_()
    assert len(world.in_force()) == 1
    world.wait(minutes=31)
    world.pass_()
    world.sent(50, 0, BOLT)
    world.wait(minutes=1)
    world.pass_()
    assert {row.state for row in world.rows(VerdictRow) if row.rule == "streams"} == {"firing"}


def test_only_what_changes_is_looked_at(store, monkeypatch):
    world = World(store, [rule("customers", by=["customer"])])
    for number in range(50):
        world.sent(20_000, 2, Subject(customer=f"customer-{number}"))
    world.judged()
    looked = []
    monkeypatch.setattr(ratio, "judge_rate", lambda of, fact, now, judge=ratio.judge_rate: looked.append(fact.group) or judge(of, fact, now))
    world.wait(minutes=1)
    world.judged()
    assert looked == []
    world.count("complaint", 300, Subject(customer="customer-7"))
    world.judged()
    assert set(looked) == {(("customer", "customer-7"),)}


def test_of_very_many_old_words_some_are_written_anew_at_a_time(store, monkeypatch):
    monkeypatch.setattr("monitor.judging.run.MOST_WORDS", 3)
    world = World(store, [rule("customers", by=["customer"])])
    for number in range(8):
        world.sent(20_000, 2, Subject(customer=f"customer-{number}"))
    world.judged()
    world.wait(minutes=10)
    written = []
    for _ in range(4):
        world.judged()
        written.append(sum(row.judged_at == world.now for row in world.rows(VerdictRow)))
        world.wait(minutes=1)
    assert written == [3, 3, 2, 0]


def test_what_another_judge_wrote_is_read(store):
    world = World(store, [rule("customers", by=["customer"])])
    world.sent(20_000, 300, BOLT)
    world.judged()
    mine, theirs = world.judge, Judge(store, world.judge.rules, Routing([CHAT]), world.judge.limits)
    world.wait(hours=25)
    world.sent(90_000, 0, BOLT)
    theirs.judge_all(world.now)
    assert world.incident().state == "ok"
    world.wait(minutes=1)
    mine.judge_all(world.now)
    assert len(world.rows(VerdictRow)) == 1
    assert mine._known.rows["customers"].row((("customer", "bolt"),)).state == "ok"  # noqa: SLF001 - what it keeps is looked at
    assert world.notified() == ["firing", "resolved"]
