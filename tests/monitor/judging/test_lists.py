"""Block, allow and score lists → incidents of the right gravity, notified once, on every engine."""

from datetime import timedelta

import pytest

from collectors.details import ListKind
from collectors.observation import Observation, Subject
from monitor.database.tables import Incident, Outbox, Pool, SendingIp, Suspension
from monitor.incidents.silences import silence
from monitor.listings.rows import end_unasked
from monitor.rules.conditions.table import RULE
from monitor.rules.lists import KnownList, KnownLists
from tests.monitor.judging.world import World

LISTED = RULE.validate_python({"id": "ip-listed", "condition": "listing", "severity": "auto", "min_weight": 0, "effect": {}})
LOST = RULE.validate_python({
    "id": "allow-listing-lost", "condition": "change", "signal": "allow_listings", "forget_after": "14d",
    "summary": "{targets} no longer on the allow list {names}",
})
SCORE = RULE.validate_python({
    "id": "sender-score-low", "condition": "value", "signal": "list_scores", "where": {"dnsbl": "validity-score"}, "below": 70, "clear": {"above": 75},
    "for": "10m", "max_age": "2h",
})
CSS = {"codes": ["127.0.0.3"], "meanings": ["CSS"], "severity": "medium"}
SBL = {"codes": ["127.0.0.2"], "meanings": ["SBL"], "severity": "critical"}
ALLOWED = {"meanings": ["trusted"]}
LISTS = KnownLists({each.id: each for each in (
    KnownList("big", operator="big", isps=("Gmail",)),
    *(KnownList(name, operator="Spamhaus", isps=("Gmail",)) for name in ("sbl", "xbl", "css")),
    KnownList("dnswl", "DNSWL", "dnswl.org", ListKind.ALLOW), KnownList("validity-score", "Sender Score", kind=ListKind.SCORE),
)})


@pytest.fixture
def world(store):
    return World(store, [LISTED, LOST, SCORE], lists=LISTS)


def clean(world, times=1, **details):
    for _ in range(times):
        world.wait(minutes=5)
        world.answers(listed=False, **details)
        world.judged()


def severities(world):
    return [(row.event, row.severity) for row in sorted(world.rows(Outbox), key=lambda row: row.id)]


# ── how bad ──


def test_a_listing_that_gets_worse_is_notified_again_with_its_new_meaning(world):
    clean(world)
    world.answers(listed=True, **CSS)
    world.judged_every_minute(3)
    assert severities(world) == [("firing", "warning")]
    world.answers(listed=True, **SBL)
    world.judged_every_minute(3)
    assert severities(world) == [("firing", "warning"), ("worsened", "critical")]
    worsened = world.rows(Outbox)[-1]
    assert "listed on big (SBL), acted upon by Gmail" in worsened.body
    assert world.incident().severity == "critical"


def test_a_listing_that_gets_milder_is_not_notified_again_but_its_incident_says_so(world):
    clean(world)
    world.answers(listed=True, **SBL)
    world.judged_every_minute(3)
    world.answers(listed=True, **CSS)
    world.judged_every_minute(3)
    assert severities(world) == [("firing", "critical")]
    assert world.incident().severity == "warning"


def test_other_codes_of_the_same_gravity_are_not_notified(world):
    clean(world)
    world.answers(listed=True, **SBL)
    world.judged_every_minute(3)
    world.answers(listed=True, **{**SBL, "codes": ["127.0.0.9"], "meanings": ["DROP"]})
    world.judged_every_minute(3)
    assert world.notified() == ["firing"]
    assert "DROP" in world.incident().summary


def test_forty_ips_of_a_pool_on_the_lists_of_one_operator_are_one_incident(world):
    with world.store.session() as session:
        session.add(Pool(name="forty"))
        session.flush()
        session.add_all([SendingIp(address=f"198.51.100.{i}", pool="forty") for i in range(40)])
    pairs = [(f"198.51.100.{i}", dnsbl) for i in range(40) for dnsbl in ("sbl", "xbl", "css")]

    def answers(value, **detail):
        world.wait(minutes=5)
        details = {"codes": ["127.0.0.2"] if value else [], "ttl_seconds": 60, "weight": 1.0, **detail}
        world.sees(*(Observation("listing", Subject(ip=ip, dnsbl=dnsbl), world.now, value, detail=details) for ip, dnsbl in pairs))
        world.judged()

    answers(0.0)
    answers(1.0, severity="critical")
    assert world.incident().subject == {"operator": "Spamhaus", "pool": "forty"}
    assert world.incident().summary.startswith("198.51.100.0, 198.51.100.1, 198.51.100.10 and 37 more listed on css, sbl, xbl")
    assert world.notified() == ["firing"]
    assert {suspension.scope["ip"] for suspension in world.in_force()} == {f"198.51.100.{i}" for i in range(40)}


@pytest.mark.parametrize("matcher", [
    {"dnsbl": "sbl"}, {"operator": "Spamhaus"}, {"ip": "192.0.2.1"}, {"target": "192.0.2.1"}, {"dnsbl": "sbl", "ip": "192.0.2.1"},
])
def test_a_silence_on_a_list_its_operator_or_the_address_is_about_the_listing(world, matcher):
    with world.store.session() as session:
        silence(session, matchers=matcher, actor="dana", reason="known", now=world.now, until=world.now + timedelta(days=1))
    clean(world, dnsbl="sbl")
    world.answers(listed=True, dnsbl="sbl", **SBL)
    world.judged_every_minute(3)
    assert (world.incident().state, world.notified()) == ("firing", [])
    world.answers(listed=None, dnsbl="sbl", reason="timeout")
    world.judged_every_minute(3)
    assert world.notified() == []


