"""What cannot be seen raises and clears no listing, and one incident names the cause, on every engine."""

import random
from datetime import timedelta

import pytest

from collectors.clients.dns import Server
from collectors.contract import Reason
from collectors.dnsbl.canary import Health, network_fault
from collectors.dnsbl.facts import canary_observations
from collectors.observation import Observation, Subject
from monitor.config.load import read_rules
from monitor.database.tables import Incident, Listing, Outbox, ReportMailbox, Suspension, Transition
from monitor.rules.conditions.table import RULE
from monitor.rules.lists import KnownList, KnownLists
from monitor.rules.load import SHIPPED
from tests.monitor.judging.world import World

RULES = [RULE.validate_python(source.data) for source in read_rules(SHIPPED)]
EVERY = {"dnsbl": timedelta(minutes=15), "feedback_loop": timedelta(minutes=5)}
RESOLVER = Server("127.0.0.1", 5353)
STEP = 2.5  # minutes between passes; after a longer pause the timers of incidents would not go on
LISTS = [f"list-{i}" for i in range(8)]
KNOWN = KnownLists({name: KnownList(name, operator=name, isps=("Gmail",)) for name in LISTS})
IPS = [f"192.0.2.{i}" for i in range(1, 5)]
LISTED = {("192.0.2.1", "list-0"), ("192.0.2.2", "list-1")}


class Lookout(World):
    """Sweeps eight lists every five minutes, each question lost by chance."""

    def __init__(self, store):
        super().__init__(store, RULES, intervals=EVERY, lists=KNOWN)
        self.dice = random.Random(1)

    def sweep(self, lost=0.0, ill=None, listed=LISTED):
        """`ill`: list → reason for which it fails its canaries. As in the real sweep, a list that fails is not asked."""
        healths, seen = {}, []
        for dnsbl in LISTS:
            gone = any(self.dice.random() < lost for _ in range(3))
            reason = (ill or {}).get(dnsbl) or (Reason.TIMEOUT if gone else None)
            why = reason and "no answer about the positive test point"
            healths[dnsbl, RESOLVER] = Health(reason, why, self.now, silent=lost == 1)
            seen += [self.answer(ip, dnsbl, reason or (Reason.TIMEOUT if self.dice.random() < lost else None), listed)
                     for ip in IPS]
        self.sees(*seen, *canary_observations(healths, network_fault(healths, {each: each for each in LISTS}), "dnsbl", self.now))
        run = self.store.open_run("dnsbl", self.now)
        dead = lost == 1
        self.store.close_run(run, self.now, outcome="failed" if dead else "ok", reason="network" if dead else None,
                             text="no resolver answers" if dead else None)
        self.mail_read()
        self.judged_every(STEP, times=2)

    def answer(self, ip, dnsbl, reason, listed):
        value = None if reason else float((ip, dnsbl) in listed)
        detail = {"codes": ["127.0.0.2"], "meanings": ["spam source"], "severity": "critical"}
        details = {"ttl_seconds": 60, "weight": 1.0, **(detail if value else {})}
        return Observation("listing", Subject(ip=ip, dnsbl=dnsbl), self.now, value, reason, details)

    def mail_read(self, reason=None):
        detail = {"reason": reason, "text": "so the server answers"} if reason else {}
        self.sees(Observation("mailbox_read", Subject(mailbox="loop"), self.now, float(not reason), detail=detail))
        run = self.store.open_run("feedback_loop", self.now)
        self.store.close_run(run, self.now, outcome="ok")

    def begin(self):
        """Two IPs listed after a first clean look, and nothing else wrong."""
        with self.store.session() as session:
            session.add(ReportMailbox(name="loop", host="imap.example.net", username="fbl", secret="fbl"))
        self.sweep(listed=())
        self.sweep()
        assert {row.rule for row in self.open()} == {"ip-listed"}
        return self.standing()

    def open(self):
        """Of rules: those with members are about the same."""
        return [row for row in self.rows(Incident) if row.ended_at is None and row.member_count is None]

    def blind(self):
        return [row for row in self.rows(Incident) if row.rule != "ip-listed" and row.member_count is None]

    def standing(self):
        """All that must not move while we are blind: listings, their incidents, and every suspension."""
        listings = {(row.target, row.dnsbl, row.phase) for row in self.rows(Listing)}
        incidents = {(row.subject_key, row.state) for row in self.rows(Incident) if row.rule == "ip-listed"}
        return listings, incidents, {suspension.id for suspension in self.in_force()}, len(self.rows(Suspension))


