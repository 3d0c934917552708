"""Facts → incident, suspension, message → recovery, on every engine."""

from datetime import timedelta

import pytest

from collectors.observation import Subject
from monitor.database.tables import (
    Incident,
    Outbox,
    SendingIp,
    ShadowSuspension,
    Suspension,
    Transition,
)
from monitor.incidents.changes import acknowledge
from monitor.incidents.silences import silence
from monitor.judging.held import Limits
from monitor.judging.run import Judge
from monitor.notify.message import Receiver
from monitor.notify.routing import Routing
from monitor.restrictions.suspensions import lift
from monitor.rules.conditions.listing import Baseline
from monitor.rules.conditions.table import RULE
from monitor.rules.model import Mode
from tests.monitor.judging.world import CHAT, START, World

RATE = RULE.validate_python({
    "id": "complaint-rate", "condition": "ratio", "signal": "complaints", "severity": "critical", "above": "0.3%", "clear": {"below": "0.1%"},
    "effect": {"action": "hold", "scope": ["customer", "stream"], "at_most": "12h"}, "runbook": "ask Bolt",
    "quiet_for": "2d",
})
LISTED = RULE.validate_python({
    "id": "ip-listed", "condition": "listing", "severity": "critical", "min_weight": 0.7, "effect": {},
})

@pytest.fixture
def world(store):
    return World(store, [RATE, LISTED])


def test_complaints_beyond_doubt_fire_hold_and_notify_once(world):
    world.sent(20_000, 90)
    for _ in range(3):
        world.judged()
        world.wait(minutes=1)
    assert world.incident().state == "firing"
    (suspension,) = world.in_force()
    assert suspension.scope == {"customer": "bolt", "stream": "newsletter"}
    assert suspension.until == START + timedelta(hours=12)
    (row,) = world.rows(Outbox)
    assert row.event == "firing"
    for words in ("0.45 % (90 of 20,000; at least 0.36 %)", "customer bolt, stream newsletter", "Done: hold on",
                  "Next: ask Bolt", f"http://vigie.example/incidents/{world.incident().id}"):
        assert words in row.body


def test_a_few_complaints_of_a_small_stream_raise_nothing(world):
    world.sent(50, 1)
    world.judged()
    assert world.rows(Incident) == []


def test_complaints_that_name_no_stream_fire_for_the_customer_and_hold_no_stream(world):
    world.sent(10_000, 0)
    world.count("complaint", 200, Subject(customer="bolt", provider="yahoo"))
    world.judged()
    assert (world.incident().state, world.incident().subject) == ("firing", {"customer": "bolt", "provider": "yahoo"})
    assert "200 of 10,000" in world.incident().summary
    assert world.in_force() == []
    (row,) = world.rows(Outbox)
    assert "Not done: nothing is held: the facts do not say which stream it is" in row.body


def test_complaints_that_name_no_stream_keep_the_incident_of_a_stream_open(world):
    world.sent(20_000, 90)
    world.judged()
    world.wait(hours=12)
    world.judged()
    world.wait(minutes=10)
    world.sent(10_000, 0)
    world.count("complaint", 20, Subject(customer="bolt", provider="yahoo"))
    world.judged()
    assert {row.state for row in world.rows(Incident) if "stream" in row.subject} == {"firing"}


def test_an_ended_incident_keeps_its_worst_moment_and_says_so_when_it_is_over(world):
    world.sent(20_000, 90)
    world.judged()
    (hold,) = world.in_force()
    world.wait(hours=12)
    world.judged()
    world.wait(minutes=10)
    world.sent(40_000, 60)
    world.judged()
    incident = world.incident()
    assert (incident.state, incident.evidence["numerator"]) == ("firing", 90)
    assert "60 of 40,000" in incident.evidence["now"]
    world.sent(200_000, 1)
    world.judged()
    incident = world.incident()
    assert (incident.state, "now" in incident.evidence, "90 of 20,000" in incident.summary) == ("ok", False, True)
    fired, resolved = sorted(world.rows(Outbox), key=lambda row: row.id)
    assert fired.title == ("[FIRING] critical: complaint rate 0.45 % (90 of 20,000), customer bolt, stream newsletter, "
                           "provider yahoo (complaint-rate)")
    assert f"({hold.id})" in fired.body
    assert resolved.title.startswith("[RESOLVED] critical: complaint rate 0.45 % (90 of 20,000), customer bolt")
    for piece in ("Was: complaint rate 0.45 %", "Whose: bolt", "Lasted: 12 h 10 min", "Done: 1 suspension of it ended"):
        assert piece in resolved.body


