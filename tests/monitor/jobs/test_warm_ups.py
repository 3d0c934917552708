"""Days move a warm-up: once each, by what the facts say of them, also after a stop; and people are called where it is stuck."""

import random
from datetime import UTC, date, datetime, timedelta
from itertools import count

import pytest

from collectors.observation import Batch, Observation, Subject
from monitor.config.load import read_rules
from monitor.config.warmup import WarmUp as Settings
from monitor.database.tables import Incident, JudgedRule, Transition, VerdictRow, WarmUp, WarmUpDay
from monitor.feedback_loops.enrolments import Kind
from monitor.feedback_loops.enrolments import State as Enrolled
from monitor.feedback_loops.rows import Wish, set_enrolment
from monitor.inventory.difference import difference
from monitor.inventory.items import Inventory, Ip, Pool
from monitor.inventory.rows import apply_difference, read_inventory
from monitor.jobs.warm_ups import WarmUps
from monitor.judging.run import Judge
from monitor.restrictions import suspensions
from monitor.rules.conditions.table import RULE
from monitor.rules.load import SHIPPED
from monitor.warmup.days import begins_at, ends_at
from monitor.warmup.plans import Plan
from monitor.warmup.rows import Start, going_on, start
from tests.bench.warmup import sixty_days

ZONE = "America/Los_Angeles"
FIRST = date(2026, 1, 2)
PLAN = Plan(name="ours", per_day=(100, 200, 400, 800), source="this test")
IP = "192.0.2.7"
RULES = [RULE.validate_python(source.data) for source in read_rules(SHIPPED) if source.data["id"] == "warm-up-stuck"]


class World:
    """One IP at Gmail, and a clock that goes from day to day."""

    def __init__(self, store, plan=PLAN, overflow=None, provider="gmail", **settings):
        self.store, self.day, self._keys, self.provider = store, FIRST, count(), provider
        self.now = begins_at(FIRST, ZONE) + timedelta(hours=1)
        self.job = WarmUps(store, lambda: self.now, Settings(**settings))
        self.judge = Judge(store, RULES)
        items = {"pools": {"old": Pool(name="old")}, "ips": {"192.0.2.9": Ip(address="192.0.2.9", pool="old"), IP: Ip(address=IP)}}
        with store.session() as session:
            apply_difference(session, difference(read_inventory(session), Inventory(**items)))
        with store.session() as session:
            self.id = start(session, Start(IP, None, provider, plan, ZONE, overflow), actor="ann", reason="new", now=self.now).id

    def send(self, **measures):
        """Facts of this day."""
        at = begins_at(self.day, ZONE) + timedelta(hours=12)
        subject = Subject(customer="acme", ip=IP, provider=self.provider)
        facts = tuple(Observation(name, subject, at, float(value)) for name, value in measures.items())
        self.store.intake([Batch("mta", str(next(self._keys)), at, observations=facts)], at)

    def over(self, **measures):
        """Facts of this day, and then its end."""
        if measures:
            self.send(**measures)
        self.now, self.day = ends_at(self.day, ZONE) + timedelta(seconds=30), self.day + timedelta(days=1)
        self.job.run()
        return self.place

    @property
    def allowance(self):
        with self.store.reading_session() as session:
            return going_on(session, self.now, [self.id])[0]

    @property
    def place(self):
        return f"{self.allowance.standing} {self.allowance.step}"


def test_good_days_go_up_the_plan_to_the_end_and_then_nothing_is_limited(store):
    world = World(store)
    assert world.place == "cold 1"
    assert [world.over(delivered=cap) for cap in PLAN.per_day] == ["warming 2", "warming 3", "warming 4", "warm 4"]
    assert (world.allowance.cap, world.allowance.left) == (None, None)


def test_every_move_is_a_transition_with_its_reason_and_a_row_of_its_day(store, rows):
    world = World(store)
    world.over(delivered=95)
    world.over(delivered=200, block=200)
    moves = [(row.old, row.new, row.actor) for row in rows(Transition) if row.kind == "standing"]
    assert moves == [
        ("none", "cold 1/4", "ann"), ("cold 1/4", "warming 2/4", "warm-up"), ("warming 2/4", "warming 1/4", "warm-up"),
    ]  # fmt: skip
    assert "block rate" in [row.why for row in rows(Transition)][-1]
    good, bad = rows(WarmUpDay)
    assert (good.was, good.move, good.cap, good.recorded, good.delivered) == ("good", "advance", 100, 95, 95)
    assert (bad.was, bad.move, bad.recorded, bad.delivered) == ("bad", "step_back", 400, 200)


