"""What "in force" means is said once, and everybody who asks gets the same answer."""

from datetime import timedelta
from itertools import product

import pytest

from monitor.console.overview import take_picture
from monitor.database.paging import Page
from monitor.database.tables import Customer, Suspension
from monitor.facts import Store
from monitor.judging.feed_evidence import FeedEvidence
from monitor.restrictions import rows as suspensions
from monitor.restrictions.follow import GateIndex
from monitor.restrictions.suspensions import expire, hold
from monitor.rules.evidence import FeedQuestion
from monitor.rules.lists import KnownLists
from monitor.rules.signals import signals
from tests.monitor.api.running import NOW
from tests.monitor.conftest import batch, counted

HOUR = timedelta(hours=1)
LOOPS = FeedQuestion(signals()["feedback_reports"], ("provider",), timedelta(days=3), timedelta(days=28))


def test_in_force_is_neither_lifted_nor_past_its_time_in_python_and_in_the_database(store: Store):
    ends = [None, NOW - HOUR, NOW, NOW + HOUR]
    with store.session() as session:
        for number, (lifted_at, until) in enumerate(product(ends[:3], ends)):
            session.add(Suspension(
                id=f"sus-{number}", scope={"customer": "acme"}, scope_key="x", effect="hold", actor="dana", text="t",
                since=NOW - 2 * HOUR, until=until, lifted_at=lifted_at, lifts_when="x",
            ))
    with store.reading_session() as session:
        every = suspensions.find_suspensions(session, NOW, Page(), lifted=True).rows
        expected = {row.id for row in every if suspensions.is_in_force(row, NOW)}
        assert {(row.lifted_at, row.until) for row in every if row.id in expected} == {(None, None), (None, NOW + HOUR)}
        assert {row.id for row in suspensions.in_force(session, NOW)} == expected
        assert suspensions.ids_in_force(session, NOW) == expected
        assert suspensions.count_in_force(session, NOW) == len(expected)
        assert {row.id for row in suspensions.newest_suspensions(session, NOW, 100)} == expected
        assert {row.id for row in suspensions.find_suspensions(session, NOW, Page()).rows} == expected
        unwritten = {row.id for row in suspensions.overdue(session, NOW)}
    assert unwritten == {row.id for row in every if row.lifted_at is None and row.id not in expected}


@pytest.fixture
def overdue(store: Store) -> Store:
    """A store with one hold whose time is over, and nobody judged since."""
    with store.session() as session:
        session.add(Customer(id="acme", name="Acme"))
        hold(session, scope={"customer": "acme"}, effect="hold", actor="dana", reason="x", now=NOW - 2 * HOUR,
             until=NOW - HOUR)
    return store


@pytest.mark.parametrize("written", [False, True])
def test_a_suspension_past_its_time_is_over_for_everybody_whether_its_end_is_written_or_not(overdue, written, vigie):
    if written:
        with overdue.session() as session:
            expire(session, NOW)
    gate = GateIndex()
    assert gate.refresh(overdue, NOW).restrictions == ()
    with overdue.reading_session() as session:
        picture = take_picture(session, NOW, {}, {}, KnownLists())
        assert (list(picture.suspensions), picture.suspended_count) == ([], 0)
    client = vigie.client("read")
    assert client.get("/v1/suspensions").json() == []
    assert len(client.get("/v1/suspensions", params={"lifted": True}).json()) == 1
    subject = {"customer": "acme", "stream": "news", "provider": "yahoo"}
    overdue.intake([batch("1", counted(NOW - HOUR / 2, 10, **subject), counted(NOW - HOUR / 2, 1, measure="report", **subject))], NOW)
    with overdue.reading_session() as session:
        assert suspensions.holds_since(session, NOW - HOUR / 2) == []
        assert len(suspensions.holds_since(session, NOW - HOUR * 3 / 2)) == 1
    assert FeedEvidence(overdue).feeds(LOOPS, NOW) == []  # no history yet; and the past hold is no error