def test_the_end_of_listings_names_how_many_addresses_which_and_whose(world):
    with world.store.session() as session:
        for number in (1, 2):
            row = session.get(SendingIp, f"192.0.2.{number}")
            row.customer = "acme"
            session.add(row)
    for number in (1, 2, 3):
        world.answers(listed=False, ip=f"192.0.2.{number}")
    world.wait(minutes=5)
    for number in (1, 2, 3):
        world.answers(listed=True, ip=f"192.0.2.{number}")
    world.judged()
    for _ in range(3):
        world.wait(minutes=5)
        for number in (1, 2, 3):
            world.answers(listed=False, ip=f"192.0.2.{number}")
    world.judged()
    fired, resolved = sorted(world.rows(Outbox), key=lambda row: row.id)
    assert fired.title == "[FIRING] critical: 3 IPs on big, customer acme, pool shared (ip-listed)"
    assert resolved.title == fired.title.replace("FIRING", "RESOLVED")
    for piece in ("Which: 3 IPs: 192.0.2.1, 192.0.2.2, 192.0.2.3", "Whose: acme", "Done: 3 suspensions of it ended"):
        assert piece in resolved.body


def test_after_the_hold_only_new_mail_is_judged_and_health_ends_the_incident(world):
    world.sent(20_000, 90)
    world.judged()
    world.wait(hours=12)
    world.judged()
    assert world.in_force() == []
    assert world.incident().state == "firing"
    world.wait(minutes=10)
    world.judged()
    assert world.in_force() == [], "the old complaints were judged already"
    world.sent(20_000, 2)
    world.judged()
    assert world.incident().state == "ok"
    assert world.notified() == ["firing", "resolved"]


def test_mail_that_draws_complaints_again_after_the_hold_is_held_again_and_notified(world):
    world.sent(20_000, 90)
    world.judged()
    world.wait(hours=12)
    world.judged()
    world.wait(minutes=10)
    world.sent(20_000, 90)
    world.judged()
    assert len(world.in_force()) == 1
    assert world.notified() == ["firing", "worsened"]


def test_an_operator_who_lifts_is_not_overruled_by_the_evidence_he_knew(world):
    world.sent(20_000, 90)
    world.judged()
    world.wait(minutes=1)
    with world.store.session() as session:
        lift(session, world.in_force()[0].id, actor="olga", reason="list cleaned", now=world.now)
    for _ in range(3):
        world.wait(minutes=1)
        world.judged()
    assert world.in_force() == []


def test_silence_after_the_hold_is_no_recovery_until_it_has_lasted(world):
    world.sent(20_000, 90)
    world.judged()
    world.wait(hours=12)
    world.judged()
    for _ in range(3):
        world.wait(hours=12)
        world.judged()
    assert world.incident().state == "firing"
    world.wait(days=1)
    world.judged()
    assert world.incident().state == "ok"
    assert world.notified() == ["firing", "resolved"]


def test_complaints_not_collected_do_not_end_an_incident(store):
    world = World(store, [RATE], intervals={"feedback_loop": timedelta(minutes=5)})
    world.sent(20_000, 90)
    world.collected("feedback_loop")
    world.judged()
    world.wait(hours=12)
    world.sent(20_000, 0)
    world.judged()
    assert (world.incident().state, world.incident().unknown_reason) == ("firing", "stale")
    assert world.incident().ended_at is None


def test_a_listing_holds_the_ip_and_three_clean_answers_release_it(world):
    world.answers(listed=False)
    world.wait(minutes=5)
    world.answers(listed=True)
    world.judged()
    assert [suspension.scope for suspension in world.in_force()] == [{"ip": "192.0.2.1"}]
    for expected in (1, 1, 0):
        world.wait(minutes=5)
        world.answers(listed=False)
        world.judged()
        assert len(world.in_force()) == expected
    assert world.notified() == ["firing", "resolved"]


