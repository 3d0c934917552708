from datetime import UTC, datetime, timedelta

import pytest
from sqlmodel import select

from collectors.observation import Batch, Observation, Subject
from monitor.database.tables import (
    Customer,
    FblEnrolment,
    MailboxProvider,
    Pool,
    SendingDomain,
    SendingIp,
    Transition,
)
from monitor.feedback_loops.enrolments import State
from monitor.feedback_loops.rows import Wish, drop_enrolment, enrolments, gaps_now, lapse, set_enrolment

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def put(store, state, *, provider="microsoft", kind="ip", subject="192.0.2.1", at=NOW, **details):
    with store.session() as session:
        wish = Wish(provider, kind, subject, State(state), **details)
        return set_enrolment(session, wish, actor="ann", reason=f"now {state}", now=at)


def history(store):
    with store.reading_session() as session:
        rows = session.exec(select(Transition).where(Transition.kind == "enrolment").order_by(Transition.id))
        return [(row.of, row.old, row.new, row.actor, row.why) for row in rows]


def test_an_enrolment_goes_from_wanted_to_active_and_every_step_is_remembered(store):
    put(store, "wanted", provider="Hotmail", contact="postmaster@example.com")
    put(store, "requested", at=NOW + DAY, note="ticket 4711")
    row = put(store, "active", at=NOW + 2 * DAY)
    assert (row.provider, row.contact, row.note) == ("microsoft", "postmaster@example.com", "ticket 4711")
    assert (row.requested_at, row.active_at, row.updated_at) == (NOW + DAY, NOW + 2 * DAY, NOW + 2 * DAY)
    of = "microsoft/ip/192.0.2.1"
    assert history(store) == [
        (of, "none", "wanted", "ann", "now wanted"),
        (of, "wanted", "requested", "ann", "now requested"),
        (of, "requested", "active", "ann", "now active"),
    ]


def test_setting_the_state_it_has_changes_only_details(store):
    put(store, "active", note="old", ends_at=NOW + DAY)
    row = put(store, "active", note="new", at=NOW + timedelta(hours=1))
    assert (row.note, row.active_at, row.ends_at) == ("new", NOW, NOW + DAY)
    assert len(history(store)) == 1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"state": "lapsed"}, "not there cannot become lapsed"),
        ({"state": "active", "provider": "planet"}, "no provider 'planet'"),
        ({"state": "active", "provider": "yahoo"}, "enrols by domain"),
        ({"state": "active", "subject": "nowhere"}, "nowhere"),
        ({"state": "active", "ends_at": NOW}, "in the past"),
    ],
)
def test_what_cannot_be_enrolled_is_refused_and_leaves_nothing(store, given, message):
    with pytest.raises(ValueError, match=message):
        put(store, **given)
    assert history(store) == []


def test_a_reason_is_needed(store):
    with pytest.raises(ValueError, match="reason"), store.session() as session:
        set_enrolment(session, Wish("zoho", "account", "", State.WANTED), actor="ann", reason=" ", now=NOW)


def test_a_provider_of_our_own_inventory_can_be_enrolled_at(store):
    with store.session() as session:
        session.add(MailboxProvider(id="corner", name="Corner Mail"))
    assert put(store, "active", provider="corner", kind="domain", subject="Acme.Example.com").subject == "acme.example.com"


def test_an_enrolment_lapses_by_itself_when_its_end_has_come(store):
    put(store, "active", ends_at=NOW + DAY)
    put(store, "active", subject="192.0.2.2")
    with store.session() as session:
        assert lapse(session, NOW + DAY - timedelta(seconds=1)) == []
        assert [row.subject for row in lapse(session, NOW + DAY)] == ["192.0.2.1"]
        assert lapse(session, NOW + DAY) == []
    assert history(store)[-1][1:] == ("active", "lapsed", "expiry", "its time is over")
    assert put(store, "active", at=NOW + 2 * DAY).ends_at is None


def test_an_enrolment_entered_by_mistake_can_be_dropped(store):
    put(store, "wanted")
    key = ("hotmail", "ip", "192.0.2.1")
    with store.session() as session:
        drop_enrolment(session, key, actor="ann", reason="a typing mistake", now=NOW)
    with store.session() as session:
        assert session.exec(select(FblEnrolment)).all() == []
        with pytest.raises(LookupError, match="no enrolment"):
            drop_enrolment(session, key, actor="ann", reason="again", now=NOW)
    assert history(store)[-1][1:] == ("wanted", "none", "ann", "a typing mistake")


def test_gaps_are_what_was_sent_in_the_last_seven_days_without_a_loop(store):
    with store.session() as session:
        session.add_all([Customer(id="acme", name="Acme"), Pool(name="shared")])
        session.flush()
        session.add_all([SendingIp(address=f"192.0.2.{i}", pool="shared") for i in (1, 2, 3)])
        session.add(SendingDomain(domain="acme.example.com", customer="acme"))

    def delivered(ip, provider, count, at):
        return Observation("delivered", Subject("acme", "news", None, ip, "acme.example.com", provider), at, count)

    seen = (
        delivered("192.0.2.1", "microsoft", 600.0, NOW - DAY),
        delivered("192.0.2.2", "microsoft", 400.0, NOW - 6 * DAY),
        delivered("192.0.2.3", "microsoft", 900.0, NOW - 8 * DAY),
        delivered("192.0.2.1", "yahoo", 50.0, NOW),
        delivered("192.0.2.1", "gmail", 9_000.0, NOW),
    )
    store.intake([Batch("test", "k", NOW, seen)], NOW)
    put(store, "active", subject="192.0.2.2")
    coverage = gaps_now(store, NOW)
    assert [(gap.provider, gap.subjects, gap.delivered) for gap in coverage.gaps] == [
        ("microsoft", ["192.0.2.1"], 600), ("yahoo", ["acme.example.com"], 50)]
    assert [each.provider for each in coverage.without] == ["gmail"]
    with store.reading_session() as session:
        assert len(enrolments(session)) == 1