def test_a_day_without_sending_is_no_day(store):
    world = World(store)
    world.over(delivered=100)
    assert [world.over() for _ in range(5)] == ["warming 2"] * 5
    assert world.over(delivered=200) == "warming 3"


def test_less_than_nine_tenths_and_mail_without_records_hold_the_step(store):
    world = World(store)
    assert world.over(delivered=89) == "warming 1"
    assert world.over(delivered=90) == "warming 2"


def test_what_went_wrong_before_a_step_back_does_not_step_back_again(store):
    world = World(store)
    for cap in (100, 200):
        world.over(delivered=cap)
    assert world.over(delivered=400, block=400) == "warming 2"
    assert world.over(delivered=200) == "warming 3"


def test_idleness_cools_and_brings_it_part_of_the_way_back(store):
    world = World(store, rests_after=timedelta(days=3))
    for cap in PLAN.per_day:
        world.over(delivered=cap)
    assert [world.over() for _ in range(6)] == ["warm 4", "warm 4", "resting 2", "resting 2", "resting 2", "resting 1"]
    assert world.allowance.cap == 100
    assert world.over(delivered=100) == "warming 2"


def test_days_missed_by_a_stop_are_caught_up_with_one_by_one(store, rows):
    world = World(store)
    for cap in (100, 200, 400):
        world.send(delivered=cap)
        world.now, world.day = ends_at(world.day, ZONE) + timedelta(seconds=30), world.day + timedelta(days=1)
    world.job.run()
    assert world.place == "warming 4"
    assert [row.step for row in rows(WarmUpDay)] == [1, 2, 3]


def test_a_day_moves_once_whoever_looks_again_and_one_that_died_half_way_is_done_by_the_next(store, rows, monkeypatch):
    world = World(store)
    world.send(delivered=100)
    world.now = ends_at(world.day, ZONE) + timedelta(seconds=30)
    with monkeypatch.context() as dying:
        dying.setattr("monitor.warmup.progress.log", lambda *_, **__: (_ for _ in ()).throw(RuntimeError("dead")))
        with pytest.raises(RuntimeError):
            world.job.close(world.now)
    assert world.place == "cold 1"
    assert [world.job.close(world.now) for _ in range(3)] == [1, 0, 0]
    assert WarmUps(store, lambda: world.now, Settings()).close(world.now) == 0
    assert world.place == "warming 2"
    assert len(rows(WarmUpDay)) == 1


def test_what_a_rule_or_a_person_holds_steps_back(store):
    world = World(store)
    world.over(delivered=100)
    with store.session() as session:
        suspensions.hold(session, scope={"ip": IP}, effect="hold", actor="ann", reason="listed", now=world.now)
    assert world.over(delivered=200) == "warming 1"


def test_a_rule_that_fires_about_the_ip_at_the_provider_steps_back_and_about_another_not(store):
    world = World(store)
    for provider, place in (("yahoo", "warming 2"), ("gmail", "warming 1")):
        row = VerdictRow(
            rule="blocks", key=provider, subject={"ip": IP, "provider": provider}, labels={}, state="firing", answer="breach",
            severity="critical", summary="block rate 9 %", evidence={}, since=world.now, elapsed_seconds=0, judged_at=world.now,
        )  # fmt: skip
        judged = JudgedRule(
            rule="blocks", condition="ratio", signal="blocks", mode="on", severity="critical", judged_at=world.now, gaps=[],
        )  # fmt: skip
        with store.session() as session:
            session.merge(judged)
            session.add(row)
        assert world.over(delivered=200 if provider == "gmail" else 100) == place


@pytest.mark.parametrize(("answer", "reason", "place"), [
    ("breach", None, "warming 1"), ("unknown", "stale", "warming 1"), ("unknown", "insufficient", "warming 2"), ("clear", None, "warming 2"),
])
def test_where_a_loop_is_enrolled_and_silent_or_unread_nothing_goes_forward(sqlite_store, answer, reason, place):
    store = sqlite_store
    world = World(store, provider="yahoo")
    rule = JudgedRule(
        rule="fbl-silence", condition="shortfall", signal="feedback_reports", mode="on", severity="warning", judged_at=world.now, gaps=[],
    )  # fmt: skip
    verdict = VerdictRow(
        rule="fbl-silence", key="provider=yahoo", subject={"provider": "yahoo"}, labels={}, state="ok", answer=answer, reason=reason,
        severity="warning", summary="no report for three days", evidence={}, since=world.now, elapsed_seconds=0, judged_at=world.now,
    )  # fmt: skip
    wish = Wish("yahoo", Kind.DOMAIN, "news.example", Enrolled.ACTIVE)
    with store.session() as session:
        set_enrolment(session, wish, actor="ann", reason="agreed", now=world.now)
        session.add(rule)
        session.add(verdict)
    assert world.over(delivered=100) == place


