"""What has one cause is one incident with members: one message, one acknowledgement, one end."""

from datetime import timedelta

import pytest
from sqlmodel import select

from collectors.observation import Subject
from monitor.database.tables import Incident, Outbox, Transition
from monitor.incidents.changes import acknowledge
from monitor.incidents.matchers import parse
from monitor.incidents.silences import RULE_LABELS, Wanted, put_silence, silence, would_silence
from monitor.notify.message import Receiver
from monitor.notify.routing import Routing
from monitor.rules.conditions.table import RULE
from tests.monitor.judging.world import World

DEFERRALS = RULE.validate_python({
    "id": "deferrals", "condition": "ratio", "signal": "deferrals", "severity": "warning", "by": ["ip", "provider"], "window": "1h",
    "above": "50%", "clear": {"below": "20%"}, "at_least": {"numerator": 10, "denominator": 20},
})
COMPLAINTS = RULE.validate_python({
    "id": "complaint-rate", "condition": "ratio", "signal": "complaints", "severity": "critical", "above": "0.3%", "window": "1h",
    "clear": {"below": "0.1%"}, "by": ["customer", "stream", "provider"],
})
INVALID = RULE.validate_python({
    "id": "invalid-addresses", "condition": "ratio", "signal": "invalid_addresses", "severity": "warning", "above": "5%", "window": "1h",
    "clear": {"below": "2%"}, "by": ["customer", "stream"],
})
LISTED = RULE.validate_python({"id": "ip-listed", "condition": "listing", "severity": "warning", "min_weight": 0.7, "by": ["operator", "pool"]})
ACME = Receiver("acme", customers=frozenset({"acme"}), contact=True)


@pytest.fixture
def world(store):
    return World(store, [DEFERRALS, COMPLAINTS, INVALID, LISTED])


def outage(world, ips, *, over=False):
    for number in ips:
        subject = Subject(ip=f"192.0.2.{number}", provider="orange")
        world.count("delivered", 4000 if over else 10, subject)
        world.count("deferral", 0 if over else 90, subject)
    world.judged()


def of_rule(world, rule):
    return [row for row in world.rows(Incident) if row.rule == rule]


def whole(world):
    (row,) = [row for row in world.rows(Incident) if row.member_count is not None]
    return row


def messages(world, receiver="on-call"):
    rows = sorted((row for row in world.rows(Outbox) if row.receiver == receiver), key=lambda row: row.id)
    return [(row.event, row.incident_id) for row in rows]


def test_an_outage_of_a_provider_is_one_incident_one_message_and_one_end(world):
    outage(world, range(1, 5))
    incident = whole(world)
    assert (incident.rule, incident.subject, incident.state, incident.member_count) == ("provider-trouble", {"provider": "orange"}, "firing", 4)
    assert {row.part_of for row in of_rule(world, "deferrals")} == {incident.id}
    assert messages(world) == [("firing", incident.id)]
    (row,) = world.rows(Outbox)
    assert row.title == "[FIRING] warning: 4 incidents of deferrals, provider orange (provider-trouble)"
    assert row.body.count("Member: deferrals, ip 192.0.2.") == 4

    world.wait(minutes=70)
    outage(world, range(1, 4), over=True)
    assert (whole(world).state, whole(world).member_count) == ("firing", 1)
    outage(world, range(4, 5), over=True)
    assert messages(world) == [("firing", incident.id), ("resolved", incident.id)]
    assert (whole(world).state, whole(world).member_count, whole(world).open_key) == ("ok", 0, incident.id)
    assert whole(world).ended_at == world.now


def test_members_join_later_and_people_hear_of_it_when_there_are_more(world):
    outage(world, range(1, 4))
    world.wait(minutes=1)
    outage(world, range(4, 8))
    assert whole(world).member_count == 7
    assert [event for event, _ in messages(world)] == ["firing", "worsened"]
    joined = [row for row in world.rows(Transition) if row.kind == "membership"]
    assert len(joined) == 7
    assert {row.new for row in joined} == {whole(world).id}


def test_what_grows_for_a_quarter_of_an_hour_is_some_messages(world):
    for minute in range(15):
        outage(world, range(1, 4 + 3 * minute))
        world.wait(minutes=1)
    assert [event for event, _ in messages(world)] == ["firing", "worsened", "worsened", "worsened", "worsened"]


def test_who_may_not_hear_of_all_members_hears_of_its_own_alone(world):
    world.restarted(routing=Routing([Receiver("on-call"), ACME]))
    world.restarted(rules=[DEFERRALS.model_copy(update={"by": ("customer", "provider")})])
    for customer in ("acme", "bolt", "third"):
        for measure, value in (("delivered", 10), ("deferral", 90)):
            world.count(measure, value, Subject(customer=customer, provider="orange"))
    world.judged()
    assert messages(world) == [("firing", whole(world).id)]
    (own,) = [row for row in of_rule(world, "deferrals") if row.subject["customer"] == "acme"]
    assert messages(world, "acme") == [("firing", own.id)]
    assert not any("bolt" in row.title + row.body for row in world.rows(Outbox) if row.receiver == "acme")