@pytest.fixture
def lookout(store):
    return Lookout(store)


def test_with_the_resolver_killed_nothing_is_raised_or_cleared_and_one_incident_names_it(lookout):
    before = lookout.begin()
    for _ in range(18):
        lookout.sweep(lost=1)
    assert lookout.standing() == before
    (incident,) = lookout.blind()
    assert (incident.rule, incident.state, incident.severity) == ("own-network", "firing", "warning")
    assert "127.0.0.1:5353: most lists fail alike" in incident.summary
    for _ in range(4):
        lookout.sweep()
    assert lookout.standing() == before
    assert [row.state for row in lookout.blind()] == ["ok"]
    notifications = [(row.event, row.title) for row in lookout.rows(Outbox) if "own-network" in row.title]
    assert [event for event, _ in notifications] == ["firing", "resolved"]


def test_with_half_of_the_packets_lost_nothing_is_raised_or_cleared_and_one_incident_names_it(lookout):
    before = lookout.begin()
    for _ in range(18):
        lookout.sweep(lost=0.5)
    assert lookout.standing() == before
    assert {row.rule for row in lookout.blind()} == {"own-network"}
    assert len({row.subject_key for row in lookout.blind()}) == 1


def test_with_the_clock_stepped_back_nothing_is_raised_or_cleared_and_one_incident_names_it(lookout):
    before = lookout.begin()
    lookout.wait(hours=-3)
    for _ in range(6):
        lookout.sweep(listed=())
    assert lookout.standing() == before
    (incident,) = lookout.blind()
    assert (incident.rule, incident.state) == ("clock-behind", "firing")
    assert "it was stepped back" in incident.summary
    lookout.wait(hours=3)
    lookout.sweep()
    assert [row.state for row in lookout.blind()] == ["ok"]


@pytest.mark.parametrize("hours", [3, 30, 24 * 30])
def test_with_the_clock_stepped_forward_nothing_is_raised_or_cleared(lookout, hours):
    before = lookout.begin()
    lookout.wait(hours=hours)
    lookout.judged()
    assert lookout.standing() == before
    for _ in range(3):
        lookout.sweep()
    assert lookout.standing() == before
    assert {row.state for row in lookout.blind()} <= {"ok"}
    assert not [row for row in lookout.rows(Outbox) if "ip-listed" not in row.title and "network-listed" not in row.title]


def test_one_list_that_fails_its_test_points_is_one_warning_after_an_hour(lookout):
    lookout.begin()
    for _ in range(12):
        lookout.sweep(ill={"list-7": Reason.REFUSED})
    assert [row.state for row in lookout.blind()] == ["pending"]
    lookout.sweep(ill={"list-7": Reason.REFUSED})
    (incident,) = lookout.blind()
    assert (incident.rule, incident.state, incident.severity) == ("list-unusable", "firing", "warning")
    assert incident.subject == {"collector": "dnsbl", "dnsbl": "list-7"}
    assert "refused: no answer about the positive test point" in incident.summary
    for _ in range(8):
        lookout.sweep()
    assert lookout.blind()[0].state == "ok"


def test_lists_are_not_judged_while_our_own_network_is_at_fault(lookout):
    lookout.begin()
    for _ in range(14):
        lookout.sweep(ill={"list-7": Reason.REFUSED})
    for _ in range(14):
        lookout.sweep(ill=dict.fromkeys(LISTS[:7], Reason.TIMEOUT))
    states = {row.rule: row.state for row in lookout.blind()}
    assert states == {"list-unusable": "firing", "own-network": "firing"}, "neither raised nor cleared"