def test_a_hold_of_one_customer_is_not_held_against_the_ip(store):
    world = World(store)
    with store.session() as session:
        suspensions.hold(session, scope={"customer": "acme"}, effect="hold", actor="ann", reason="unpaid", now=world.now)
    assert world.over(delivered=100) == "warming 2"


def test_records_count_against_the_cap_as_they_come(store):
    world = World(store)
    world.send(delivered=60)
    world.now = begins_at(FIRST, ZONE) + timedelta(hours=13)
    world.job.run()
    assert (world.allowance.used, world.allowance.left) == (60, 40)
    world.over()
    assert (world.allowance.used, world.allowance.left) == (0, 100)


def calls(world, rows):
    """The open incidents of the shipped rule, after a pass of the judge."""
    world.judge.judge_all(world.now)
    return [row.summary for row in rows(Incident) if row.state == "firing"]


def test_a_person_is_called_after_days_without_a_step_forward_and_no_longer_once_it_goes_on(store, rows):
    world = World(store, stuck_after=3, overflow="old")
    for _ in range(2):
        world.over(delivered=50)
    assert calls(world, rows) == []
    world.over(delivered=50)
    [summary] = calls(world, rows)
    assert "no step forward on 3 sending days in a row, at last because: 50 of 100 delivered" in summary
    world.over()
    assert len(calls(world, rows)) == 1
    world.over(delivered=100)
    assert calls(world, rows) == []
    assert [row.subject for row in rows(Incident)] == [{"ip": IP, "provider": "gmail"}]


def test_a_person_is_called_where_mail_waits_from_day_to_day_and_not_where_it_may_go_elsewhere(store, rows):
    world = World(store)
    world.over(delivered=100)
    assert calls(world, rows) == []
    world.over(delivered=200)
    assert "no overflow pool is named" in calls(world, rows)[0]
    with store.session() as session:
        row = session.get(WarmUp, world.id)
        row.overflow = "old"
    world.over(delivered=400)
    assert calls(world, rows) == []


def test_days_begin_in_the_providers_zone_also_where_clocks_change(store):
    del store
    assert begins_at(date(2026, 1, 3), ZONE) == datetime(2026, 1, 3, 8, tzinfo=UTC)
    assert ends_at(date(2026, 3, 8), ZONE) - begins_at(date(2026, 3, 8), ZONE) == timedelta(hours=23)
    assert ends_at(date(2026, 11, 1), ZONE) - begins_at(date(2026, 11, 1), ZONE) == timedelta(hours=25)
    assert begins_at(date(2026, 9, 6), "America/Santiago") == datetime(2026, 9, 6, 4, tzinfo=UTC)  # midnight is left out there


def testsixty_days_of_the_careful_plan_go_as_the_table_says(sqlite_store):
    """Weekdays only, some with too little mail, five with one in six blocked: as the bench plays it."""
    went = sixty_days(sqlite_store, random.Random(7))
    days = {name: went[f"plan_{name}_days"] for name in ("advanced", "held", "stepped_back", "idle", "sending")}
    assert (days["idle"], days["sending"], days["stepped_back"]) == (16, 44, 5)
    assert days["advanced"] + days["held"] == 39
    assert days["held"] == 5
    assert went["plan_last_step"] == 1 + days["advanced"] - days["stepped_back"]


def test_many_warm_ups_are_counted_as_few_are(sqlite_store, monkeypatch):
    world, places = World(sqlite_store), []
    for few in (0, 20):
        monkeypatch.setattr("monitor.judging.warm_up_evidence._FEW", few)
        world.send(delivered=40, block=1)
        world.now += timedelta(hours=12)
        world.job.count(world.now)
        places.append((world.allowance.used, world.over(delivered=60)))
    assert places == [(41, "warming 2"), (41, "warming 2")]