@pytest.mark.parametrize("reason", ["timeout", "refused", "canary_failed"])
def test_a_list_that_stops_answering_neither_holds_nor_releases(world, reason):
    world.answers(listed=False)
    world.answers(listed=False, ip="192.0.2.2")
    world.wait(minutes=5)
    world.answers(listed=True)
    world.judged()
    for _ in range(5):
        world.wait(minutes=5)
        world.answers(listed=None, reason=reason)
        world.answers(listed=None, reason=reason, ip="192.0.2.2")
        world.judged()
    assert world.incident().state == "firing"
    assert [suspension.scope for suspension in world.in_force()] == [{"ip": "192.0.2.1"}]


def test_what_was_listed_before_we_looked_is_one_incident_per_operator_and_holds_nothing_by_itself(world):
    for ip in ("192.0.2.1", "192.0.2.2"):
        world.answers(listed=True, ip=ip)
    world.judged()
    assert (world.incident().state, world.incident().subject) == ("firing", {"operator": "big"})
    assert "192.0.2.1, 192.0.2.2 listed on big (spam source), already when first seen" in world.incident().summary
    assert world.in_force() == []
    (row,) = world.rows(Outbox)
    assert "Not done: ip 192.0.2.1, ip 192.0.2.2: listed already when first seen" in row.body


def test_a_rule_may_hold_what_was_listed_before_we_looked(store):
    world = World(store, [LISTED.model_copy(update={"baseline": Baseline.HOLD})])
    world.answers(listed=True)
    world.judged()
    assert [row.scope for row in world.in_force()] == [{"ip": "192.0.2.1"}]


def test_forty_ips_on_one_list_are_one_incident_and_growth_is_notified_no_oftener_than_once_a_minute(world):
    for i in range(1, 5):
        world.answers(listed=False, ip=f"192.0.2.{i}")
    world.wait(minutes=5)
    for i in range(1, 5):
        world.answers(listed=True, ip=f"192.0.2.{i}")
        world.judged()
        world.wait(seconds=20)
    assert len(world.rows(Incident)) == 1
    assert len(world.in_force()) == 4
    world.wait(minutes=2)
    world.judged()
    assert world.notified() == ["firing", "worsened"]


def test_transactional_mail_is_notified_of_but_not_held(world):
    receipts = Subject(customer="bolt", stream="receipts", provider="yahoo")
    world.sent(20_000, 90, receipts)
    world.judged()
    assert world.incident().state == "firing"
    assert world.in_force() == []
    assert "transactional" in world.rows(Outbox)[0].body


def test_automation_holds_no_more_than_its_share_of_the_traffic(store):
    world = World(store, [RATE], Limits(max_held_share=0.25))
    world.sent(20_000, 90)
    world.sent(10_000, 0, Subject(customer="acme", stream="news", provider="yahoo"))
    world.judged()
    assert [(row.effect, row.rate_per_hour) for row in world.in_force()] == [("slow", 416)], "half of what it sent"
    body = world.rows(Outbox)[0].body
    assert "slowed to 416 an hour" in body
    assert "a person must decide" in body
    world.wait(minutes=1)
    world.judged()
    assert len(world.rows(Suspension)) == 1


def test_of_one_provider_automation_holds_no_more_than_its_share_from_the_second_hold_on(store):
    world = World(store, [RATE], Limits(max_held_share=1.0, max_held_share_per_provider=0.6))
    acme = Subject(customer="acme", stream="news", provider="yahoo")
    world.sent(20_000, 0, Subject(customer="acme", stream="other", provider="gmail"))
    world.sent(20_000, 90)
    world.judged()
    assert [row.effect for row in world.in_force()] == ["hold"], "the first, though it is all of that provider's"
    world.sent(20_000, 90, acme)
    world.judged()
    assert [row.effect for row in world.in_force()] == ["hold", "slow"]
    assert any("100% of the traffic to yahoo; automation may hold 60% of it" in row.body for row in world.rows(Outbox))


