"""A pass that is killed between any two of its transactions is finished by the next, and nothing is done twice."""


from sqlalchemy import text

from collectors.observation import Subject
from monitor.database.tables import Incident, Outbox, Suspension, Transition, VerdictRow
from monitor.judging import run, verdict_rows
from monitor.judging.run import Judge
from monitor.notify.routing import Routing
from monitor.rules.conditions.table import RULE
from tests.monitor.judging.world import BOLT, CHAT, World

TABLES = ("reading", "reading_hourly", "reading_daily", "rollup_due", "counted", "batch", "verdict", "judged_rule", "suspension", "outbox",
          "transition", "incident", "listing", "latest", "stream", "sending_ip", "pool", "customer", "setting")  # fmt: skip
RATE = {"condition": "ratio", "signal": "complaints", "above": "0.3%", "clear": {"below": "0.1%"}, "window": "1h"}
RULES = [RULE.validate_python(rule) for rule in (
    {"id": "streams", **RATE, "effect": {"action": "hold", "scope": ["customer", "stream"], "at_most": "30m"}},
    {"id": "customers", **RATE, "by": ["customer"]}, {"id": "waits", **RATE, "by": ["customer", "provider"], "unless": "customers"},
    {"id": "listed", "condition": "listing", "severity": "critical", "effect": {"action": "hold"}},
)]  # fmt: skip
ACME = Subject(customer="acme", stream="news", provider="gmail")
_GONE = RULE.validate_python({"id": "gone", **RATE, "by": ["provider"]})


class KilledError(BaseException):
    """Caught by nothing."""


def story(world):
    """What comes before each pass: a rule that is taken out, two streams that go bad and one that recovers, a listing that ends."""
    world.judge = Judge(world.store, [*RULES, _GONE], Routing([CHAT]), world.judge.limits)
    world.sent(20_000, 400, BOLT)
    world.sent(20_000, 2, ACME)
    yield
    world.judge = Judge(world.store, RULES, Routing([CHAT]), world.judge.limits)
    world.wait(minutes=1)
    world.answers(listed=True)
    world.sent(20_000, 900, ACME)
    yield
    world.wait(minutes=31)
    world.answers(listed=True)
    yield
    world.wait(minutes=40)
    world.sent(90_000, 0, BOLT)
    world.sent(90_000, 900, ACME)
    yield


def ending(store, monkeypatch, kill_at=None):
    """The story from the beginning; with `kill_at` the pass that begins its transaction of that number is killed and made anew."""
    with store.engine.begin() as connection:
        for name in TABLES:
            where = " WHERE name IN ('judged_by', 'readings_pruned_to')" if name == "setting" else ""
            connection.execute(text(f"DELETE FROM {name}{where}"))
    world, begun = World(store, RULES), 0

    def check(_):
        nonlocal begun
        begun += 1
        if begun == kill_at:
            raise KilledError

    for _ in story(world):
        for _ in range(2):
            world.judge.check = check
            try:
                world.judged()
            except KilledError:
                world.judge = Judge(store, world.judge.rules, Routing([CHAT]), world.judge.limits)
                world.judged()
            world.wait(seconds=1)
    return begun, state(world)


def state(world):
    return [sorted(rows, key=str) for rows in (
        [(row.rule, row.subject_key, row.state, row.summary) for row in world.rows(Incident)],
        [(row.rule, str(row.scope), row.lifted_by, row.since, row.until) for row in world.rows(Suspension)],
        [(row.event, row.title) for row in world.rows(Outbox)],
        [(row.kind, row.old, row.new, row.at) for row in world.rows(Transition)],
        [(row.rule, row.key, row.state, row.reason, row.since) for row in world.rows(VerdictRow)],
    )]  # fmt: skip


def test_a_pass_killed_between_any_two_of_its_transactions_is_finished_by_the_next(store, monkeypatch):
    monkeypatch.setattr(run, "WRITTEN_AT_ONCE", 1)
    monkeypatch.setattr(verdict_rows, "_AT_ONCE", 1)
    count, whole = ending(store, monkeypatch)
    assert count > 15
    assert {row[2] for row in whole[0]} == {"firing", "ok"}
    for number in range(1, count + 1, 2 if store.engine.dialect.name == "sqlite" else 9):
        assert ending(store, monkeypatch, number)[1] == whole, number
