"""The shipped rules about complaints through the store: what is held, for whom, and what a lift does."""

from datetime import timedelta

import pytest

from collectors.observation import Subject
from monitor.config.load import read_rules
from monitor.database.tables import Incident, Outbox, Suspension, VerdictRow
from monitor.gate import Request, decide
from monitor.restrictions.follow import GateIndex
from monitor.restrictions.suspensions import lift
from monitor.rules.load import SHIPPED, check_rules
from tests.monitor.judging.world import BOLT, World

RULES = {rule.id: rule for rule in check_rules(read_rules(SHIPPED)) if rule.id.startswith("complaint-")}
MORNING = BOLT._replace(campaign="morning")


@pytest.fixture
def world(store):
    return World(store, list(RULES.values()))


def healthy_for(world, days, *, a_day=5000, subject=BOLT):
    for _ in range(days):
        for name in ("am", "pm"):
            campaign = subject._replace(campaign=f"{name}-{world.now:%d}")
            for _ in range(3):
                world.sent(a_day // 6, 1 if name == "am" and world.now.hour % 12 == 0 else 0, campaign)
                world.wait(hours=4)
    world.judged()
    assert world.rows(Incident) == []


def firing(world):
    return {row.rule: row for row in world.rows(Incident) if row.ended_at is None}


def bad(world, hours, *, subject=MORNING, a_hour=500, complaints=4):
    for _ in range(hours):
        world.sent(a_hour, complaints, subject)
        world.wait(minutes=59)
        world.judged()
        world.wait(minutes=1)


def test_a_stream_that_leaves_the_healthy_rate_is_held_until_a_stated_time(world):
    healthy_for(world, 6)
    bad(world, 6)
    incident = firing(world)["complaint-rate"]
    assert incident.state == "firing"
    assert incident.summary.startswith("complaint rate 0.80 %")
    held = {row.rule: row for row in world.in_force()}
    assert held["complaint-rate"].scope == {"customer": "bolt", "stream": "newsletter", "provider": "yahoo"}
    assert (held["complaint-rate"].until - held["complaint-rate"].since).days == 1
    assert "clustering" in incident.evidence
    assert [row.event for row in world.rows(Outbox) if "complaint-rate" in row.title] == ["firing"]


def test_a_bad_campaign_is_held_alone(store):
    world = World(store, [RULES["complaint-campaign"]])
    healthy_for(world, 6)
    bad(world, 4, complaints=20, subject=BOLT._replace(campaign="bought"))
    (row,) = world.in_force()
    assert row.scope == {"customer": "bolt", "stream": "newsletter", "campaign": "bought", "provider": "yahoo"}
    assert "4.00 %" in firing(world)["complaint-campaign"].summary


def test_a_lift_is_safe_the_evidence_begins_anew_and_new_bad_mail_is_held_again(store):
    world = World(store, [RULES["complaint-rate"]])
    healthy_for(world, 6)
    bad(world, 6)
    (row,) = world.in_force()
    with world.store.session() as session:
        lift(session, row.id, actor="olga", reason="list repaired", now=world.now)
    world.count("complaint", 9, MORNING)  # late, of what was sent before
    for _ in range(3):
        world.wait(minutes=20)
        world.judged()
    assert world.in_force() == []
    bad(world, 12, subject=BOLT._replace(campaign="again"))
    assert [row.rule for row in world.in_force()] == ["complaint-rate"]


def test_mail_let_through_that_is_healthy_ends_the_hold(store):
    world = World(store, [RULES["complaint-rate"]])
    healthy_for(world, 6)
    bad(world, 6)
    assert len(world.in_force()) == 1
    for number in range(4):
        world.wait(hours=1)
        world.sent(2000, 0, BOLT._replace(campaign=f"repaired{number}"))
    for _ in range(40):
        world.wait(minutes=2)
        world.judged()
    assert world.in_force() == []
    assert firing(world) == {}
    assert world.notified() == ["firing", "resolved"]


def test_the_gate_lets_the_probe_through_and_what_comes_of_it_ends_the_hold(store):
    """The loop closed: only what the gate lets through is delivered, and one in twenty is enough."""
    world = World(store, [RULES["complaint-rate"]])
    healthy_for(world, 6)
    bad(world, 1)
    bad(world, 1, subject=BOLT._replace(campaign="noon"))
    (held,) = world.in_force()
    assert held.probe == 0.05
    gate, hours = GateIndex(), 0
    while world.in_force() and hours < 23:
        index = gate.refresh(store, world.now, everything=True)
        sent = sum(let_through(index, world.now, f"{hours}-{number}") for number in range(1500))
        assert 40 <= sent <= 120
        world.sent(sent, 0, BOLT._replace(campaign=f"repaired{hours}"))
        bad(world, 1, a_hour=0, complaints=0)
        hours += 1
    assert firing(world) == {}
    assert world.rows(Suspension)[0].lift_reason != "its time is over"
    assert let_through(gate.refresh(store, world.now, everything=True), world.now, "any") == 1


def let_through(index, now, message):
    request = Request(customer="bolt", stream="newsletter", provider="yahoo", message=message)
    return int(decide(request, index, now).decision == "send")


def test_after_its_time_a_hold_ends_and_what_is_still_bad_is_held_anew(store):
    world = World(store, [RULES["complaint-rate"]])
    healthy_for(world, 6)
    bad(world, 6)
    (first,) = world.in_force()
    for _ in range(22):  # what goes on nevertheless, or is let through
        bad(world, 1, subject=BOLT._replace(campaign="through"), a_hour=50, complaints=1)
    while world.now < first.until:
        world.wait(minutes=5)
    world.judged()
    (second,) = world.in_force()
    assert second.id != first.id


def test_streams_with_little_mail_are_judged_together_and_the_text_says_so(store):
    world = World(store, [RULES["complaint-rate"]])
    for day in range(5):
        for name in ("newsletter", "offers", "tips"):
            world.count("delivered", 100, Subject(customer="bolt", stream=name, provider="yahoo", campaign=f"{name}{day}"))
            world.count("complaint", 2 if day > 1 else 0, Subject(customer="bolt", stream=name, provider="yahoo", campaign=f"{name}{day}"))
        world.wait(hours=24)
    world.judged()
    incident = firing(world)["complaint-rate"]
    assert incident.subject == {"customer": "bolt", "provider": "yahoo"}
    assert "3 streams taken together, under 200 messages a day each" in incident.summary
    assert {row.scope["stream"] for row in world.in_force()} == {"newsletter", "offers", "tips"}


def test_complaints_that_name_no_stream_are_the_customers_and_hold_nothing(store):
    world = World(store, [RULES["complaint-rate"]])
    healthy_for(world, 6)
    for _ in range(8):
        world.sent(500, 0, MORNING)
        world.count("complaint", 6, Subject(customer="bolt", provider="yahoo"))
        world.wait(hours=1)
        world.judged()
    incident = firing(world)["complaint-rate"]
    assert incident.subject == {"customer": "bolt", "provider": "yahoo"}
    assert "complaints do not all say of which stream they are" in incident.summary
    assert world.in_force() == []


def test_complaints_that_name_no_campaign_are_set_against_all_mail_of_the_stream(world):
    healthy_for(world, 3)
    for _ in range(4):
        world.sent(2000, 0, MORNING)
        world.count("complaint", 2, BOLT)
        world.wait(hours=1)
        world.judged()
    assert world.rows(Incident) == []


def asked(world, **more):
    """What the gate answers a sender whose mail names no campaign."""
    index = GateIndex().refresh(world.store, world.now, everything=True)
    return decide(Request(**{"customer": "bolt", "stream": "newsletter", "provider": "yahoo"} | more), index, world.now).decision


@pytest.mark.parametrize("campaign", ["bought", None], ids=["complaints name the campaign", "nothing names a campaign"])
def test_a_bad_mailing_whose_deliveries_name_no_campaign_holds_its_stream_at_the_provider_within_hours(world, campaign):
    for _ in range(12):  # four a day, healthy
        world.sent(1250, 1, BOLT)
        world.sent(1250, 1, BOLT._replace(provider="orange"))
        world.wait(hours=6)
    world.judged()
    assert asked(world) == "send"
    for _ in range(3):
        world.sent(500, 0, BOLT)
        world.count("complaint", 8, BOLT._replace(campaign=campaign))
        world.wait(minutes=30)
        world.judged()
    assert asked(world) == "hold"
    assert asked(world, provider="orange") == "send"
    assert asked(world, stream="receipts") == "send"
    assert "complaint-campaign" not in firing(world)
    incident = firing(world)["complaint-mailing"]
    assert "since 2026-01-08 12:00 UTC" in incident.summary
    held = {row.rule: row for row in world.in_force()}["complaint-mailing"]
    assert held.scope == {"customer": "bolt", "stream": "newsletter", "provider": "yahoo"}
    assert (held.until - held.since, held.probe) == (timedelta(hours=12), 0.05)


def test_complaints_alone_hold_nobody_where_deliveries_are_not_known(world):
    for _ in range(4):
        world.count("complaint", 30, MORNING)
        world.wait(hours=1)
        world.judged()
    assert (world.rows(Incident), world.in_force()) == ([], [])
    states = {row.rule: (row.state, row.summary) for row in world.rows(VerdictRow) if row.rule == "complaint-campaign"}
    assert states["complaint-campaign"][0] == "nodata"
    assert "are all deliveries reported?" in states["complaint-campaign"][1]
    world.sent(60, 0, MORNING)
    world.judged()
    assert world.in_force() == []