@pytest.mark.parametrize("checked", [LISTS[:7], []])
def test_a_list_taken_out_of_the_configuration_ends_its_incident_at_once_with_that_reason(lookout, checked):
    lookout.judge.watched_lists = LISTS
    lookout.begin()
    for _ in range(14):
        lookout.sweep(ill={"list-7": Reason.CANARY_FAILED})
    assert ("list-unusable", "firing") in {(row.rule, row.state) for row in lookout.open()}
    lookout.judge.watched_lists = checked
    lookout.judged()
    (ended,) = (row for row in lookout.rows(Transition) if row.new == "ok" and row.rule == "list-unusable")
    assert ended.why == ("the list is no longer asked" if checked else "DNS lists are no longer asked: no collector for them is configured")
    assert ended.actor == "configuration"
    assert lookout.notified()[-1] == "resolved"


def test_a_list_that_is_not_asked_for_a_day_ends_its_incident_where_the_lists_are_not_known(lookout, monkeypatch):
    lookout.begin()
    for _ in range(14):
        lookout.sweep(ill={"list-7": Reason.CANARY_FAILED})
    monkeypatch.setattr("tests.monitor.judging.test_own_health.LISTS", LISTS[:7])
    lookout.wait(hours=12)
    lookout.sweep()
    assert ("list-unusable", "firing") in {(row.rule, row.state) for row in lookout.open()}
    lookout.wait(hours=12)
    for _ in range(8):
        lookout.sweep()
    assert "list-unusable" not in {row.rule for row in lookout.open()}


@pytest.mark.parametrize(("reason", "words"), [
    ("auth", "the server refuses user name or password"), ("tls", "no secure connection can be made"),
    ("timeout", "does not answer in time"), ("network", "cannot be reached"),
])
def test_a_mailbox_that_cannot_be_read_is_named_with_the_reason(lookout, reason, words):
    lookout.begin()
    for _ in range(12):
        lookout.mail_read(reason)
        lookout.judged_every(STEP, times=1)
    assert [row.state for row in lookout.blind()] == ["pending"]
    lookout.mail_read(reason)
    lookout.judged_every(STEP, times=1)
    (incident,) = lookout.blind()
    assert (incident.rule, incident.state, incident.subject) == ("mailbox-unread", "firing", {"mailbox": "loop"})
    assert "mailbox loop is not read since 2026-01-05 12:10 UTC" in incident.summary
    assert words in incident.summary
    lookout.mail_read()
    lookout.judged()
    assert [row.state for row in lookout.blind()] == ["ok"]


def test_a_mailbox_taken_out_of_the_inventory_ends_its_incident(lookout):
    lookout.begin()
    for _ in range(13):
        lookout.mail_read("auth")
        lookout.judged_every(STEP, times=1)
    with lookout.store.session() as session:
        session.delete(session.get(ReportMailbox, "loop"))
    lookout.judged()
    assert [row.state for row in lookout.blind()] == ["ok"]


def test_a_collector_without_a_good_run_for_three_turns_is_stale(lookout):
    lookout.begin()
    for _ in range(12):
        lookout.mail_read()
        lookout.judged_every(STEP, times=2)
    (incident,) = lookout.blind()
    assert (incident.rule, incident.state, incident.subject) == ("collector-stale", "firing", {"collector": "dnsbl"})
    assert incident.summary.startswith("collector dnsbl got no answers since 2026-01-05 12:05 UTC")
    lookout.sweep()
    assert [row.state for row in lookout.blind()] == ["ok"]


def test_a_collector_that_fails_says_why(lookout):
    for _ in range(24):
        run = lookout.store.open_run("feedback_loop", lookout.now)
        lookout.store.close_run(run, lookout.now, outcome="failed", reason="auth", text="imap.example.net refuses us")
        lookout.judged_every(STEP, times=1)
    (incident,) = lookout.blind()
    assert "(never since it was configured); its newest run: auth, imap.example.net refuses us" in incident.summary


def test_a_collector_that_is_still_at_it_after_a_pause_raises_nothing(lookout):
    lookout.begin()
    lookout.wait(hours=5)
    lookout.store.open_run("dnsbl", lookout.now)
    for _ in range(6):
        lookout.mail_read()
        lookout.judged_every_minute(5)
    assert lookout.blind() == []