def test_a_silence_on_one_list_does_not_cover_another_of_the_same_operator(world):
    with world.store.session() as session:
        silence(session, matchers={"dnsbl": "sbl"}, actor="dana", reason="known", now=world.now,
                until=world.now + timedelta(days=1))
    for dnsbl in ("sbl", "xbl"):
        clean(world, dnsbl=dnsbl)
    world.answers(listed=True, dnsbl="sbl", **SBL)
    world.judged_every_minute(3)
    assert world.notified() == []
    world.answers(listed=True, dnsbl="xbl", **SBL)
    world.judged_every_minute(3)
    assert world.notified() == ["firing"]


# ── allow lists ──


def test_an_allow_listing_that_ends_is_notified_and_being_back_ends_it(world):
    world.answers(listed=True, dnsbl="dnswl", **ALLOWED)
    clean(world, 2, dnsbl="dnswl")
    assert world.rows(Incident) == []
    clean(world, dnsbl="dnswl")
    assert world.incident().summary == "192.0.2.1 no longer on the allow list DNSWL"
    assert (world.incident().severity, world.notified(), world.in_force()) == ("warning", ["firing"], [])
    for _ in range(2):
        world.wait(minutes=5)
        world.answers(listed=True, dnsbl="dnswl", **ALLOWED)
        world.judged()
    assert world.notified() == ["firing", "resolved"]


def test_an_allow_list_that_does_not_answer_has_not_let_us_go(world):
    world.answers(listed=True, dnsbl="dnswl", **ALLOWED)
    for _ in range(10):
        world.wait(minutes=5)
        world.answers(listed=None, dnsbl="dnswl", reason="refused")
        world.judged()
    assert world.rows(Incident) == []


def test_an_allow_listing_lost_long_ago_is_given_up(world):
    world.answers(listed=True, dnsbl="dnswl", **ALLOWED)
    clean(world, 3, dnsbl="dnswl")
    world.wait(days=13)
    world.judged()
    assert world.incident().state == "firing"
    world.wait(days=1)
    world.judged()
    assert world.incident().state == "ok"
    assert "taken as given" in world.rows(Outbox)[-1].body


def test_where_no_allow_list_had_us_none_is_lost(world):
    clean(world, 5, dnsbl="dnswl")
    assert world.rows(Incident) == []


# ── scores ──


def scored(world, value, reason=None):
    world.sees(Observation("list_score", Subject(ip="192.0.2.1", dnsbl="validity-score"), world.now, value, reason))


def test_a_bad_score_fires_once_it_has_lasted_and_ends_on_the_other_side_of_its_line(world):
    scored(world, 60.0)
    world.judged_every_minute(10)
    assert world.incident().state == "pending"
    world.judged()
    assert (world.incident().state, world.in_force()) == ("firing", [])
    scored(world, 72.0)
    world.judged_every_minute(3)
    assert (world.incident().state, world.notified()) == ("firing", ["firing"])
    assert world.incident().evidence["now"] == "192.0.2.1 has 72 on Sender Score, better but not clear yet"
    assert world.incident().summary == "192.0.2.1 has 60 on Sender Score, below 70"
    scored(world, 76.0)
    world.judged()
    assert world.notified() == ["firing", "resolved"]


@pytest.mark.parametrize("reason", ["timeout", None])
def test_a_score_that_is_old_or_cannot_be_had_neither_raises_nor_clears(world, reason):
    scored(world, 60.0)
    world.judged_every_minute(11)
    if reason:
        scored(world, None, reason)
    else:
        world.wait(hours=3)
    world.judged()
    assert (world.incident().state, world.incident().unknown_reason) == ("firing", reason or "stale")
    assert world.notified() == ["firing"]


# ── no longer asked ──


@pytest.mark.parametrize(("lists", "inventory", "reason"), [
    ({"other"}, True, "the list is no longer asked"), ((), True, "no longer asked: no collector"),
    ({"zen"}, False, "the target is no longer in the inventory"),
])
def test_a_listing_no_longer_asked_about_ends_its_incident_and_hold_at_once_with_that_reason(world, lists, inventory, reason):
    world.sees(Observation("canary", Subject(dnsbl="zen", collector="dnsbl"), world.now, 1.0))
    clean(world, dnsbl="zen")
    for _ in range(3):
        world.wait(minutes=5)
        world.answers(listed=True, dnsbl="zen", **SBL)
        world.judged()
    assert len(world.in_force()) == 1
    with world.store.session() as session:
        if not inventory:
            session.delete(session.get(SendingIp, "192.0.2.1"))
            session.flush()
        end_unasked(session, lists, world.now)
    world.judge.watched_lists = lists
    world.judged()
    assert (world.incident().state, world.in_force(), world.notified()[-1]) == ("ok", [], "resolved")
    (lifted,) = world.rows(Suspension)
    assert reason in lifted.lift_reason


def test_a_score_of_a_list_no_longer_asked_ends_its_incident(world):
    scored(world, 60.0)
    world.judged_every_minute(11)
    assert world.incident().state == "firing"
    world.judge.watched_lists = {"zen"}
    world.judged()
    assert world.incident().state == "ok"
