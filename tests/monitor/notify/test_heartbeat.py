"""Signs of life go the whole way, stay away when anything on it stands still, and are not queued up."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlmodel import select

from monitor.database.tables import Outbox
from monitor.incidents.matchers import parse
from monitor.notify.heartbeat import Healthchecks, Heartbeat, Heartbeats, UptimeKuma
from monitor.notify.worker import Worker
from tests.monitor.api.test_operate import incident
from tests.servers.receivers import Receiver

START = datetime(2026, 1, 5, 12, tzinfo=UTC)
BEATS = [Heartbeat("alive", timedelta(minutes=1)), Heartbeat("listings", timedelta(minutes=1), (parse("rule=~.*listed"),))]


class Watched:
    def __init__(self, store, server):
        self.store, self.server, self.now = store, server, START
        self.senders = {"heartbeat:alive": Healthchecks(f"{server.url}/uuid/"), "heartbeat:listings": UptimeKuma(f"{server.url}/api/push/t?status=up&msg=OK&ping=")}
        self.judged()

    def judged(self):
        fence = self.store.claim("judge", "me", self.now, timedelta(0), due_only=False)
        self.store.done("judge", "me", fence, self.now, self.now)

    def turn(self):
        Heartbeats(self.store, BEATS, lambda: self.now).run()
        worker = Worker(self.store, self.senders, "w", lambda: self.now)
        for name in self.senders:
            worker.send_due(name)
        paths = [path for path, _ in self.server.taken]
        self.server.taken.clear()
        return paths


@pytest.fixture
def watched(store):
    with Receiver() as server:
        yield Watched(store, server)


def test_every_minute_and_down_while_what_matches_fires(watched):
    assert watched.turn() == ["/uuid", "/api/push/t?status=up&msg=OK"]
    watched.now += timedelta(seconds=59)
    assert watched.turn() == []
    with watched.store.session() as session:
        row = incident("inc-1", rule="ip-listed")
        row.fired_at = watched.now
        session.add(row)
    watched.now += timedelta(seconds=1)
    assert watched.turn() == ["/uuid", "/api/push/t?status=down&msg=ip-listed%3A+too+many"]
    with watched.store.reading_session() as session:
        assert len(session.exec(select(Outbox)).all()) == 2


def test_it_stays_away_when_nothing_is_judged_and_is_not_made_up_for(watched):
    watched.now += timedelta(minutes=6)
    assert watched.turn() == []
    watched.judged()
    assert len(watched.turn()) == 2


def test_a_watcher_that_is_away_gets_one_sign_when_it_is_back(watched):
    for _ in range(5):
        watched.server.plan.extend([503, 503])
        assert watched.turn() == []
        watched.now += timedelta(minutes=1)
        watched.judged()
        watched.server.plan.clear()
    assert len(watched.turn()) == 2


def test_a_monitor_that_is_not_there_is_an_error(watched):
    watched.server.answer = lambda *_: (200, {"ok": False, "msg": "Monitor not found or not active."})
    watched.turn()
    with watched.store.reading_session() as session:
        errors = {row.receiver: row.last_error for row in session.exec(select(Outbox))}
    assert errors == {"heartbeat:alive": None, "heartbeat:listings": "refused: there is no such monitor, or it is paused"}