def test_in_shadow_nothing_is_held_and_what_would_be_is_written_down_once_and_ended(store):
    world = World(store, [RATE], Limits(max_held_share=1.0, shadow=True))
    for _ in range(3):
        world.sent(20_000, 90)
        world.judged()
        world.wait(minutes=1)
    assert world.rows(Suspension) == []
    (would,) = world.rows(ShadowSuspension)
    assert (would.rule, would.effect, would.scope, would.ended_at) == (
        "complaint-rate", "hold", {"customer": "bolt", "stream": "newsletter"}, None)
    assert "automation is in shadow" in world.rows(Outbox)[0].body
    world.wait(days=8)
    world.sent(40_000, 0)
    world.judged()
    assert world.rows(ShadowSuspension)[0].ended_at is not None


def test_a_rule_in_shadow_writes_down_what_it_would_hold_and_notifies_nobody(store):
    world = World(store, [RATE.model_copy(update={"mode": Mode.SHADOW})], Limits(max_held_share=1.0))
    for _ in range(2):
        world.sent(20_000, 90)
        world.judged()
        world.wait(minutes=1)
    (would,) = world.rows(ShadowSuspension)
    assert (would.why_not, would.ended_at) == ("the rule is in shadow", None)
    assert (world.rows(Suspension), world.rows(Outbox), world.rows(Incident)) == ([], [], [])
    world.wait(days=8)
    world.sent(40_000, 0)
    world.judged()
    assert world.rows(ShadowSuspension)[0].ended_at is not None


def test_what_was_notified_while_firing_is_notified_when_resolved_though_silenced_since(world):
    world.answers(listed=False)
    world.wait(minutes=5)
    world.answers(listed=True)
    world.judged()
    with world.store.session() as session:
        silence(session, matchers={"rule": "ip-listed"}, actor="olga", reason="known", now=world.now,
                until=world.now + timedelta(days=1))
    for _ in range(3):
        world.wait(minutes=5)
        world.answers(listed=False)
        world.judged()
    assert world.notified() == ["firing", "resolved"]


def test_what_fires_while_silenced_is_notified_when_the_silence_ends(world):
    with world.store.session() as session:
        silence(session, matchers={"customer": "bolt"}, actor="olga", reason="known", now=world.now,
                until=world.now + timedelta(hours=1))
    world.sent(20_000, 90)
    world.judged()
    assert world.notified() == []
    assert len(world.in_force()) == 1, "a silence stops the notifications, not the judging"
    world.wait(hours=1, seconds=1)
    world.judged()
    assert world.notified() == ["firing"]


def test_a_rule_taken_out_of_the_configuration_ends_what_it_opened(world):
    world.sent(20_000, 90)
    world.judged()
    Judge(world.store, [LISTED], Routing([CHAT])).judge_all(world.now)
    assert world.incident().state == "ok"
    assert world.in_force() == []
    assert world.notified() == ["firing", "resolved"]


def test_every_change_leaves_its_transition(world):
    world.sent(20_000, 90)
    world.judged()
    with world.store.session() as session:
        acknowledge(session, world.incident().id, actor="olga", reason="calling Bolt", now=world.now)
    changes = [(row.kind, row.old, row.new) for row in world.rows(Transition)]
    assert changes == [("incident", "ok", "firing"), ("suspension", "none", "hold"),
                       ("acknowledgement", "none", "acknowledged")]


def test_a_customers_silence_keeps_quiet_only_who_hears_of_that_customer_alone(store):
    world = World(store, [RATE])
    bolts = Receiver("bolts-people", "json://127.0.0.1/", customers=frozenset({"bolt"}))
    world.judge.routing = Routing([CHAT, bolts])
    with store.session() as session:
        silence(session, matchers={"customer": "bolt"}, actor="bolt", reason="x", now=world.now,
                until=world.now + timedelta(days=1), by_customer="bolt")
    world.sent(20_000, 90)
    world.judged()
    assert [row.receiver for row in world.rows(Outbox)] == ["on-call"]


def test_an_incident_whose_window_only_moves_is_written_anew_after_ten_minutes_and_at_once_when_it_worsens(world):
    world.sent(20_000, 120)
    world.judged()
    first = world.incident().judged_at
    world.judged_every(1, times=5)
    assert world.incident().judged_at == first
    world.judged_every(1, times=6)
    assert world.incident().judged_at > first
    before = world.incident().judged_at
    world.sent(1_000, 60)
    world.judged()
    assert world.incident().judged_at > before
