"""Complaints of a customer, a listing of its address, blocks of it: kept with the incidents and said in the messages."""

import pytest

from collectors.observation import Subject
from monitor.database.tables import Incident, IncidentLink, Outbox, SendingIp
from monitor.rules.conditions.table import RULE
from tests.monitor.judging.test_incident_members import COMPLAINTS, LISTED
from tests.monitor.judging.world import World

BLOCKS = RULE.validate_python({
    "id": "blocks", "condition": "ratio", "signal": "blocks", "severity": "critical", "by": ["ip", "provider"], "window": "1h",
    "above": "5%", "clear": {"below": "1%"}, "at_least": {"numerator": 10, "denominator": 20},
})
NEWS = Subject(customer="acme", stream="news", provider="gmail")


@pytest.fixture
def world(store):
    made = World(store, [COMPLAINTS, LISTED, BLOCKS])
    with store.session() as session:
        session.add(SendingIp(address="198.51.100.7", pool=None, customer="acme"))
    return made


def listed(world, ip):
    for _ in range(2):
        world.answers(True, ip=ip)
        world.judged()
        world.wait(minutes=2)


def test_the_chain_is_kept_and_every_message_says_what_it_followed_from(world):
    world.sent(10_000, 90, NEWS)
    world.judged()
    world.wait(hours=20)
    listed(world, "198.51.100.7")
    world.wait(hours=5)
    blocked = Subject(ip="198.51.100.7", provider="gmail")
    world.count("delivered", 100, blocked)
    world.count("block", 60, blocked)
    world.judged()
    world.judged()
    by_id = {row.id: row for row in world.rows(Incident)}
    links = [(by_id[row.cause_id].rule, by_id[row.effect_id].rule, row.why) for row in world.rows(IncidentLink)]
    assert [(cause, effect) for cause, effect, _ in links] == [
        ("complaint-rate", "ip-listed"), ("ip-listed", "blocks"), ("complaint-rate", "blocks"),
    ]  # fmt: skip
    assert links[1][2] == "ip-listed fired 5 hours before, of the same target: 198.51.100.7"
    last = max(world.rows(Outbox), key=lambda row: row.id)
    assert last.title.startswith("[FIRING] critical: block rate")
    follows = [line for line in last.body.splitlines() if line.startswith("Follows: ")]
    assert [line.split()[1] for line in follows] == ["complaint-rate", "ip-listed"]


def test_an_address_of_a_shared_pool_is_nobodys(world):
    world.sent(10_000, 90, NEWS)
    world.judged()
    listed(world, "192.0.2.1")
    assert world.rows(IncidentLink) == []


def test_what_is_about_one_customer_says_nothing_of_another(world):
    """A pool that two share is listed for the mail of one: the other reads of its own blocks alone."""
    world.restarted(rules=[COMPLAINTS, LISTED, BLOCKS.model_copy(update={"by": ("customer", "ip", "provider")})])
    world.sent(10_000, 90, NEWS)
    world.judged()
    listed(world, "198.51.100.7")
    world.wait(hours=1)
    for customer in ("acme", "bolt"):
        blocked = Subject(customer=customer, ip="198.51.100.7", provider="gmail")
        world.count("delivered", 100, blocked)
        world.count("block", 60, blocked)
    world.judged()
    bodies = {row.subject["customer"]: body for row in world.rows(Incident) if row.rule == "blocks" for body in [
        next(each.body for each in world.rows(Outbox) if each.incident_id == row.id)
    ]}  # fmt: skip
    assert "Follows: complaint-rate" in bodies["acme"]
    assert "Follows" not in bodies["bolt"]
    assert "acme" not in bodies["bolt"]
