"""kill -9 at random moments: nothing is lost, nothing is counted twice, nobody is left with a firing alert."""

import os
import random
import threading
import time
from datetime import UTC, datetime

import httpx
import pytest
from sqlmodel import func, select

from monitor.database.tables import Incident, Listing, Outbox, Reading, Series, Suspension, Transition
from monitor.demo.world import Mailing, feedback_report
from monitor.intake.consequences import open_store
from tests.waiting import PATIENCE_SECONDS, eventually

REAL = os.environ.get("VIGIE_REQUIRE_REAL") == "1"
KILLS = {"sqlite": 30 if REAL else 8, "postgresql": 15 if REAL else 6}
BOLT = Mailing("bolt", "newsletter", "bolt.example", ("192.0.2.8",), 400)
ALIVE_AT_MOST = 2.0


class Traffic:
    """Mail goes on while the service dies: events are posted until acknowledged, complaints delivered."""

    def __init__(self, world, dice):
        self.world, self.dice = world, dice
        self.delivered = self.complaints = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()

    def _run(self):
        serial = 0
        while not self._stop.is_set():
            serial += 1
            for _ in range(self.dice.randrange(1, 5)):
                self.complaints += 1
                self.world.mailbox.deliver(feedback_report(BOLT, "192.0.2.8", self.complaints, datetime.now(UTC)))
            self.post(serial, BOLT.messages)
            if serial % 10 == 0:
                self.world.lists.list()
            if serial % 10 == 5:
                self.world.lists.clear()
            self._stop.wait(0.4)

    def post(self, serial, count):
        """At least once, as a sender's queue does it; the key makes it once."""
        event = {"at": datetime.now(UTC).isoformat(), "customer": "bolt", "stream": "newsletter", "ip": "192.0.2.8",
                 "domain": "bolt.example", "recipient_domain": "yahoo.com", "outcome": "delivered", "count": count}
        headers = {"Authorization": f"Bearer {self.world.key}", "Idempotency-Key": f"k{serial}"}
        while True:
            try:
                answer = httpx.post(f"{self.world.service.url}/v1/events/generic", json=[event], headers=headers, timeout=PATIENCE_SECONDS)
            except httpx.TransportError:
                time.sleep(0.1)
                continue
            assert answer.status_code == 200, answer.text
            self.delivered += count
            return


def total(store, measure):
    with store.reading_session() as session:
        query = select(func.sum(Reading.value)).join(Series, Series.id == Reading.series_id)
        return session.exec(query.where(Series.measure == measure)).one() or 0


def all_quiet(store):
    with store.reading_session() as session:
        open_ones = session.exec(select(Incident.id).where(Incident.ended_at.is_(None))).all()
        open_ones += session.exec(select(Listing.id).where(Listing.cleared_at.is_(None))).all()
        waiting = session.exec(select(Outbox.id).where(Outbox.state == "waiting")).all()
        return not open_ones and not waiting


@pytest.mark.timeout(3600)  # a busy machine starts a service in half a minute
def test_killed_at_random_moments_it_loses_nothing_and_repeats_nothing(make_world, database_url):
    dice = random.Random(7)
    world = make_world(database_url, forked=True)
    world.start()
    with Traffic(world, dice) as traffic:
        for _ in range(KILLS[database_url.partition(":")[0]]):
            time.sleep(dice.uniform(0, ALIVE_AT_MOST))
            world.service.kill()
            # the next life may be cut short while it is still starting
            world.service.start(wait=dice.random() < 0.7)
        world.service.wait_until_ready()
        eventually(lambda: world.chat.keys("firing"))  # or this test would show nothing
    world.service.kill()
    world.service.start()
    world.lists.clear()
    store = open_store(database_url)
    try:
        eventually(lambda: total(store, "complaint") >= traffic.complaints)
        serial = 1_000_000
        deadline = time.monotonic() + 3 * PATIENCE_SECONDS
        quiet = 0  # seconds in a row: what came last may not have been judged at the first look
        while quiet < 5:
            assert time.monotonic() < deadline, "incidents did not end"
            serial += 1
            traffic.post(serial, 200_000)  # clean mail, so that the rate falls
            time.sleep(1)
            quiet = quiet + 1 if all_quiet(store) else 0
        assert total(store, "complaint") == traffic.complaints
        assert total(store, "delivered") == traffic.delivered
        _check_histories(store)
    finally:
        store.close()
    assert set(world.chat.keys("firing")) == set(world.chat.keys("resolved"))


def _check_histories(store):
    """Every incident and suspension has an unbroken chain of transitions that ends where it stands."""
    with store.reading_session() as session:
        incidents = session.exec(select(Incident)).all()
        suspensions = session.exec(select(Suspension)).all()
        rows = session.exec(select(Transition).where(Transition.kind != "listing").order_by(Transition.id)).all()
    chains = {}
    for row in rows:
        chains.setdefault(row.of, []).append((row.old, row.new))
    for incident in incidents:
        chain = chains[incident.id]
        assert [old for old, _ in chain] == ["ok", *(new for _, new in chain[:-1])]
        assert chain[-1][1] == incident.state == "ok"
    for suspension in suspensions:
        assert chains[suspension.id] == [("none", "hold"), ("hold", "lifted")]
        assert suspension.lifted_at is not None
    assert set(chains) == {row.id for row in (*incidents, *suspensions)}