def test_it_is_acknowledged_as_one_until_it_gets_worse(world):
    outage(world, range(1, 4))
    with world.store.session() as session:
        acknowledge(session, whole(world).id, actor="jo", reason="Orange said so", now=world.now)
    assert all(row.acked_by == "jo" for row in world.rows(Incident))
    world.wait(minutes=2)
    outage(world, range(4, 6))
    assert whole(world).acked_at is None
    assert [event for event, _ in messages(world)] == ["firing", "worsened"]


def test_it_is_silenced_as_one_and_a_silenced_member_is_not_heard_of(world):
    outage(world, range(1, 4))
    with world.store.session() as session:
        silence(session, matchers={"incident": whole(world).id}, actor="jo", reason="known", now=world.now, until=world.now + timedelta(hours=1))
    world.wait(minutes=2)
    outage(world, range(4, 9))
    assert [event for event, _ in messages(world)] == ["firing"]
    world.wait(minutes=60)
    outage(world, range(1, 9), over=True)
    assert [event for event, _ in messages(world)] == ["firing", "resolved"]


def test_all_members_silenced_is_the_whole_silenced(world):
    with world.store.session() as session:
        silence(session, matchers={"provider": "orange"}, actor="jo", reason="known", now=world.now, until=world.now + timedelta(hours=1))
    outage(world, range(1, 5))
    assert whole(world).member_count == 4
    assert messages(world) == []


def test_who_heard_of_a_member_before_it_joined_hears_that_it_is_over(world):
    outage(world, [1])
    world.wait(minutes=1)
    outage(world, [2, 3])
    first = min(of_rule(world, "deferrals"), key=lambda row: row.started_at)
    assert messages(world) == [("firing", first.id), ("firing", whole(world).id)]
    world.wait(minutes=70)
    outage(world, [1, 2, 3], over=True)
    assert sorted(messages(world)[2:]) == sorted([("resolved", first.id), ("resolved", whole(world).id)])


def test_a_bought_list_is_one_incident(world):
    for provider in ("gmail", "yahoo", "orange"):
        subject = Subject(customer="acme", stream="news", provider=provider)
        world.count("hard_bounce", 900, subject)
        world.sent(8000, 90, subject)
    world.judged()
    assert (whole(world).rule, whole(world).member_count, whole(world).severity) == ("bought-list", 4, "critical")
    assert len(messages(world)) == 1


def test_a_listed_network_is_one_incident_whoever_lists_it(world):
    for number in (1, 2, 3):
        for dnsbl in ("big", "small"):
            world.answers(True, ip=f"192.0.2.{number}", dnsbl=dnsbl)
    world.judged()
    world.wait(minutes=2)
    for number in (1, 2, 3):
        for dnsbl in ("big", "small"):
            world.answers(True, ip=f"192.0.2.{number}", dnsbl=dnsbl)
    world.judged()
    assert (whole(world).rule, whole(world).member_count) == ("network-listed", 2)
    assert len(messages(world)) == 1
    (row,) = world.rows(Outbox)
    assert row.title.startswith("[FIRING] warning: 3 IPs on ")


def test_a_pass_that_dies_before_it_wrote_the_members_is_finished_by_the_next(world, monkeypatch):
    class KilledError(BaseException):
        pass

    def killed(*_):
        raise KilledError

    with monkeypatch.context() as patched:
        patched.setattr("monitor.judging.enqueue.write_whole", killed)
        with pytest.raises(KilledError):
            outage(world, range(1, 5))
    assert len(of_rule(world, "deferrals")) == 4
    assert world.rows(Outbox) == []
    world.judged()
    assert whole(world).member_count == 4
    assert messages(world) == [("firing", whole(world).id)]


def test_an_ended_rule_ends_its_incidents_and_so_the_whole(world):
    outage(world, range(1, 5))
    world.restarted(rules=[COMPLAINTS])
    world.judged()
    with world.store.reading_session() as session:
        assert session.exec(select(Incident).where(Incident.ended_at.is_(None))).all() == []
    assert [event for event, _ in messages(world)] == ["firing", "resolved"]


def test_a_silence_on_a_label_of_rules_keeps_quiet_and_its_preview_knows(world):
    labelled = DEFERRALS.model_copy(update={"labels": {"team": "delivery"}})
    world.restarted(rules=[labelled])
    known = {RULE_LABELS: {"team"}}
    matchers = [parse("team=delivery")]
    with world.store.session() as session:
        with pytest.raises(ValueError, match="cannot match on team"):
            put_silence(session, Wanted(matchers, world.now + timedelta(hours=1)), actor="jo", reason="known", now=world.now)
        put_silence(session, Wanted(matchers, world.now + timedelta(hours=1)), actor="jo", reason="known", now=world.now, known=known)
    outage(world, [1])
    assert messages(world) == []
    with world.store.reading_session() as session:
        assert [row.rule for row in would_silence(session, matchers, labels={"team"})] == ["deferrals"]
